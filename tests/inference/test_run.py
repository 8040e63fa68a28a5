"""Reading that fails, as a captioned layer and as an error."""

import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the accessor
import xarray as xr
from affine import Affine
from support.captioners import StubCaptioner

from geocc.errors import ReadError
from geocc.inference import caption_tiles
from geocc.scene import open_pair, plan_tiles


@pytest.fixture
def pair():
    values = xr.DataArray(np.full((3, 64, 192), 9, dtype=np.uint8), dims=("band", "y", "x"))
    values = values.rio.write_transform(Affine(1, 0, 500_000, 0, -1, 4_000_000)).rio.write_crs("EPSG:32614")
    return open_pair(values, values)


@pytest.fixture
def damaged(pair, monkeypatch):
    """The pair, whose middle tile cannot be read."""
    read = type(pair).read

    def fail(self, window, **options):
        if window.col == 64:
            raise ReadError("t2 (scene.tif) cannot be read here")
        return read(self, window, **options)

    monkeypatch.setattr(type(pair), "read", fail)
    return pair


def test_a_tile_that_cannot_be_read_is_a_row_that_says_so(damaged):
    plan = plan_tiles(damaged, tile_size=64)
    results = {result.tile_id: result for result in caption_tiles(damaged, plan, StubCaptioner(), batch_size=8)}
    assert {tile_id: str(result.status) for tile_id, result in results.items()} == {
        "r000000_c000000": "ok",
        "r000000_c000064": "failed",
        "r000000_c000128": "ok",
    }
    assert results["r000000_c000064"].error == "t2 (scene.tif) cannot be read here"


def test_a_tile_that_cannot_be_read_ends_the_run_when_asked_to(damaged):
    plan = plan_tiles(damaged, tile_size=64)
    with pytest.raises(ReadError, match="cannot be read here"):
        list(caption_tiles(damaged, plan, StubCaptioner(), batch_size=8, on_error="raise"))


def test_without_a_readable_tile_the_captioner_is_never_called(pair, monkeypatch):
    def fail(*_, **__):
        raise ReadError("gone")

    monkeypatch.setattr(type(pair), "read", fail)
    stub = StubCaptioner()
    results = list(caption_tiles(pair, plan_tiles(pair, tile_size=64), stub, batch_size=2))
    assert [str(result.status) for result in results] == ["failed"] * 3
    assert stub.seen == []
