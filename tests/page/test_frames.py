"""The page in frames of other pages."""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import expect

from browser import browsers
from browser.browsers import Firefox, FirefoxTab

pytestmark = pytest.mark.slow


class _Bare(SimpleHTTPRequestHandler):
    """A host without security headers."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


@pytest.fixture(scope="module")
def bare(site: Path) -> Generator[str]:
    """The address of the site on a host without headers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Bare, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def frame(tmp_path: Path) -> Generator[str]:
    """A page of another origin, which frames the address after its "?"."""
    (tmp_path / "index.html").write_text(
        """<!doctype html><iframe></iframe><script src="frame.js"></script>"""
    )
    (tmp_path / "frame.js").write_text(
        "const frame = document.querySelector('iframe');"
        "frame.onload = () => document.title = 'loaded';"
        "frame.src = decodeURIComponent(location.search.slice(1));"
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Bare, directory=str(tmp_path))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/?"
        server.shutdown()
        thread.join()


def test_chromium(
    chromium_program: str, origin: str, frame: str, bare: str, tmp_path: Path
) -> None:
    with browsers.chromium(chromium_program, origin, tmp_path / "profile") as chromium:
        page = chromium.context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{frame}{origin}/")
        expect(page).to_have_title("loaded")
        assert any("frame-ancestors 'none'" in text for text in said), said
        framed = page.frame_locator("iframe")
        expect(framed.get_by_text("mobstore")).to_have_count(0)

        page.goto(f"{frame}{bare}/?store=framed%23tab=events")
        expect(framed.get_by_role("heading", name="Not shown in a frame")).to_be_visible()
        expect(framed.get_by_role("button", name="Open a file")).to_be_disabled()
        assert page.workers == []
        with page.context.expect_page() as opened:
            framed.get_by_role("link", name="Open it in a new tab").click()
        assert opened.value.url == f"{bare}/?store=framed#tab=events"


def test_firefox(firefox_program: str, origin: str, frame: str, bare: str, tmp_path: Path) -> None:
    with browsers.firefox(firefox_program, origin, tmp_path) as firefox:
        assert "Not shown in a frame" in _framed(firefox, frame, bare)
        assert "mobstore" not in _framed(firefox, frame, origin)


def _framed(firefox: Firefox, frame: str, site: str) -> str:
    """Return the text of a site in a frame of another one in Firefox."""
    top = firefox.command("browsingContext.create", type="tab")["context"]
    firefox.command("browsingContext.navigate", context=top, url=f"{frame}{site}/", wait="none")
    tab = FirefoxTab(firefox, top)
    for title in iter(lambda: tab.run("() => document.title"), "loaded"):
        assert title == ""
        time.sleep(0.05)
    (child,) = firefox.command("browsingContext.getTree", root=top)["contexts"][0]["children"]
    text = FirefoxTab(firefox, child["context"]).run(
        """async () => {
          while (!document.body) await new Promise((next) => setTimeout(next, 20));
          for (let turn = 0; turn < 100 && !document.querySelector("main .empty"); turn++)
            await new Promise((next) => setTimeout(next, 20));
          return document.body.innerText;
        }"""
    )
    tab.close()
    return text
