"""Checks of every view with axe-core, light and dark, on a desktop and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

import build_site
from page.page_tabs import PageTabs, dismiss_notice, go, rows

pytestmark = pytest.mark.slow

AXE = build_site.WEB / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """async (runOnly) => {
    const { violations } = await axe.run({ resultTypes: ["violations"], ...runOnly });
    return violations.flatMap(({ id, nodes }) => nodes.map(
        ({ html, failureSummary }) => `${id}: ${html.slice(0, 200)}: ${failureSummary}`));
}"""
TOO_WIDE = """() => [...document.querySelectorAll("html, body, main, .view")].filter(
    (element) => element.scrollWidth > element.clientWidth).map((element) => element.tagName)"""
RUN = "82b33599-8604-4719-a6de-bfdb8825ae56"
MOB = "tide-desk"

VIEWS: dict[str, tuple[dict[str, str], str]] = {
    "mobs": ({}, ""),
    "events of all": ({"tab": "events"}, "Events"),
    "profiles": ({"tab": "profiles"}, ""),
    "workers": ({"tab": "workers"}, ""),
    "roster": ({"mob": MOB}, ""),
    "events": ({"mob": MOB, "tab": "events", "type": "flow_started"}, "Events"),
    "runs": ({"mob": MOB, "tab": "runs"}, ""),
    "definition": ({"mob": MOB, "tab": "definition"}, ""),
    "timeline": ({"run": RUN}, "Steps"),
    "frames": ({"run": RUN, "tab": "tree"}, "Frames and loops"),
    "ledger": ({"run": RUN, "tab": "ledger"}, "Step ledger"),
    "failures": ({"run": RUN, "tab": "failures"}, ""),
    "iterations": ({"run": RUN, "tab": "iterations"}, "Loop iteration ledger"),
    "outputs": ({"run": RUN, "tab": "outputs"}, "Outputs"),
    "state": ({"run": RUN, "tab": "state"}, ""),
    "demo": ({"page": "demo"}, ""),
    "race": ({"page": "race"}, ""),
    "store": ({"page": "store"}, ""),
}
"""Routes; for views with details, the list with the row that opens them."""


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
            rules = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
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
