"""Pages of others with mobstore, as web/README.md shows them: Pyodide, micropip, PyScript."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import expect

import building
from browser import browsers
from browser.browsers import Chromium
from browser.conftest import chromium_program
from docs.pages import blocks

__all__ = ["chromium_program"]

pytestmark = pytest.mark.slow

README = building.WEB / "README.md"
HTML = {block.code for block in blocks(README, "html")}
JS = [block.code for block in blocks(README, "js")]
(PAGE,) = (code for code in HTML if "own.js" in code)
(PYSCRIPT,) = (code for code in HTML if "pyscript" in code)
OWN, BY_NAME, ALL_WHEELS, INDEX = JS
LOAD = next(line for line in OWN.splitlines() if "loadPackage" in line)
(SIMPLE,) = (block.code for block in blocks(README, "sh") if "simple" in block.code)
SHOW = OWN[OWN.index("document.body") :]
# Headers for PyScript; other pages contain their policy.
POLICY = "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
WORKER = {
    "Content-Security-Policy": f"{POLICY}; worker-src 'self' blob:; connect-src 'self' blob:",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
HEADERS = {"pyscript-main": {"Content-Security-Policy": POLICY}, "pyscript-worker": WORKER}


class Handler(SimpleHTTPRequestHandler):
    """Files with headers by the first folder of their path."""

    def end_headers(self) -> None:
        for name, value in HEADERS.get(self.path.split("/")[1], {}).items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Print nothing."""


@pytest.fixture(scope="module")
def folder(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page in each of its folders, made as the README says."""
    folder = tmp_path_factory.mktemp("pages")

    def add(name: str, page: str, program: str, pyodide: Path) -> Path:
        place = folder / name
        place.mkdir()
        (place / "own.html").write_text(page)
        (place / "own.js").write_text(program)
        (place / "pyodide").symlink_to(pyodide)
        return place

    site = site / "pyodide"
    add("own", PAGE, OWN, site)
    add("by-name", PAGE, OWN.replace(LOAD, BY_NAME), site)
    start = ALL_WHEELS[: ALL_WHEELS.index("const pyodide")]
    every = "Object.keys(packages).map(address)"
    for name, program in (
        ("all-wheels", ALL_WHEELS),
        ("index", start + INDEX),
        ("alone", ALL_WHEELS.replace(every, 'address("mobstore")')),
    ):
        place = add(name, PAGE, program + SHOW, building.PYODIDE)
        (place / "wheels").symlink_to(site)
        subprocess.run(["bash", "-c", SIMPLE], check=True, cwd=place)
    pyscript = building.WEB / "node_modules" / "@pyscript" / "core" / "dist"
    for name, page in (("main", PYSCRIPT), ("worker", PYSCRIPT.replace('py"', 'py" worker'))):
        (add(f"pyscript-{name}", page, "", site) / "pyscript").symlink_to(pyscript)
    return folder


@pytest.fixture(scope="module")
def origin(folder: Path) -> Generator[str]:
    handler = partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium(
    chromium_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Chromium]:
    with browsers.chromium(
        chromium_program, origin, tmp_path_factory.mktemp("chromium")
    ) as browser:
        yield browser
        assert not browser.requests_elsewhere()


@pytest.mark.parametrize(
    "name", ["own", "by-name", "all-wheels", "index", "pyscript-main", "pyscript-worker"]
)
def test_a_page_stores_an_event(chromium: Chromium, name: str) -> None:
    page = chromium.show(f"/{name}/own.html").page
    shown = re.compile(r"\s*event \d+\s*")
    expect(page.locator("body")).to_have_text(shown, timeout=60_000, use_inner_text=True)
    page.close()


def test_the_wheel_alone_is_not_enough_with_the_pyodide_of_npm(chromium: Chromium) -> None:
    with chromium.context.expect_event("weberror", timeout=60_000) as failed:
        page = chromium.show("/alone/own.html").page
    assert "No module named 'pydantic'" in str(failed.value.error)
    page.close()
