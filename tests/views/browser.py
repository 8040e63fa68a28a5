"""A browser to run pages in, where there is one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")

# In a Leaflet's place: strings become HTML and elements are put in, as there, and every tooltip and popup opens at once.
LEAFLET = """
"use strict";
const chain = () => new Proxy(function () {}, {
  get: (target, name) => (name === Symbol.toPrimitive ? () => "" : name === "then" ? undefined : chain()),
  apply: () => chain(), construct: () => chain(), set: () => true,
});
const open = (content) => {
  const shown = typeof content === "function" ? content() : content;
  const box = document.createElement("div");
  box.className = "opened";
  if (typeof shown === "string") box.innerHTML = shown; else box.append(shown);
  document.body.append(box);
};
const layer = () => ({
  bindTooltip(content) { open(content); return this; }, bindPopup(content) { open(content); return this; },
  on() { return this; }, addTo() { return this; }, addLayer() { return this; }, setOpacity() { return this; },
});
const L = new Proxy({
  polygon: layer, imageOverlay: layer, layerGroup: layer,
  Control: class { addTo() { document.body.append(this.onAdd()); return this; } },
}, { get: (target, name) => (name in target ? target[name] : chain()) });
window.L = L;
"""


def run(page, *, window="1200,900"):
    """Open a page, let it settle, and return the document as it is then, and what the console said."""
    with tempfile.TemporaryDirectory() as profile:
        ended = subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--enable-logging=stderr", f"--user-data-dir={profile}", f"--window-size={window}",
                "--virtual-time-budget=5000", "--dump-dom", page.as_uri(),
            ],
            check=True, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
