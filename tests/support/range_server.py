"""Serves files with byte ranges from a process of its own, and counts what it sends.

In a thread of the tests it could not answer while rasterio holds the interpreter's lock, which it does where it asks GDAL for the
masks of a remote file: both would wait for each other.
"""

import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

COUNT = "/bytes-sent"


class RangeServer:
    """A running server."""

    def __init__(self, port):
        self.root = f"http://127.0.0.1:{port}"

    @property
    def sent(self):
        """Bytes of files that have been sent."""
        with urlopen(self.root + COUNT, timeout=30) as answer:  # noqa: S310  # our own server
            return int(answer.read())


@contextmanager
def serve(folder):
    """Serve the files of a folder while the context lasts."""
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield RangeServer(int(process.stdout.readline()))
        finally:
            process.terminate()


class _Ranges(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(send=False)

    def do_GET(self):
        if self.path == COUNT:
            self._send(200, str(self.server.sent).encode())
        else:
            self._answer(send=True)

    def _answer(self, *, send):
        path = self.server.folder / self.path.lstrip("/")
        if not path.is_file():
            self._send(404, b"")
            return
        part, wanted = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers, status, size = {"Accept-Ranges": "bytes"}, 200, path.stat().st_size
        if wanted:
            start, stop = int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)
            part, status = part[start : stop + 1], 206
            headers["Content-Range"] = f"bytes {start}-{stop}/{size}"
        if send:
            with self.server.lock:
                self.server.sent += len(part)
        self._send(status, part, headers, send=send)

    def _send(self, status, content, headers=None, *, send=True):
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if send:
            self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


def _main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Ranges)
    server.folder, server.sent, server.lock = Path(sys.argv[1]), 0, threading.Lock()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _main()
