"""Tabs with the page, and helpers to act in them and to find elements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from browser.browsers import Chromium

_MILLISECONDS_TO_START = 90_000


class PageTabs:
    """Tabs with the page in one Chromium.

    Attributes:
        complaints: errors and warnings in their consoles.
    """

    def __init__(self, chromium: Chromium) -> None:
        self.chromium = chromium
        self.complaints: list[str] = []

    def tab(self) -> Page:
        """Open an empty tab."""
        page = self.chromium.context.new_page()
        page.set_viewport_size({"width": 1440, "height": 900})
        self.watch(page)
        return page

    def watch(self, page: Page) -> None:
        """Record the complaints of a tab from now on."""
        page.on("console", self._record)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _record(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def address(self, store: str, **place: str) -> str:
        """Return the address of a route in a store, such as `run="…", tab="tree"`."""
        return f"{self.chromium.origin}/?store={quote(store)}{fragment(place)}"

    def open(self, store: str, **place: str) -> Page:
        """Open a tab with the page, and wait until it is ready."""
        page = self.tab()
        page.goto(self.address(store, **place))
        ready(page)
        return page


def fragment(place: Mapping[str, str]) -> str:
    """Return the part of an address that names a route."""
    return f"#{urlencode(place)}"


def ready(page: Page) -> None:
    """Wait until Python runs and the store is shown."""
    expect(page.get_by_role("button", name="Open a file")).to_be_enabled(
        timeout=_MILLISECONDS_TO_START
    )


def go(tab: Page, /, **place: str) -> None:
    """Go to a route in the same store, and wait until it is shown."""
    tab.goto(f"{tab.url.partition('#')[0]}{fragment(place)}")
    settled(tab)


def open_store(page: Page, name: str) -> None:
    """Open another store in the same tab, without a new start of Python."""
    go(page, page="store")
    page.get_by_label("Name of the store").fill(name)
    page.get_by_role("button", name="Open this store").click()
    expect(page.get_by_text(f"Store: {name}", exact=True)).to_be_visible()


def settled(page: Page) -> None:
    """Wait until the view of the address is complete."""
    expect(page.get_by_role("main")).not_to_have_attribute("aria-busy", "true")


def drop(page: Page, file: Path) -> None:
    """Drag a file from outside the browser and drop it on the page."""
    devtools: Any = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for event in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": event, "x": 600, "y": 400, "data": data})
    devtools.detach()


def choose(page: Page, button: str, file: Path) -> None:
    """Press a button that opens a file chooser, and choose a file."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=button).click()
    chooser.value.set_files(file)


def facts(page: Page) -> Locator:
    """Locate the facts below the title of a view."""
    return page.get_by_role("main").locator(".facts")


def dismiss_notice(page: Page, text: str) -> None:
    """Wait for a notice, and dismiss it."""
    message = page.locator(".job").filter(has_text=text)
    message.get_by_role("button", name="Dismiss").click()


def rows(page: Page, label: str) -> Locator:
    """Locate the rows of a list that are in the document."""
    return page.get_by_label(label, exact=True).locator("[role=row][aria-selected]")
