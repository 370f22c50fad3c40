"""Fixtures: the built and served site with the code of these tests, browsers, and tabs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import pytest

import build_site
import serve
from browser import browsers
from browser.browsers import Chromium, ChromiumTab, Firefox, FirefoxTab
from support.postgres import programs

HERE = Path(__file__).parent
TESTS = HERE.parent
_INSIDE = (
    "browser/inside/*.py",
    "differential/*.py",
    "engines/forkserver.py",
    "engines/support.py",
    "state_machine/*.py",
    "support/*.py",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site, with these tests' own files in its folder `tests`."""
    folder = tmp_path_factory.mktemp("site")
    try:
        build_site.build(folder)
    except build_site.BuildError as error:
        pytest.fail(str(error))
    shutil.copytree(HERE / "harness", folder / "tests")
    with ZipFile(folder / "tests" / "code.zip", "w") as code:
        for pattern in _INSIDE:
            for file in TESTS.glob(pattern):
                code.write(file, file.relative_to(TESTS))
    return folder


@pytest.fixture(scope="session")
def wheels(site: Path) -> list[str]:
    """Paths, on the served site, of the wheels that only these tests need."""
    info = json.loads((site / build_site.LOCK).read_bytes())["info"]
    found = build_site.download(HERE / "test-wheels.txt", info)
    for wheel in found:
        shutil.copy(wheel, site / "tests")
    return [f"/tests/{wheel.name}" for wheel in found]


@pytest.fixture(scope="session")
def origin(site: Path) -> Generator[str]:
    """Origin of the served site, such as http://127.0.0.1:8000."""
    server = serve.make_server(site)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _program(name: str) -> str:
    if program := shutil.which(name):
        return program
    # In CI only: elsewhere tests/conftest.py skips tests in a missing browser.
    pytest.fail(programs.missing(name))


@pytest.fixture(scope="session")
def chromium_program() -> str:
    return _program("chromium")


@pytest.fixture(scope="session")
def firefox_program() -> str:
    return _program("firefox-esr")


@pytest.fixture(scope="session")
def webkit_program() -> str:
    _program("Xvfb")
    return _program("WebKitWebDriver")


# For this package, not for the session: while Playwright runs, this thread can run no other event
# loop.
@pytest.fixture(scope="package")
def chromium(
    chromium_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Chromium]:
    """A Chromium for these tests; it must send requests to the tests' server only."""
    with browsers.chromium(
        chromium_program, origin, tmp_path_factory.mktemp("chromium")
    ) as browser:
        yield browser
        assert not browser.requests_elsewhere()


@pytest.fixture(scope="package")
def firefox(
    firefox_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Firefox]:
    """A Firefox for these tests; it must send requests to the tests' server only."""
    with browsers.firefox(firefox_program, origin, tmp_path_factory.mktemp("firefox")) as browser:
        yield browser
        assert not browser.requests_elsewhere()


# Tabs in which Pyodide starts once. Each test uses its own database in them. A test that changes a
# tab's Python for good, or fills its memory, opens another tab.


@pytest.fixture(scope="package")
def tab(chromium: Chromium) -> ChromiumTab:
    """A tab of Chromium with Pyodide in a worker."""
    return chromium.tab()


@pytest.fixture(scope="package")
def other_tab(chromium: Chromium) -> ChromiumTab:
    """A second tab like `tab`."""
    return chromium.tab()


@pytest.fixture(scope="package")
def newer_tab(chromium: Chromium) -> ChromiumTab:
    """A tab of Chromium with a mobstore of the next format."""
    tab = chromium.tab()
    tab.call("newer:become")
    return tab


@pytest.fixture(scope="package")
def older_tab(chromium: Chromium) -> ChromiumTab:
    """A tab of Chromium with a mobstore of format 1."""
    tab = chromium.tab()
    tab.call("older:become")
    return tab


@pytest.fixture(scope="package")
def page_tab(chromium: Chromium) -> ChromiumTab:
    """A tab of Chromium with Pyodide in the page itself."""
    return chromium.tab("page")


@pytest.fixture(scope="package")
def firefox_tab(firefox: Firefox) -> FirefoxTab:
    """A tab of Firefox with Pyodide in a worker."""
    return firefox.tab()


@pytest.fixture(scope="package")
def other_firefox_tab(firefox: Firefox) -> FirefoxTab:
    """A second tab like `firefox_tab`."""
    return firefox.tab()
