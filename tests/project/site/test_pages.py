"""Every page of the built site, opened in headless Chromium: `make test-docs`."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

SITE = Path(__file__).parents[3] / "site"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
DESKTOP, PHONE = 1280, 390  # CSS pixels

sync_api = pytest.importorskip("playwright.sync_api", reason="needs pip install '.[test-docs]'")
if not PAGES:
    pytest.skip("The site is not built: make docs", allow_module_level=True)
if not CHROMIUM:
    pytest.skip("No Chromium here: CHROMIUM=path names one", allow_module_level=True)

# What reaches beyond the window, and neither scrolls inside itself nor waits outside as a drawer.
WIDE = """() => {
    const width = document.documentElement.clientWidth;
    const scrolls = e => /auto|scroll/.test(getComputedStyle(e).overflowX);
    const wide = [...document.body.querySelectorAll("*")].filter(e => {
        const box = e.getBoundingClientRect();
        if (!box.width || !box.height || box.right <= width + 1 || box.left >= width) return false;
        for (let a = e.parentElement; a && a !== document.body; a = a.parentElement)
            if (scrolls(a)) return false;
        return true;
    }).map(e => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`);
    if (document.scrollingElement.scrollWidth > width) wide.push("the page itself");
    return wide;
}"""
LINKS = "() => [...document.querySelectorAll('a[href]')].map(a => a.href)"
IDS = "() => [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name)"
IMAGES = "() => [...document.images].filter(i => !i.naturalWidth).map(i => i.src)"


class Visit(NamedTuple):
    """What one page did and holds."""

    complaints: list[str]  # of the console, of requests that failed or went elsewhere
    links: set[str]
    ids: set[str]
    wide: dict[int, list[str]]  # by width of the window


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing of requests."""

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def served(directory):
    """The address of a directory, as a web server gives it out."""
    handler = functools.partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += ["--disable-quic", "--no-first-run"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def visit(browser, address, page):
    """Opens one page at both widths."""
    complaints = []
    tab = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    tab.on(
        "response", lambda it: complaints.append(f"{it.status}: {it.url}") if not it.ok else None
    )
    tab.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else complaints.append(f"elsewhere: {request.url}")
        ),
    )
    tab.goto(address + page, wait_until="load")
    tab.evaluate("() => document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    tab.wait_for_load_state("networkidle")
    complaints += [f"no image: {source}" for source in tab.evaluate(IMAGES)]
    wide = {DESKTOP: tab.evaluate(WIDE)}
    tab.set_viewport_size({"width": PHONE, "height": 844})
    wide[PHONE] = tab.evaluate(WIDE)
    seen = Visit(complaints, {*tab.evaluate(LINKS)}, {*tab.evaluate(IDS)}, wide)
    tab.close()
    return seen


def dead_links(page, visits, address, directory):
    """Links of a page to files or anchors of the site that are not there."""
    for link in sorted(visits[page].links):
        if not link.startswith(address):
            continue
        target, anchor = urldefrag(link)
        path = unquote(urlsplit(target).path).lstrip("/") or "index.html"
        known = visits[path].ids if path in visits else {unquote(anchor)}
        if not (directory / path).is_file() or (anchor and unquote(anchor) not in known):
            yield link


@pytest.fixture(scope="module")
def visits(browser):
    with served(SITE) as address:
        yield address, {page: visit(browser, address, page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_nothing_fails_and_nothing_comes_from_elsewhere(visits, page):
    assert not visits[1][page].complaints


@pytest.mark.parametrize("page", PAGES)
def test_no_link_and_no_anchor_is_dead(visits, page):
    address, seen = visits
    assert not [*dead_links(page, seen, address, SITE)]


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_wider_than_the_window(visits, page, width):
    assert not visits[1][page].wide[width]


def test_a_bad_page_is_found_out(browser, tmp_path):
    (tmp_path / "other.html").write_text("<p id='there'>", encoding="utf-8")
    (tmp_path / "bad.html").write_text(
        "<link rel='icon' href='data:,'><script>console.error('oh')</script><script src='no.js'>"
        "</script><img src='no.png'><img src='http://127.0.0.1:9/x.png'><a href='gone.html'></a>"
        "<a href='other.html#gone'></a><a href='other.html#there'></a><p style='width:500px'>x</p>"
        "<div style='overflow-x:auto'><p style='width:2000px'>fine</p></div>",
        encoding="utf-8",
    )
    with served(tmp_path) as address:
        seen = {page: visit(browser, address, page) for page in ("bad.html", "other.html")}
        dead = [*dead_links("bad.html", seen, address, tmp_path)]
    said = "\n".join(seen["bad.html"].complaints)
    for part in ("oh", "404: ", "no.js", "no image: ", "elsewhere: http://127.0.0.1:9/x.png"):
        assert part in said
    assert dead == [f"{address}gone.html", f"{address}other.html#gone"]
    assert seen["bad.html"].wide[DESKTOP] == []
    assert seen["bad.html"].wide[PHONE] == ["P. x", "the page itself"]
    assert not [*dead_links("other.html", seen, address, tmp_path)]
