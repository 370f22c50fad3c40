"""Notices and errors: Escape dismisses them, and they cover nothing."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from page.page_tabs import PageTabs, dismiss_notice, go, rows

pytestmark = pytest.mark.slow

COVERED = """(notices) => {
  const { top, bottom, left, right } = notices.getBoundingClientRect();
  const over = (element) => {
    const box = element.getBoundingClientRect();
    return box.top < bottom - 1 && box.bottom > top + 1
        && box.left < right - 1 && box.right > left + 1;
  };
  return ["main", "nav.side", "header.bar", ".panel:not([hidden])"].filter(
      (selector) => [...document.querySelectorAll(selector)].some(over));
}"""


@pytest.fixture(scope="module")
def page(page_tabs: PageTabs) -> Page:
    """A tab with the sample."""
    page = page_tabs.open("notices")
    page.get_by_role("button", name="Open the sample").click()
    dismiss_notice(page, "The sample was imported")
    return page


def fail(page: Page, name: str = "a.txt") -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": "", "buffer": b"text"})
    expect(page.get_by_role("alert").filter(has_text=name)).to_be_visible()


def notice(page: Page) -> None:
    go(page, page="store")
    with page.expect_download():
        page.get_by_role("button", name="Export the store").click()
    expect(page.locator(".job").filter(has_text="in your downloads")).to_be_visible()


def test_escape_dismisses_the_newest_message(page: Page) -> None:
    fail(page, "a.txt")
    notice(page)
    fail(page, "b.txt")
    for alerts, notices in [(1, 1), (1, 0), (0, 0)]:
        page.keyboard.press("Escape")
        expect(page.get_by_role("alert")).to_have_count(alerts)
        expect(page.locator(".job")).to_have_count(notices)
    page.keyboard.press("Escape")


def test_escape_closes_details_first(page: Page) -> None:
    fail(page)
    go(page, mob="tide-desk", tab="events")
    rows(page, "Events").first.click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_escape_closes_a_dialog_first(page: Page) -> None:
    fail(page)
    go(page, page="store")
    page.get_by_role("button", name="Erase the store").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_focus_is_not_lost(page: Page) -> None:
    fail(page)
    page.get_by_role("alert").get_by_role("button", name="Dismiss").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("main")).to_be_focused()


@pytest.mark.parametrize("width", [390, 820, 1000, 1440])
def test_notices_cover_nothing(page: Page, width: int) -> None:
    notice(page)
    go(page, mob="tide-desk", tab="events")
    rows(page, "Events").first.click()
    expect(page.get_by_role("complementary", name="Details")).to_be_visible()
    page.set_viewport_size({"width": width, "height": 844})
    job = page.locator(".job")
    expect(job).to_be_in_viewport(ratio=1)
    covered: list[Any] = page.locator("#jobs").evaluate(COVERED)
    assert covered == []
    dismiss_notice(page, "in your downloads")
    page.set_viewport_size({"width": 1440, "height": 900})
