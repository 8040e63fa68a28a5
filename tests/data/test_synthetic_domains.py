"""Scenes of every domain: what is said of them is true of their covers, and they are what their domain is."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocc.data.synthetic import (
    COVER_CATEGORY,
    DOMAINS,
    KINDS,
    LABELS,
    Category,
    Direction,
    make_scene,
    read_caption,
    training_pairs,
    write_caption,
)
from geocc.errors import InputError

NEW = ["aerial", "medium", "landsat"]
few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def pairs():
    return [
        pair
        for domain in NEW
        for pair in training_pairs(range(14), domain=domain, tile_px=160, per_scene=4, change_density=0.8)
    ]


def categories(cover):
    """The category of every pixel, the slow way."""
    names = [str(COVER_CATEGORY[code]) for code in COVER_CATEGORY]
    return np.array(names)[cover]


@few
@given(seed=st.integers(0, 10_000), domain=st.sampled_from([*NEW, "all"]))
def test_equal_seeds_make_equal_scenes(seed, domain):
    one, other = (make_scene(seed, size_px=96, domain=domain, change_density=3) for _ in range(2))
    assert (one.t1 == other.t1).all()
    assert (one.t2 == other.t2).all()
    assert (one.change_mask == other.change_mask).all()
    assert (one.gsd_m, one.domain, one.composite) == (other.gsd_m, other.domain, other.composite)


@few
@given(seed=st.integers(0, 10_000), domain=st.sampled_from(["vhr", *NEW]))
def test_covers_differ_where_the_mask_says_and_nowhere_else(seed, domain):
    scene = make_scene(seed, size_px=160, domain=domain, change_density=3)
    assert scene.t1.shape == scene.t2.shape == (3, 160, 160)
    differs = scene.covers[0] != scene.covers[1]
    seen = np.ones_like(differs) if scene.valid is None else scene.valid
    # A roof's edge may be half a pixel aside of its mask.
    assert (differs & seen & ~scene.change_mask).sum() <= 0.002 * differs.size
    if scene.change_mask.any():
        assert (differs & scene.change_mask).sum() > 0.9 * scene.change_mask.sum()
    assert not (scene.change_mask & ~seen).any()


@few
@given(seed=st.integers(0, 10_000), domain=st.sampled_from(NEW))
def test_without_nuisance_and_change_both_dates_are_one(seed, domain):
    scene = make_scene(seed, size_px=96, domain=domain, change_density=0, nuisance=0)
    assert (scene.t1 == scene.t2).all()
    assert scene.valid is None


@few
@given(seed=st.integers(0, 10_000), domain=st.sampled_from(NEW))
def test_without_nuisance_what_changed_looks_different(seed, domain):
    scene = make_scene(seed, size_px=160, domain=domain, change_density=3, nuisance=0)
    differs = (scene.t1 != scene.t2).any(axis=0)
    if scene.change_mask.any():
        assert differs[scene.change_mask].mean() > 0.9


def test_every_statement_is_true_of_the_covers(pairs):
    said = set()
    for pair in pairs:
        rows, cols = pair.window.rows, pair.window.cols
        before, after = (categories(cover[rows, cols]) for cover in pair.scene.covers)
        words = np.random.default_rng(0)
        texts = [pair.caption, *(write_caption(pair.description.facts, words, plain=0) for _ in range(3))]
        for statement in (statement for text in texts for statement in read_caption(text)):
            came = statement.direction is Direction.GAIN
            there, away = (after, before) if came else (before, after)
            moved = (there == statement.category) & (away != statement.category)
            assert moved.mean() >= 0.0035, (pair.scene.domain, pair.scene.seed, texts)
            said.add((statement.category, statement.direction))
            if statement.other is not None:
                assert (away[moved] == statement.other).mean() > 0.8
            _assert_place(statement.place, moved & pair.description.mask)
        assert bool(read_caption(pair.caption)) == pair.changed
    assert len(said) >= 14


def _assert_place(place, mask):
    """Hold a place word against the spread of the mask, a cell of the 3 x 3 grid and a margin around it."""
    rows, cols = np.nonzero(mask)
    y, x = rows.mean() / mask.shape[0], cols.mean() / mask.shape[1]
    if place == "across":
        assert max(np.ptp(rows) / mask.shape[0], np.ptp(cols) / mask.shape[1]) > 0.7
        return
    wanted_y = 0.17 if place.startswith(("upper", "top")) else 0.83 if place.startswith(("lower", "bottom")) else 0.5
    wanted_x = 0.17 if place.endswith("left") else 0.83 if place.endswith("right") else 0.5
    assert abs(y - wanted_y) < 0.25
    assert abs(x - wanted_x) < 0.25


def test_unchanged_tiles_have_no_changed_cover(pairs):
    for pair in pairs:
        if not pair.changed:
            one, other = (cover[pair.window.rows, pair.window.cols] for cover in pair.scene.covers)
            seen = True if pair.scene.valid is None else pair.scene.valid[pair.window.rows, pair.window.cols]
            assert ((one != other) & seen).mean() < 0.002


def test_kind_maps_add_up_to_the_mask_and_are_where_the_changes_are(pairs):
    for pair in pairs:
        maps = pair.kind_map(8)
        assert maps.shape == (len(KINDS), 8, 8)
        assert maps.dtype == np.float32
        cells = pair.description.mask.reshape(8, 20, 8, 20).mean(axis=(1, 3))
        assert maps.sum(axis=0) == pytest.approx(cells, abs=1e-5)
        for fact in pair.description.facts:
            assert maps[KINDS.index((fact.category, fact.direction))].mean() >= fact.fraction - 1e-5
    with pytest.raises(InputError, match="tokens"):
        pairs[0].kind_map(7)


@pytest.mark.parametrize("domain", ["vhr", *NEW])
def test_the_ground_is_told_everywhere_and_as_the_changes_tell_it(domain):
    numbers = {str(category): number for category, number in LABELS.items()}
    for pair in training_pairs(range(4), domain=domain, tile_px=160, per_scene=4, change_density=0.8):
        at = pair.window.rows, pair.window.cols
        seen = np.ones((160, 160), bool) if pair.scene.valid is None else pair.scene.valid[at]
        for ground, cover, label in zip(pair.ground(), pair.scene.covers, pair.labels(), strict=True):
            assert ((ground > 0) == seen).all()
            assert (ground[label > 0] == label[label > 0]).all()
            told = np.vectorize(numbers.get)(categories(cover[at]))
            assert (ground == told)[seen & (label == 0)].all()


def test_the_kinds_of_the_first_domain_come_first_and_time_is_reversed_by_one_bit():
    assert [str(category) for category, _ in KINDS[:10:2]] == ["building", "road", "parking lot", "water", "trees"]
    for index, (category, direction) in enumerate(KINDS):
        assert KINDS[index ^ 1][0] is category
        assert KINDS[index ^ 1][1] is not direction
    assert Category.GRASS not in {category for category, _ in KINDS}


@pytest.mark.parametrize("domain", DOMAINS)
def test_pixels_are_as_large_as_the_domain_says(domain):
    sizes = [make_scene(seed, size_px=32, domain=domain).gsd_m for seed in range(12)]
    assert min(sizes) >= DOMAINS[domain].finest_m
    assert max(sizes) <= DOMAINS[domain].coarsest_m
    assert (
        make_scene(0, size_px=32, domain=domain, gsd_m=DOMAINS[domain].coarsest_m).gsd_m == DOMAINS[domain].coarsest_m
    )


def test_all_draws_every_domain():
    assert {make_scene(seed, size_px=32, domain="all").domain for seed in range(40)} == set(DOMAINS)
    assert make_scene(0, size_px=32, domain="all", gsd_m=20).domain == "landsat"


@pytest.mark.parametrize(
    "options", [{"domain": "space"}, {"domain": "landsat", "gsd_m": 1.0}, {"domain": "all", "gsd_m": 99}]
)
def test_impossible_domains_are_refused(options):
    with pytest.raises(InputError, match="domain"):
        make_scene(0, size_px=32, **options)


def test_season_is_not_change_but_colours_fields():
    """Fields of both dates differ in colour although nothing changed: what is sown and reaped is no news."""
    seen = 0
    for seed in range(20):
        scene = make_scene(seed, size_px=96, domain="medium", change_density=0)
        fields = (scene.covers[0] == scene.covers[1]) & (categories(scene.covers[0]) == "crops")
        if fields.mean() > 0.3:
            seen += 1
            assert not scene.changes
            gap = np.abs(scene.t1.astype(float) - scene.t2)[:, fields].mean()
            assert gap > 4
    assert seen >= 3


def test_collars_hide_what_they_cover():
    hidden = [
        scene for seed in range(30) if (scene := make_scene(seed, size_px=96, domain="landsat")).valid is not None
    ]
    assert len(hidden) >= 3
    for scene in hidden:
        blank = (scene.t1 == 0).all(axis=0) | (scene.t2 == 0).all(axis=0)
        assert blank[~scene.valid].all()


def test_tones_and_textures_are_those_of_real_imagery():
    """Figures of real tiles: NAIP at 5 m has channels of mean 76 to 131 that correlate by 0.86 to 0.99 and a spectrum that
    falls with frequency to the -2.5; Landsat at 30 m to the -2.0."""
    correlations, slopes, means = [], [], []
    for seed in range(30):
        scene = make_scene(seed, size_px=128, domain="medium", gsd_m=5.0)
        if scene.composite != "rgb" or scene.valid is not None:
            continue
        image = scene.t1.astype(float)
        correlations.append(np.corrcoef(image.reshape(3, -1))[0, 1])
        means.append(image.mean())
        slopes.append(_spectral_slope(image.mean(axis=0)))
    assert 0.85 < np.median(correlations) < 0.995
    assert 55 < np.median(means) < 130
    assert -3.0 < np.median(slopes) < -1.9


def _spectral_slope(image):
    """Power against frequency, both logarithmic, over rings from 2 to half the side."""
    side = image.shape[0]
    window = np.hanning(side)[:, None] * np.hanning(side)[None]
    power = np.abs(np.fft.fftshift(np.fft.fft2((image - image.mean()) * window))) ** 2
    y, x = np.indices(power.shape) - side // 2
    ring = np.hypot(x, y).astype(int).ravel()
    radial = np.bincount(ring, power.ravel()) / np.bincount(ring)
    waves = np.arange(2, side // 2 - 2)
    return np.polyfit(np.log(waves), np.log(radial[waves]), 1)[0]
