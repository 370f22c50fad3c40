"""The page shows what changes while it is looked at, whoever changes it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from page.visits import Visits, facts, go

pytestmark = pytest.mark.slow


def test_what_another_program_writes_is_shown(visits: Visits) -> None:
    page = visits.open("live", page="store")
    expect(facts(page)).to_contain_text("0 events")
    program = visits.chromium.tab()  # mobstore on the same origin, without the page
    for events in (3, 6):
        program.call("following:append", "live", 3)
        expect(facts(page)).to_contain_text(f"{events} events")
    program.close()

    go(page, page="demo")
    page.get_by_role("button", name="Start a flow").click()
    go(page)
    expect(page.get_by_role("main").get_by_role("link", name="demo-desk")).to_be_visible()
    page.close()


def test_another_store_is_shown_once_it_is_open(visits: Visits) -> None:
    """Of the store that was left nothing is heard, and leaving it is no change to be shown."""
    page = visits.open("left", page="store")
    program = visits.chromium.tab()
    program.start("following:append", "left", 40)
    page.get_by_label("Name of the store").fill("taken")
    page.get_by_role("button", name="Open this store").click()
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
    assert program.finish() == list(range(1, 41))
    program.call("following:append", "taken", 2)
    go(page, page="store")
    expect(facts(page)).to_contain_text("2 events")
    expect(page.get_by_role("alert")).to_have_count(0)
    program.close()
    page.close()
