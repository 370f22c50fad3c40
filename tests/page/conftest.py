"""Fixtures for tests that use the page of the built site in Chromium.

The site, its server and the browser come from `browser.conftest`.
"""

from __future__ import annotations

import gzip
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser import browsers
from browser.browsers import Chromium
from browser.conftest import chromium_program, firefox_program, origin, site
from page.page_tabs import PageTabs
from support.golden import GOLDEN

__all__ = ["chromium_program", "firefox_program", "origin", "site"]

expect.set_options(timeout=30_000)


# Not for the whole package: while Playwright runs, this thread can run no other event loop.
@pytest.fixture(scope="module")
def chromium(
    chromium_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Chromium]:
    """A Chromium for the tests of a module; it must send requests to the tests' server only."""
    with browsers.chromium(
        chromium_program, origin, tmp_path_factory.mktemp("chromium")
    ) as browser:
        yield browser
        assert not browser.requests_elsewhere()


@pytest.fixture(scope="module")
def page_tabs(chromium: Chromium) -> Generator[PageTabs]:
    """Tabs with the page for the tests of a module; their consoles must have no complaints."""
    page_tabs = PageTabs(chromium)
    yield page_tabs
    assert page_tabs.complaints == []


@pytest.fixture(scope="session")
def tide_desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database written by meerkat-mob."""
    file = tmp_path_factory.mktemp("reference") / "tide-desk.db"
    file.write_bytes(gzip.decompress((GOLDEN / "tide-desk-meerkat-0.5.2.db.gz").read_bytes()))
    return file
