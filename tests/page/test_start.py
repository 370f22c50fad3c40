"""What a person sees while Python is still on its way, and when it does not arrive."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from page.page_tabs import PageTabs, ready

pytestmark = pytest.mark.slow

RUNTIME = "**/pyodide.asm.wasm"


def test_the_shell_is_there_before_python(page_tabs: PageTabs) -> None:
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
    page.get_by_label("Theme").select_option("Dark")  # it answers while it loads
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    page.wait_for_timeout(100)
    assert held, "Python was not held back"
    for route in held:
        route.continue_()
    ready(page)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
    page.close()


def test_what_did_not_arrive_is_told_with_a_way_out(page_tabs: PageTabs) -> None:
    page = page_tabs.chromium.context.new_page()  # the browser complains of the missing file itself
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


def test_the_runtime_is_asked_of_our_own_server(page_tabs: PageTabs) -> None:
    """What the check of the hosts at the end rests on: the worker's requests are recorded too."""
    asked = page_tabs.chromium.requested
    assert f"{page_tabs.chromium.origin}/pyodide/pyodide.asm.wasm" in asked
    assert f"{page_tabs.chromium.origin}/inspector.zip" in asked
