from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from affine import Affine
from table.standins import make_layer, make_plan
from views.browser import needs_browser, run
from views.payloads import CANARY, PAYLOADS, RUN
from views.standins import Pair, make_changes, make_geobox

from geocc.errors import InputError, WriteError
from geocc.table import clean_caption
from geocc.views import report


class Outline(HTMLParser):
    """The elements of a page with the names of their attributes, and the texts of its captions."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.captions, self.raw, self.policy = [], [], {}, ""
        self._open = []
        self._text = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self._open.append(tag)
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"]
        if tag == "p" and dict(attrs).get("dir") == "auto":
            self._text = ""

    def handle_data(self, data):
        if self._text is not None:
            self._text += data
        if self._open and self._open[-1] in {"script", "style"}:
            self.raw[self._open[-1]] = data

    def handle_endtag(self, tag):
        if tag == "p" and self._text is not None:
            self.captions.append(self._text)
            self._text = None
        while self._open and self._open.pop() != tag:
            pass


def page_of(tmp_path, captions, **kwargs):
    pair = Pair(make_geobox(1, len(captions)))
    layer = make_changes(pair.geobox, size=1, captions=captions)
    return report(layer, pair, path=tmp_path / "report.html", **kwargs).read_text(encoding="utf-8")


def test_payloads_change_no_element_and_are_read_as_they_are(tmp_path):
    outline = Outline(page_of(tmp_path, PAYLOADS))
    harmless = Outline(page_of(tmp_path, ["a road was built"] * len(PAYLOADS)))
    assert outline.elements == harmless.elements
    assert outline.raw == harmless.raw
    assert outline.captions == [clean_caption(payload) for payload in PAYLOADS]


@pytest.mark.parametrize("payload", PAYLOADS[::7])
def test_payloads_in_metadata_title_and_errors(tmp_path, payload):
    plan = make_plan(1, 4)
    pair = Pair(plan.geobox)
    pages = []
    for text in ("harmless", payload):
        layer = make_layer(plan, metadata={"model": {"id": text}, "note": text})
        layer.loc[layer.status == "failed", "error"] = clean_caption(text)
        layer["tile_id"] = [f"{index}{clean_caption(text)}" for index in range(4)]
        pages.append(
            Outline(report(layer, pair, path=tmp_path / "r.html", title=clean_caption(text)).read_text("utf-8"))
        )
    assert pages[0].elements == pages[1].elements
    assert clean_caption(payload) in pages[1].captions


def test_the_policy_lets_only_our_script_run_and_nothing_be_fetched(tmp_path):
    page = page_of(tmp_path, ["a road"])
    outline = Outline(page)
    assert outline.policy.startswith("default-src 'none';")
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(outline.raw[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in outline.policy
    assert "unsafe" not in outline.policy
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert sum(tag == "script" for tag, _ in outline.elements) == 1
    assert not [name for _, names in outline.elements for name in names if name.startswith("on") or name == "style"]


def test_counts_dates_and_metadata_are_told(tmp_path):
    plan = make_plan(4, 4)
    page = report(make_layer(plan), Pair(plan.geobox), path=tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (
        "2009-07-15",
        "2020-06-30 17:04",
        "geocc-mini",
        "sha256:0123",
        "EPSG:26914",
        "max_new_tokens",
        "What changed?",
    ):
        assert text in page
    assert re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page) == [
        ("tiles", "16"), ("changed", "4"), ("unchanged", "4"), ("too little data", "4"), ("failed", "4"),
    ]  # fmt: skip
    assert page.count('data-tile="') == 3 * 16


def test_the_most_probable_change_is_listed_first(tmp_path):
    page = page_of(tmp_path, ["first", "second", "third"])
    assert Outline(page).captions == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("height", "width", "size", "changed"),
    [(10, 10, 10, False), (20, 300, 10, True), (300, 20, 10, True), (50, 60, 1, True)],
)
def test_scenes_of_any_shape(tmp_path, height, width, size, changed):
    pair = Pair(make_geobox(height, width, affine=Affine(1.6, 1.2, 500_000, 1.2, -1.6, 4_000_000)))
    layer = make_changes(pair.geobox, size=size, changed=changed)
    page = report(layer, pair, path=tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("No tile changed." in page) is not changed


def test_what_cannot_be_written_is_said(changes, pair, tmp_path, monkeypatch):
    with pytest.raises(WriteError, match="there is no folder"):
        report(changes, pair, path=tmp_path / "missing" / "report.html")
    with pytest.raises(InputError):
        report(None, pair, path=tmp_path / "report.html")
    report(changes, pair, path=tmp_path / "report.html")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    before = (tmp_path / "report.html").read_bytes()
    with pytest.raises(WriteError, match="what was there is as it was"):
        report(changes, pair, path=tmp_path / "report.html", title="Another")
    assert (tmp_path / "report.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


POKE = """<script>
for (const path of document.querySelectorAll('.stage path[data-tile]')) {
  const box = path.getBoundingClientRect();
  for (const type of ['pointerdown', 'pointermove', 'pointerup'])
    path.dispatchEvent(new PointerEvent(type, {bubbles: true, button: 0, clientX: box.x + 1, clientY: box.y + 1}));
}
for (const item of document.querySelectorAll('.captions li')) item.click();
for (const button of document.querySelectorAll('button')) button.click();
document.documentElement.dataset.poked = document.querySelectorAll('.on').length;
</script></body>"""


@pytest.mark.slow
@needs_browser
def test_a_browser_runs_no_payload(tmp_path):
    page_of(tmp_path, PAYLOADS)
    found, console = run(tmp_path / "report.html")
    assert CANARY not in found.partition(">")[0] + found[:500]
    assert console == []
    # Without the policy, and with every tile and caption touched, the escaping has to hold alone.
    unguarded = re.sub(
        r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", (tmp_path / "report.html").read_text("utf-8")
    )
    (tmp_path / "unguarded.html").write_text(unguarded.replace("</body>", POKE), encoding="utf-8")
    found, _ = run(tmp_path / "unguarded.html")
    root = re.search(r"<html[^>]*>", found)[0]
    assert 'data-poked="3"' in root  # two paths and their caption are marked: the script is alive
    assert CANARY not in root


@pytest.mark.slow
@needs_browser
def test_the_canary_sings_where_text_is_taken_for_markup(tmp_path):
    (tmp_path / "naive.html").write_text(f"<!DOCTYPE html><html><body><p><img src=x onerror='{RUN}'></p></body></html>")
    found, _ = run(tmp_path / "naive.html")
    assert CANARY in re.search(r"<html[^>]*>", found)[0]
