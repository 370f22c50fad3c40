"""Stored text is shown as text, whatever it is."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from mobstore.testing.samples import run_id
from page.stores import HOSTILE, export, hostile
from page.visits import Visits, choose, go, news, rows

pytestmark = pytest.mark.slow

RUN = str(run_id(1))


@pytest.fixture(scope="module")
def page(visits: Visits, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A tab with a hostile store under a hostile name."""
    page = visits.open(HOSTILE)
    choose(page, "Choose a file", export(hostile, tmp_path_factory.mktemp("hostile")))
    news(page, "is imported: 4 events, 1 run, 1 definition, 1 profile.")
    return page


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"tab": "profiles"},
        {"mob": HOSTILE},
        {"mob": HOSTILE, "tab": "definition"},
        {"page": "store"},
    ],
    ids=str,
)
def test_areas(page: Page, place: dict[str, str]) -> None:
    go(page, **place)
    expect(page.get_by_role("main").get_by_text(HOSTILE).first).to_be_visible()
    for closed in page.get_by_role("main").locator("details:not([open]) > summary").all():
        closed.click()
    nothing_ran(page)


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ({"mob": HOSTILE, "tab": "events"}, "Events"),
        ({"mob": HOSTILE, "tab": "runs"}, "Runs"),
        ({"run": RUN}, "Steps"),
        ({"run": RUN, "tab": "ledger"}, "Step ledger"),
        ({"run": RUN, "tab": "failures"}, "Failure ledger"),
        ({"run": RUN, "tab": "iterations"}, "Loop iteration ledger"),
        ({"run": RUN, "tab": "outputs"}, "Outputs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_lists_and_details(page: Page, place: dict[str, str], label: str) -> None:
    go(page, **place)
    row = rows(page, label).filter(has_text=HOSTILE).first
    expect(row).to_be_visible()
    row.click()
    if label != "Runs":  # it leads to the run
        expect(page.get_by_role("complementary").get_by_text(HOSTILE).first).to_be_visible()
    nothing_ran(page)


def test_filters(page: Page) -> None:
    go(page, mob=HOSTILE, tab="events", member=HOSTILE, text=HOSTILE)
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("of 4 events")
    expect(page.get_by_label("Contains")).to_have_value(HOSTILE)
    nothing_ran(page)


def test_questions(page: Page) -> None:
    go(page, page="store")
    page.get_by_role("button", name="Erase the store").click()
    expect(page.get_by_role("dialog")).to_contain_text(f'Erase the store "{HOSTILE}"?')
    nothing_ran(page)
    page.get_by_role("button", name="Cancel").click()


def nothing_ran(page: Page) -> None:
    """The policy alone would keep the script from running: no element may come of text at all."""
    expect(page.locator("img, [onerror]")).to_have_count(0)
    expect(page).not_to_have_title("stolen")
