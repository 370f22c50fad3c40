"""The page while Python loads, and when it cannot be loaded."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from page.page_tabs import PageTabs, ready

pytestmark = pytest.mark.slow

RUNTIME = "**/pyodide.asm.wasm"


def test_the_page_is_shown_before_python(page_tabs: PageTabs) -> None:
    held: list[Route] = []
    page = page_tabs.tab()

    def hold(route: Route) -> None:
        held.append(route)

    page.route(RUNTIME, hold)
    page.goto(page_tabs.address("start"), wait_until="domcontentloaded")

    expect(page.get_by_role("heading", name="Inspect mobs")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link", name="Store")).to_be_visible()
    expect(page.get_by_text("nothing leaves this machine")).to_be_visible()
    bar = page.get_by_role("progressbar", name="Loading Python into this browser")
    expect(bar).to_be_visible()
    expect(bar).not_to_have_attribute("value", "0")
    expect(bar).not_to_have_attribute("value", str(bar.get_attribute("max")))
    page.get_by_label("Theme").select_option("Dark")  # it works during the load
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    page.wait_for_timeout(100)
    assert held, "Python was not held back"
    for route in held:
        route.continue_()
    ready(page)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
    page.close()


def test_a_missing_file_is_reported(page_tabs: PageTabs) -> None:
    page = page_tabs.chromium.context.new_page()  # the browser itself logs the missing file
    page.route(RUNTIME, lambda route: route.fulfill(status=404, body="gone"))
    page.goto(page_tabs.address("start"))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("/pyodide/pyodide.asm.wasm could not be fetched (404).")
    expect(page.get_by_role("progressbar")).to_have_count(0)

    page.unroute(RUNTIME)
    alert.get_by_role("button", name="Reload").click()
    ready(page)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.close()


def test_the_runtime_is_loaded_from_this_server(page_tabs: PageTabs) -> None:
    """Check that requests of workers are recorded, too; the check of hosts depends on it."""
    requested = page_tabs.chromium.requested
    assert f"{page_tabs.chromium.origin}/pyodide/pyodide.asm.wasm" in requested
    assert f"{page_tabs.chromium.origin}/inspector.zip" in requested
