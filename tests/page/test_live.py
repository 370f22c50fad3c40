"""Live updates of the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from browser.browsers import ChromiumTab
from page.page_tabs import PageTabs, facts, go, open_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(page_tabs: PageTabs) -> Page:
    return page_tabs.open("live", page="store")


@pytest.fixture(scope="module")
def program(page_tabs: PageTabs) -> ChromiumTab:
    """mobstore on the same origin, without the page."""
    return page_tabs.chromium.tab()


def test_writes_of_another_program_are_shown(page: Page, program: ChromiumTab) -> None:
    expect(facts(page)).to_contain_text("0 events")
    for events in (3, 6):
        program.call("following:append", "live", 3)
        expect(facts(page)).to_contain_text(f"{events} events")

    go(page, page="demo")
    page.get_by_role("button", name="Start a flow").click()
    go(page)
    expect(page.get_by_role("main").get_by_role("link", name="demo-desk")).to_be_visible()


def test_another_store_is_shown_once_it_is_open(page: Page, program: ChromiumTab) -> None:
    """Check that the old store causes no updates."""
    open_store(page, "left")
    go(page, page="store")
    program.start("following:append", "left", 40)
    page.get_by_label("Name of the store").fill("taken")
    page.get_by_role("button", name="Open this store").click()
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
    assert program.finish() == list(range(1, 41))
    program.call("following:append", "taken", 2)
    go(page, page="store")
    expect(facts(page)).to_contain_text("2 events")
    expect(page.get_by_role("alert")).to_have_count(0)
