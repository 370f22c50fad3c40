"""Use of the page with the keyboard only."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from page.page_tabs import PageTabs, go, rows

pytestmark = pytest.mark.slow

FOCUSED = """() => {
    const { activeElement: element } = document;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const { top, bottom, width } = element.getBoundingClientRect();
    return {
        text: element.getAttribute("aria-label") ?? element.textContent.trim(),
        somewhere: element !== document.body,
        ringed: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
        seen: width > 1 && bottom > 0 && top < innerHeight,
    };
}"""


def tab_to(wanted: Locator) -> None:
    """Press Tab until `wanted` has the focus; each focused element must be visible."""
    page, passed = wanted.page, list[str]()
    expect(wanted).to_be_visible()
    while len(passed) < 60:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        passed.append(focused["text"])
        assert focused["somewhere"], f"the focus is lost after {passed}"
        assert focused["ringed"], f"the focus is not visible: {passed}"
        assert focused["seen"], f"what has the focus is out of sight: {passed}"
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached: {passed}")


@pytest.fixture(scope="module")
def page(page_tabs: PageTabs) -> Page:
    return page_tabs.open("keyboard")


def test_from_the_address_to_a_run_and_back(page: Page) -> None:
    tab_to(page.get_by_role("link", name="Skip to content"))
    page.keyboard.press("Enter")
    tab_to(page.get_by_role("button", name="Open the sample"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="tide-desk")).to_be_visible()
    expect(page.locator(":focus")).to_have_count(1)  # the button is gone

    tab_to(page.get_by_role("main").get_by_role("link", name="99 events"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_role("status")).to_have_text("99 events")
    events = page.get_by_role("grid", name="Events")
    tab_to(events)

    panel = page.get_by_role("complementary", name="Details")
    for key, row in [("ArrowDown", 2), ("ArrowDown", 3), ("ArrowUp", 2), ("End", 100), ("Home", 2)]:
        page.keyboard.press(key)
        current = page.locator(f"#{events.get_attribute('aria-activedescendant')}")
        expect(current).to_have_attribute("aria-rowindex", str(row))
        expect(current).to_be_in_viewport()
        expect(rows(page, "Events").and_(page.locator("[aria-selected=true]"))).to_have_count(1)
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(events).to_be_focused()

    page.keyboard.press("Enter")
    expect(panel).to_be_visible()
    tab_to(panel.get_by_role("button", name="Close"))
    page.keyboard.press("Enter")
    expect(panel).to_be_hidden()
    expect(events).to_be_focused()


def test_details_that_arrive_late_do_not_open_again(page: Page) -> None:
    go(page, mob="tide-desk", tab="events")
    events = page.get_by_role("grid", name="Events")
    panel = page.get_by_role("complementary", name="Details")
    events.focus()
    page.keyboard.press("ArrowDown")
    expect(panel).to_be_visible()
    press = "new KeyboardEvent('keydown', {key, bubbles: true})"
    events.evaluate(
        f"(grid, keys) => keys.forEach((key) => grid.dispatchEvent({press}))",
        ["ArrowDown", "Escape"],
    )
    expect(panel).to_be_hidden()
    page.wait_for_timeout(500)  # the details were read meanwhile
    expect(panel).to_be_hidden()


def test_a_run_and_its_parts(page: Page) -> None:
    go(page, mob="tide-desk", tab="runs")
    tab_to(page.get_by_role("grid", name="Runs"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Timeline")).to_have_attribute("aria-current", "page")
    tab_to(page.get_by_role("link", name="Frames and loops"))
    page.keyboard.press("Enter")
    tree = page.get_by_role("treegrid", name="Frames and loops")
    expect(tree).to_be_visible()
    expect(page.get_by_role("link", name="Frames and loops")).to_be_focused()
    page.go_back()
    expect(page.get_by_role("grid", name="Steps")).to_be_visible()
    expect(page.locator(":focus")).to_have_count(1)


def test_a_dialog_takes_and_returns_the_focus(page: Page) -> None:
    go(page, page="store")
    tab_to(page.get_by_role("button", name="Erase the store"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Erase the store")).to_be_focused()
