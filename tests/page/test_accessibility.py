"""Checks of every view with axe-core, light and dark, on a desktop and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

import build_site
from page.page_tabs import PageTabs, dismiss_notice, go, rows
from shots import LOOPING, VIEWS

pytestmark = pytest.mark.slow

AXE = build_site.WEB / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """async (options) => {
    const { violations } = await axe.run({ resultTypes: ["violations"], ...options });
    return violations.flatMap(({ id, nodes }) => nodes.map(
        ({ html, failureSummary }) => `${id}: ${html.slice(0, 200)}: ${failureSummary}`));
}"""
ALL_RULES = {"rules": {"target-size": {"enabled": True}}}  # no control is under 24 px
TOO_WIDE = """() => [...document.querySelectorAll("html, body, main, .view")].filter(
    (element) => element.scrollWidth > element.clientWidth).map((element) => element.tagName)"""


@pytest.fixture(scope="module")
def page(page_tabs: PageTabs) -> Page:
    """A tab with the sample, and axe-core in it."""
    page = page_tabs.tab()
    page.add_init_script(path=AXE)
    page.goto(page_tabs.address("accessible"))
    page.get_by_role("button", name="Open the sample").click(timeout=90_000)
    dismiss_notice(page, "The sample was imported")
    return page


def violations(page: Page) -> list[str]:
    """List violations of axe-core, and elements that are too wide."""
    found: list[str] = []
    for width, height in [(360, 740), (1440, 900)]:
        page.set_viewport_size({"width": width, "height": height})
        wide: list[Any] = page.evaluate(TOO_WIDE)
        found += [f"{width} px: {tag} scrolls sideways" for tag in wide]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            # A scheme changes colours only, so the other rules hold for both.
            rules = ALL_RULES if scheme == "light" else {"runOnly": ["color-contrast"]}
            texts: list[str] = page.evaluate(RUN_AXE, rules)
            found += [f"{width} px, {scheme}: {text}" for text in texts]
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_views(page: Page, view: str) -> None:
    place, opens = VIEWS[view]
    page.set_viewport_size({"width": 1440, "height": 900})
    go(page, **place)
    if opens:
        rows(page, opens).first.click()
        expect(page.get_by_role("complementary", name="Details")).to_be_visible()
    closed = page.get_by_role("main").locator("details:not([open]) > summary")
    for number in reversed(range(closed.count())):  # an opened one no longer counts
        closed.nth(number).click()
    assert violations(page) == []


def test_cells(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    go(page, page="python")
    for source in (
        "print('printed')\nawait stores.overview()",
        f"await stores.runs.get_run('{LOOPING}')",
        "mobstore.Listing(await stores.events.poll())",
        "1 / 0",
        "list(range(10_000))",
    ):
        page.get_by_label("Python code").fill(source)
        page.get_by_label("Python code").press("Shift+Enter")
        cell = page.get_by_role("list", name="Cells").locator(":scope > li").first
        expect(cell.get_by_role("heading")).to_contain_text(" after ", timeout=90_000)
    for closed in page.locator(".display summary").all():
        closed.click()
    assert violations(page) == []


def test_an_empty_store_and_a_failure(page: Page) -> None:
    go(page, page="store")
    page.get_by_label("Name of the store").fill("empty")
    page.get_by_role("button", name="Open this store").click()
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
    page.locator("#file").set_input_files({"name": "a.txt", "mimeType": "", "buffer": b"text"})
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []


def test_a_dialog(page: Page) -> None:
    go(page, page="store")
    page.get_by_role("button", name="Erase the store").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def test_while_it_loads(page_tabs: PageTabs) -> None:
    page = page_tabs.tab()
    page.add_init_script(path=AXE)
    page.route("**/pyodide.asm.wasm", lambda _: None)
    page.goto(page_tabs.address("loading"))
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert violations(page) == []
    page.close()
