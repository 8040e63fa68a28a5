from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import shapely.affinity
from affine import Affine
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from table.standins import make_layer, make_plan
from views.payloads import PAYLOADS
from views.standins import Pair, make_changes, make_geobox, make_outlines

from geocc.errors import InputError, WriteError
from geocc.table import clean_caption
from geocc.views import figure
from geocc.views.lettering import drawable


def texts_of(drawn):
    return [text.get_text() for text in drawn.findobj(Text) if text.get_text()]


def test_three_maps_and_the_captions(changes, pair):
    drawn = figure(changes, pair, top=4)
    assert isinstance(drawn, Figure)
    texts = texts_of(drawn)
    assert {"Before", "After", "Change", "2009-07-15", "2020-06-30"} <= set(texts)
    assert texts.count("a road was built") == 4
    assert [text for text in texts if text.isdigit() and len(text) == 1].count("4") == 2  # on the map, and in the list
    assert "4 of 24 changed tiles, the most probable first" in texts
    assert "24 of 24 tiles changed" in " ".join(texts)


def test_outlines_are_drawn_over_the_later_date_holes_among_them(changes, pair):
    outlines = make_outlines(changes)
    first = outlines.geometry.iloc[0]
    outlines.loc[0, "geometry"] = first.difference(shapely.affinity.scale(first, 0.5, 0.5))
    plain, drawn = figure(changes, pair), figure(changes, pair, outlines=outlines)
    before, after = ([len(axes.collections) for axes in one.axes[:3]] for one in (plain, drawn))
    assert [now - then for now, then in zip(after, before, strict=True)] == [0, 1, 0]
    (lines,) = drawn.axes[1].collections
    rings = [path.vertices for path in lines.get_paths()]
    assert len(rings) == 3
    pixels = [shapely.Polygon(ring).bounds for ring in rings]
    assert pixels[0] == pytest.approx((2.5, 2.5, 7.5, 7.5))
    assert pixels[1] == pytest.approx((3.75, 3.75, 6.25, 6.25))
    assert pixels[2] == pytest.approx((12.5, 2.5, 17.5, 7.5))
    named = ["outline of a change" in texts_of(one) for one in (plain, drawn)]
    assert named == [False, True]


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_it_is_written_whole(changes, pair, tmp_path, suffix):
    figure(changes, pair, path=tmp_path / f"map.{suffix}", dpi=60)
    assert [path.name for path in tmp_path.iterdir()] == [f"map.{suffix}"]
    assert (tmp_path / f"map.{suffix}").stat().st_size > 5000


@pytest.mark.parametrize(
    "caption", [*PAYLOADS, "costs $5 and $6", r"$\frac{1}{2}$", r"$\undefined", "$", r"\textbf{x}", "%"]
)
def test_captions_are_drawn_letter_by_letter(pair, tmp_path, caption):
    if caption in PAYLOADS[::9] or caption not in PAYLOADS:
        drawn = figure(make_changes(pair.geobox, captions=[caption]), pair, path=tmp_path / "map.png", top=1, dpi=50)
        shown = "".join("".join(texts_of(drawn)).split())
        assert "".join(drawable(clean_caption(caption)).split()) in shown


def test_a_user_who_sets_tex_gets_no_tex(changes, pair, tmp_path):
    with mpl.rc_context({"text.usetex": True, "font.family": "serif"}):
        figure(changes, pair, path=tmp_path / "map.png", dpi=50)


def test_characters_beyond_the_font_become_squares_without_a_warning(pair, tmp_path):
    drawn = figure(make_changes(pair.geobox, captions=["a 道路 🌳 дорога"]), pair, path=tmp_path / "map.png", dpi=50)
    assert "a □□ □ дорога" in texts_of(drawn)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        pytest.param(10, 10, 10, id="one tile"),
        pytest.param(1, 1, 1, id="one pixel"),
        pytest.param(60, 60, 10, id="square"),
        pytest.param(30, 300, 10, id="wide"),
        pytest.param(300, 30, 10, id="tall"),
        pytest.param(50, 80, 1, id="4000 tiles"),
    ],
)
def test_no_text_overlaps_another_or_leaves_the_page(height, width, size):
    pair = Pair(make_geobox(height, width))
    captions = ["short", "a rather long caption that goes on and on, " * 12, "w" * 400]
    drawn = figure(make_changes(pair.geobox, size=size, captions=captions), pair, top=6)
    drawn.draw_without_rendering()
    page = drawn.bbox
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn.texts if text.get_text()]
    for index, (name, box) in enumerate(boxes):
        assert page.x0 <= box.x0, name
        assert box.x1 <= page.x1, name
        assert page.y0 <= box.y0, name
        assert box.y1 <= page.y1, name
        for other, other_box in boxes[index + 1 :]:
            # Line boxes may touch by the leading; letters may not meet.
            assert not box.shrunk(0.98, 0.7).overlaps(other_box.shrunk(0.98, 0.7)), (name, other)


@pytest.mark.parametrize("changed", [True, False])
def test_layers_without_change_or_probability(pair, changed):
    layer = make_changes(pair.geobox, changed=changed, probability=float("nan"))
    texts = texts_of(figure(layer, pair))
    assert ("No tile changed." in texts) is not changed


def test_every_status_has_its_key():
    plan = make_plan(4, 4)
    texts = " ".join(texts_of(figure(make_layer(plan), Pair(plan.geobox))))
    for key in ("4 changed", "4 unchanged", "4 too little data", "4 failed"):
        assert key in texts


def test_a_rotated_grid_and_another_crs():
    turned = Pair(make_geobox(affine=Affine(1.6, 1.2, 500_000, 1.2, -1.6, 4_000_000)))
    figure(make_changes(turned.geobox).to_crs("EPSG:4326"), turned).draw_without_rendering()


def test_the_first_map_shows_the_first_date(changes, pair, tmp_path):
    figure(changes, pair, path=tmp_path / "map.png", dpi=100)
    picture = np.asarray(Image.open(tmp_path / "map.png").convert("RGB")).astype(int)
    height, width, _ = picture.shape
    for column, blue in ((0.17, 50), (0.5, 150)):
        assert abs(picture[int(0.35 * height), int(column * width), 2] - blue) <= 3


def test_nothing_to_list(changes, pair):
    assert "Captions" not in texts_of(figure(changes, pair, top=0))
    with pytest.raises(InputError, match="top is -1"):
        figure(changes, pair, top=-1)


def test_what_cannot_be_written_leaves_what_was_there(changes, pair, tmp_path):
    with pytest.raises(WriteError, match="there is no folder"):
        figure(changes, pair, path=tmp_path / "missing" / "map.png")
    (tmp_path / "map.xyz").write_text("before")
    with pytest.raises(WriteError, match="what was there is as it was"):
        figure(changes, pair, path=tmp_path / "map.xyz")
    assert (tmp_path / "map.xyz").read_text() == "before"


def test_pyplot_and_settings_are_left_alone():
    code = """
import sys
import matplotlib
before = matplotlib.rcParams.copy()  # a plain dict would make matplotlib choose a backend
from views.standins import Pair, make_changes, make_geobox, make_outlines
from geocc.views import figure
pair = Pair(make_geobox())
figure(make_changes(pair.geobox), pair)
assert "matplotlib.pyplot" not in sys.modules
assert matplotlib.rcParams.copy() == before
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=_environment())


def _environment():
    roots = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(roots)}


def test_a_notebook_shows_the_figure_without_pyplot(changes, pair):
    assert figure(changes, pair)._repr_png_().startswith(b"\x89PNG")
