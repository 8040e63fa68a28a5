"""The real side of geocc-mini: what is held out, what makes unchanged ground look different, how captions are judged."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - arrays get their `rio`
import xarray as xr
from affine import Affine

from geocc.data import Record

ROOT = Path(__file__).parents[1]
RECORD = Record(
    uid="a", change_flag=1, img1_path="a.png", img2_path="b.png", change_caption=["some vegetation was lost"]
)


@pytest.fixture
def load(monkeypatch):
    folders = {str(ROOT / "benchmarks"), str(ROOT / "scripts")}
    monkeypatch.setattr(sys, "path", [*folders, *sys.path])
    known = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(tuple(folders)):
            del sys.modules[name]


def test_no_held_out_date_or_ground_is_trained_on(load, tmp_path):
    naip, landsat = load("mini_real_series").SERIES
    assert {2018, 2020}.isdisjoint(naip.trained)
    assert {2010, 2020}.isdisjoint(landsat.trained)
    (tmp_path / "landsat").mkdir()
    pixels = np.broadcast_to(np.arange(90, dtype=np.uint8), (4, 30, 90))
    array = xr.DataArray(pixels, dims=("band", "y", "x")).rio.write_crs("EPSG:4326")
    array.rio.write_transform(Affine(0.1, 0, 0, 0, -0.1, 0)).rio.to_raster(tmp_path / "landsat/1985.tif")
    assert landsat.west(tmp_path, 1985).values.max() == 59
    with pytest.raises(ValueError, match="2020 is held out"):
        landsat.west(tmp_path, 2020)
    tiles = load("mini_real_tiles")
    for series in (naip, landsat):
        for years in tiles.PAIRS[series.name]:
            assert not set(years) <= set(series.trained)


@pytest.mark.parametrize(
    ("caption", "gained", "lost"),
    [
        ("the scene is the same as before", False, False),
        ("water has appeared in the upper left", True, False),
        ("the water area has shrunk at the top and a house has been built at the center", False, True),
        ("some water has given way to vegetation", False, True),
        ("vegetation has taken the place of some water and unvegetated ground has appeared", False, True),
        ("trees have been replaced by water on the left", True, False),
        ("flood water covers the ground", True, False),
        ("some vegetation was lost", False, False),
    ],
)
def test_captions_of_both_wordings_tell_of_water(load, caption, gained, lost):
    said = load("mini_real_reading").read(caption)
    assert said.understood
    assert (said.water_gained, said.water_lost) == (gained, lost)
    assert said.changed == (caption != "the scene is the same as before")


@pytest.mark.parametrize(
    ("gain", "captions", "kept"),
    [
        (0.01, ["some vegetation was lost"], ["some vegetation was lost"]),
        (0.3, ["some vegetation was lost", "water has appeared"], ["water has appeared"]),
        (
            -0.3,
            ["water has appeared", "some water has given way to vegetation"],
            ["some water has given way to vegetation"],
        ),
    ],
)
def test_a_tile_in_which_water_came_or_went_says_so(load, gain, captions, kept):
    about_water = load("mini_real_data").about_water
    record = RECORD.model_copy(update={"change_caption": captions})
    assert about_water(record, gain).change_caption == kept


@pytest.mark.parametrize("gain", [0.3, -0.3])
def test_water_is_told_even_where_no_caption_does(load, gain):
    told = load("mini_real_data").about_water(RECORD, gain).change_caption
    said = [load("mini_real_reading").read(caption) for caption in told]
    assert said
    assert all((one.water_gained, one.water_lost) == (gain > 0, gain < 0) for one in said)


def test_what_cannot_be_read_is_said(load):
    assert not load("mini_real_reading").read("the beach is wider").understood


@pytest.mark.parametrize(("sure", "found"), [(True, 0), (False, 1)])
def test_a_meadow_that_dried_is_unchanged_where_doubt_is_allowed(load, sure, found):
    naip = load("mini_real_series").SERIES[0]
    quiet = load("mini_real_quiet")
    green, dry = np.array([70, 60, 60, 130]), np.array([90, 60, 60, 110])  # NDVI 0.3 and 0.1: sure, and not
    dates = np.empty((2, 4, 30, 30), np.uint8)
    dates[:] = green[:, None, None]
    dates[1, :, :, 18:] = dry[:, None, None]
    t1, t2 = (
        xr.DataArray(date, dims=("band", "y", "x"))
        .rio.write_crs("EPSG:32614")
        .rio.write_transform(Affine(5, 0, 500000, 0, -5, 5300000))
        for date in dates
    )
    told = quiet.tell(t1, t2, series=naip)
    tiles = quiet.quiet_tiles(t1, t2, series=naip, told=told, tile_size=30, stride=30, changed_below=0.02, sure=sure)
    assert len(list(tiles)) == found


@pytest.mark.parametrize(("border", "near"), [(0.6, 6), (0.9, 8), (0.0, 0)])
def test_unchanged_tiles_are_drawn_from_the_border_as_far_as_there_are_so_many(load, tmp_path, border, near):
    data = load("mini_real_data")
    records = []
    for at in range(20):
        pictures = [tmp_path / f"{at}.{name}.png" for name in ("first", "second")]
        for picture in pictures:
            picture.touch()
        fields = {"uid": str(at), "change_flag": int(at >= 18), "img1_path": pictures[0], "img2_path": pictures[1]}
        share = 0.01 if at < 8 else 0.001
        records.append(Record.model_validate(fields | {"change_caption": ["as before"], "changed_share": share}))
    drawn = data._draw_unchanged(records, 10, np.random.default_rng(0), border=border)
    assert len(drawn) == 10
    assert all(not record.change_flag for record in drawn)
    assert sum(record.changed_share == 0.01 for record in drawn) == near
    kept = {record.uid for record in drawn} | {"18", "19"}
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == kept


def test_no_pixel_that_sets_the_limit_is_trained_on_or_judged(load):
    validation, tiles = load("mini_real_validation"), load("mini_real_tiles")
    for series in tiles.SERIES:
        judged = {year for years in tiles.PAIRS[series.name] for year in years}
        years = set(validation.YEARS[series.name])
        assert len(years) >= 2
        assert years.isdisjoint(judged)
        assert years <= set(series.files)


def test_what_sets_the_limit_lies_in_the_east_and_is_told_by_the_masks(load, tmp_path):
    validation = load("mini_real_validation")
    west, width = 4 * 66, 4 * 99
    water, meadow, wood = (20, 60, 20, 5), (60, 70, 50, 200), (40, 50, 30, 210)  # red, green, blue, NIR
    bare = (200, 120, 100, 150)  # SWIR, NIR, red, green: neither water nor green
    grounds = {
        "naip": {2010: meadow, 2012: wood, 2014: water},
        "landsat": {1990: bare, 2000: bare},
    }
    for series in validation.SERIES:
        for year, ground in grounds[series.name].items():
            pixels = np.empty((4, 140, width), np.uint8)
            pixels[:] = np.array(ground)[:, None, None]
            pixels[:, :, :west] = 255  # what is trained on
            path = tmp_path / series.files[year]
            path.parent.mkdir(exist_ok=True)
            raster = xr.DataArray(pixels, dims=("band", "y", "x")).rio.write_crs("EPSG:32614")
            raster.rio.write_transform(Affine(5, 0, 500000, 0, -5, 5300000)).rio.to_raster(path)
    found = list(validation.validation_tiles(tmp_path))
    assert {name for name, *_ in found} == {"naip", "landsat"}
    assert {tile.shape[-1] for _, tile, _ in found} == {64, 128}
    for name, tile, changed in found:
        assert tile.max() < 255
        assert changed == (tuple(water[:3]) in {tuple(int(v) for v in date[:, 30, 30]) for date in tile})
        assert name == "naip" or not changed
    assert {changed for name, _, changed in found if name == "naip"} == {True, False}


def test_a_patchwork_shows_at_every_pixel_one_of_its_dates(load):
    patches = load("mini_real_patches")
    dates = {}
    for year in (2009, 2010, 2012):
        pixels = np.empty((4, 90, 120), np.uint8)
        pixels[:] = year - 1900
        pixels[:, :7] = 0 if year == 2010 else 9
        raster = xr.DataArray(pixels, dims=("band", "y", "x")).rio.write_crs("EPSG:32614")
        dates[year] = raster.rio.write_transform(Affine(5, 0, 500000, 0, -5, 5300000))
    made, pairs = patches.patchworks(dates, 6, seed=3)
    assert len({number for pair in pairs for number in pair}) == 12 == len(made)
    for one in made.values():
        assert one.rio.crs == dates[2009].rio.crs
        assert one.rio.transform() == dates[2009].rio.transform()
        assert (one.values[:, :7] == 0).all()  # one date knows nothing there
        assert set(np.unique(one.values[:, 7:])) <= {109, 110, 112}
        assert (one.values == one.values[:1]).all()  # all bands from one date
    assert sum(len(np.unique(one.values[:, 7:])) > 1 for one in made.values()) >= 6
    again, _ = patches.patchworks(dates, 6, seed=3)
    assert all((made[number].values == again[number].values).all() for number in made)


def test_a_fitted_line_weighs_what_it_is_given(load):
    torch = pytest.importorskip("torch")
    calibration = load("mini_calibration")
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(400, 2, generator=rng)
    chance = torch.sigmoid(logits @ torch.tensor([2.0, 0.5]) - 1)
    truth = (torch.rand(400, generator=rng) < chance).float()
    *scales, shift = calibration.fit_line(logits, truth)
    assert scales[0] == pytest.approx(2, abs=0.6)
    assert shift == pytest.approx(-1, abs=0.4)
    # A pair that counts three times is as three pairs.
    weights = torch.where(torch.arange(400) < 100, 3.0, 1.0)
    repeated = torch.cat([logits, *[logits[:100]] * 2]), torch.cat([truth, *[truth[:100]] * 2])
    assert calibration.fit_line(logits, truth, weights=weights) == pytest.approx(
        calibration.fit_line(*repeated), abs=1e-3
    )


def test_the_limit_leaves_few_of_the_unchanged_above_it(load):
    torch = pytest.importorskip("torch")
    calibration = load("mini_calibration")
    unchanged = torch.arange(-50.0, 50.0)
    limit = calibration.limit_of(unchanged)
    assert (unchanged > limit).sum() == round(100 * calibration.CALLED_CHANGED)
    assert calibration.limit_of(unchanged - 100) == 0  # never more lenient than the line


def test_a_disturbed_tile_keeps_its_ground(load):
    nuisance = load("mini_real_nuisance")
    margin = nuisance.MARGIN_PX
    ground = np.random.default_rng(3).integers(60, 120, (3, 40, 40)).astype(np.uint8)
    inside = ground[:, margin:-margin, margin:-margin]
    same = nuisance.disturb(ground, (), tones=None, rng=np.random.default_rng(0))
    assert (same == inside).all()
    tones = np.tile(np.minimum(np.arange(256) + 5, 255).astype(np.uint8), (3, 1))
    darker = nuisance.disturb(ground, ("other date's tones",), tones=tones, rng=np.random.default_rng(0))
    assert (darker == inside + 5).all()
    for kind in nuisance.NUISANCES:
        copies = [nuisance.disturb(ground, (kind,), tones=tones, rng=np.random.default_rng(7)) for _ in range(2)]
        assert (copies[0] == copies[1]).all()
        assert copies[0].shape == inside.shape
        assert (copies[0] != inside).any()
    shifted = nuisance.disturb(ground, ("shift",), tones=None, rng=np.random.default_rng(1))
    places = [
        (r, c)
        for r in range(-2, 3)
        for c in range(-2, 3)
        if (ground[:, margin + r : 36 + r, margin + c : 36 + c] == shifted).all()
    ]
    assert len(places) == 1 or (shifted.std() < inside.std())  # whole pixels, or between them


def test_shares_are_counted_by_group(load):
    benchmark, tiles = load("mini_real"), load("mini_real_tiles")

    def tile(*, gain, said_gained, held_out="eastern third", changed=0.2):
        return tiles.JudgedTile(
            "naip", (2009, 2020), 64, held_out, changed, gain, gain, 0.0,
            "", True, True, said_gained, False, True, 0.5,
        )  # fmt: skip

    judged = [tile(gain=0.3, said_gained=True)] * 3 + [tile(gain=0.3, said_gained=False)]
    judged += [tile(gain=0.3, said_gained=False, held_out="later date only"), tile(gain=0, said_gained=True, changed=0)]
    rows = {(row["question"], row["group"]): row for row in benchmark.summarise(judged)}
    held, every = rows["water gained: said so", "held out"], rows["water gained: said so", "all"]
    assert (held["count"], held["of"]) == (3, 4)
    assert (every["count"], every["of"]) == (3, 5)
    # Wilson's interval of 3 of 4, by its own formula.
    n, p, z = 4, 0.75, 1.959964
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    assert held["high"] - held["low"] == pytest.approx(2 * half, rel=1e-4)
    shore = tile(gain=0.05, said_gained=True, changed=0)
    rows = {(row["question"], row["group"]): row for row in benchmark.summarise([*judged, shore])}
    for question, of in (
        ("unchanged by the masks: called changed", 2),
        ("unchanged, and water moved by as little: called changed", 1),
        ("surely unchanged: called changed", 1),
    ):
        assert (rows[question, "all"]["count"], rows[question, "all"]["of"]) == (of, of)
