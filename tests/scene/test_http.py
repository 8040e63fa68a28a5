"""A cloud-optimised GeoTIFF behind HTTP: only the blocks under the tiles travel."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from shapely import box
from support import rasters
from support.captioners import StubCaptioner

import geocc
from geocc.scene import open_pair, plan_tiles
from geocc.scene.reading import read_tiles

GRID = rasters.grid(2048, 2048)


class _Ranges(BaseHTTPRequestHandler):
    """Serves one file with byte ranges, and counts what it sends."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(send=False)

    def do_GET(self):
        self._answer(send=True)

    def _answer(self, *, send):
        content = self.server.files.get(self.path)
        if content is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        part, wanted = content, re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            start, stop = int(wanted[1]), min(int(wanted[2] or len(content) - 1), len(content) - 1)
            part = content[start : stop + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if send:
            with self.server.lock:
                self.server.sent += len(part)
            self.wfile.write(part)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(tmp_path):
    values = np.random.default_rng(3).integers(0, 255, (3, *GRID.shape), np.uint8)
    plain = rasters.write(tmp_path / "plain.tif", GRID, values)
    copy(plain, tmp_path / "cog.tif", driver="COG", compress="deflate", blocksize=256)
    served = ThreadingHTTPServer(("127.0.0.1", 0), _Ranges)
    served.files = {f"/{name}.tif": (tmp_path / "cog.tif").read_bytes() for name in ("t1", "t2")}
    served.sent, served.lock = 0, threading.Lock()
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    # What stays in GDAL's cache of remote files would not be counted.
    with rasterio.Env(CPL_VSIL_CURL_NON_CACHED="/vsicurl/http://127.0.0.1", GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        yield served, [f"http://127.0.0.1:{served.server_address[1]}/{name}.tif" for name in ("t1", "t2")], values
    served.shutdown()
    thread.join()
    served.server_close()


def test_a_corner_of_a_remote_scene_costs_a_corner_of_its_bytes(server):
    served, addresses, values = server
    size = len(served.files["/t1.tif"])
    pair = open_pair(*addresses)
    assert served.sent < 0.1 * size
    plan = plan_tiles(pair, tile_size=128, stride=64, roi=box(*pair.geobox[600:900, 600:900].boundingbox.bbox))
    for read in read_tiles(pair, plan):
        window = plan[read.position]
        np.testing.assert_array_equal(read.tile.image[0], values[:, window.rows, window.cols])
    # 3 x 3 blocks of 8 x 8 for each date, and what GDAL reads around them.
    assert served.sent < 0.25 * 2 * size


def test_a_remote_scene_is_captioned_and_resumed_by_its_pixels(server, tmp_path):
    _, addresses, _ = server
    layer = geocc.caption_changes(
        *addresses, model=StubCaptioner(), tile_size=512, output=tmp_path / "changes.gpkg", progress=False
    )
    assert set(layer["status"]) == {"ok"}


def test_a_remote_scene_that_is_gone_is_told(server):
    _, addresses, _ = server
    with pytest.raises(geocc.errors.ReadError, match="cannot be opened"):
        open_pair(addresses[0], addresses[1].replace("t2", "t3"))
