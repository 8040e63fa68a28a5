"""Against a server on loopback that answers as vLLM does."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from geocc.errors import CaptionError, InputError
from geocc.inference import EndpointCaptioner, TileBatch
from geocc.inference.captioner import Captioner

BATCH = TileBatch(
    images=np.arange(2 * 2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 2, 3, 8, 8), tile_ids=("left", "right")
)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.requests.append((dict(self.headers), self.path, body))
        status, answer = server.answers.pop(0) if server.answers else (200, echo(body))
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_):
        pass


def images(body):
    urls = [part["image_url"]["url"] for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))).transpose(2, 0, 1) for url in urls]


def echo(body):
    text = f"from {images(body)[0][0, 0, 0]} to {images(body)[1][0, 0, 0]}"
    return {"choices": [{"message": {"content": text}}]}


def message(text):
    return {"choices": [{"message": {"content": text}}]}


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def captioner(server, **options):
    options = {"retries": 0} | options
    return EndpointCaptioner(f"http://user:secret@127.0.0.1:{server.server_port}/v1/", "some-vlm", **options)


def test_it_is_a_captioner(server):
    assert isinstance(captioner(server), Captioner)


def test_both_dates_arrive_in_order_and_bit_by_bit(server):
    captions = captioner(server).caption(BATCH)
    expected = [f"from {pair[0, 0, 0, 0]} to {pair[1, 0, 0, 0]}" for pair in BATCH.images]
    assert [caption.text for caption in captions] == expected
    by_first_pixel = {int(images(body)[0][0, 0, 0]): images(body) for _, _, body in server.requests}
    for pair in BATCH.images:
        np.testing.assert_array_equal(by_first_pixel[int(pair[0, 0, 0, 0])], pair)
    assert {path for _, path, _ in server.requests} == {"/v1/chat/completions"}


def test_changed_follows_the_text(server):
    server.answers = [(200, message("The scene is the same as before.")), (200, message("a house appears"))]
    captions = captioner(server, concurrency=1).caption(BATCH)
    assert [caption.changed for caption in captions] == [False, True]
    assert np.isnan(captions[0].change_probability)


def test_the_key_comes_from_the_environment_and_stays_there(server, monkeypatch):
    monkeypatch.setenv("VLM_KEY", "sk-very-secret")
    made = captioner(server, api_key_variable="VLM_KEY")
    made.caption(BATCH)
    assert server.requests[0][0]["Authorization"] == "Bearer sk-very-secret"
    assert "secret" not in repr(made.details)


def test_a_missing_key_is_named(server):
    with pytest.raises(InputError, match="NO_SUCH_KEY holds no key"):
        captioner(server, api_key_variable="NO_SUCH_KEY")


def test_it_comes_back_when_the_server_is_busy(server):
    server.answers = [(503, {}), (200, message("a road is built"))]
    one = TileBatch(images=BATCH.images[:1], tile_ids=("left",))
    assert captioner(server, retries=2).caption(one)[0].text == "a road is built"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {"error": "no"}), "failed with status 401"),
        ((503, {}), "failed with status 503"),
        ((200, {"choices": []}), "without a message"),
        ((200, message("  ")), "empty answer"),
        ((200, message(None)), "empty answer"),
    ],
)
def test_a_refusal_is_an_error_without_secrets(server, answer, said):
    server.answers = [answer] * 2
    with pytest.raises(CaptionError, match=said) as caught:
        captioner(server, concurrency=1).caption(BATCH)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_an_error_without_secrets():
    with pytest.raises(CaptionError, match="check that it is running") as caught:
        EndpointCaptioner("http://u:secret@127.0.0.1:9/v1", "m", retries=0).caption(BATCH)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host/v1", "http://"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(InputError, match="base_url is"):
        EndpointCaptioner(url, "m")
