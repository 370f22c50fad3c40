"""The built site, served to real browsers, with the code of these tests beside it."""

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
from browser.browsers import Chromium, ChromiumTab, Firefox

HERE = Path(__file__).parent
TESTS = HERE.parent
_INSIDE = (
    "browser/inside/*.py",
    "differential/*.py",
    "engines/support.py",
    "state_machine/*.py",
    "support/*.py",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; what these tests need of their own lies in `tests`."""
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
    """The paths, on the served site, of the wheels that only these tests need."""
    info = json.loads((site / build_site.LOCK).read_bytes())["info"]
    found = build_site.download(HERE / "test-wheels.txt", info)
    for wheel in found:
        shutil.copy(wheel, site / "tests")
    return [f"/tests/{wheel.name}" for wheel in found]


@pytest.fixture(scope="session")
def origin(site: Path) -> Generator[str]:
    """Where the site is served, such as http://127.0.0.1:8000."""
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
    pytest.fail(f"{name} is missing (Debian: apt-get install {name})")


@pytest.fixture(scope="session")
def chromium_program() -> str:
    return _program("chromium")


@pytest.fixture(scope="session")
def firefox_program() -> str:
    return _program("firefox-esr")


# Not for the whole session: while Playwright runs, this thread can run no other event loop.
@pytest.fixture(scope="module")
def chromium(
    chromium_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Chromium]:
    """A Chromium for the tests of a module; in the end it must have asked our server only."""
    with browsers.chromium(
        chromium_program, origin, tmp_path_factory.mktemp("chromium")
    ) as browser:
        yield browser
        assert not browser.asked_elsewhere()


@pytest.fixture(scope="module")
def firefox(
    firefox_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Firefox]:
    """A Firefox for the tests of a module; in the end it must have asked our server only."""
    with browsers.firefox(firefox_program, origin, tmp_path_factory.mktemp("firefox")) as browser:
        yield browser
        assert not browser.asked_elsewhere()


@pytest.fixture(scope="module")
def tab(chromium: Chromium) -> ChromiumTab:
    """A tab of Chromium with Pyodide in a worker, for the tests of a module."""
    return chromium.tab()
