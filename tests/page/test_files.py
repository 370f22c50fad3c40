"""Import, export, and erasure of a store."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from page.page_tabs import PageTabs, choose, dismiss_notice, drop, facts, go, open_store, ready

pytestmark = pytest.mark.slow

SAMPLE = ["2 mobs", "99 events", "8 runs"]
IMPORTED = "was imported: 99 events, 8 runs, 2 definitions, 2 profiles."

Bring = Callable[[Page, Path], None]


@pytest.fixture(scope="module")
def tab(page_tabs: PageTabs) -> Page:
    return page_tabs.open("files")


@pytest.fixture
def empty(tab: Page, request: pytest.FixtureRequest) -> Page:
    """A tab with an empty store named after the test."""
    open_store(tab, request.node.name)
    return tab


def press_choose(page: Page, file: Path) -> None:
    choose(page, "Choose a file", file)


def press_open(page: Page, file: Path) -> None:
    choose(page, "Open a file", file)


@pytest.mark.parametrize("bring", [drop, press_choose, press_open])
def test_a_database_of_the_reference(empty: Page, tide_desk: Path, bring: Bring) -> None:
    bring(empty, tide_desk)
    dismiss_notice(empty, f"tide-desk.db {IMPORTED}")
    expect(facts(empty).get_by_role("listitem")).to_have_text(SAMPLE)
    expect(empty.get_by_role("heading", name="tide-desk")).to_be_visible()
    expect(empty.get_by_text("Drop a mob.db or an exported store")).to_be_hidden()
    expect(empty.get_by_role("progressbar")).to_have_count(0)


def test_a_file_dropped_while_another_store_opens(empty: Page, tide_desk: Path) -> None:
    drop(empty, tide_desk)
    dismiss_notice(empty, IMPORTED)
    go(empty, page="store")
    empty.get_by_label("Name of the store").fill("the next")
    empty.get_by_role("button", name="Open this store").click()
    drop(empty, tide_desk)
    dismiss_notice(empty, IMPORTED)
    expect(empty.get_by_text("Store: the next", exact=True)).to_be_visible()
    expect(empty.get_by_role("dialog")).to_have_count(0)


def test_a_double_click_exports_once(empty: Page, tide_desk: Path) -> None:
    drop(empty, tide_desk)
    dismiss_notice(empty, IMPORTED)
    downloads: list[object] = []
    empty.on("download", lambda download: downloads.append(download))  # noqa: PLW0108 - not a built-in
    go(empty, page="store")
    export = empty.get_by_role("button", name="Export the store")
    export.evaluate("button => { button.click(); button.click(); }")  # before the first has ended
    dismiss_notice(empty, "Exported")
    expect(empty.get_by_role("progressbar")).to_have_count(0)
    assert len(downloads) == 1


def test_a_second_file_does_not_mix_with_the_first(empty: Page, tide_desk: Path) -> None:
    name = "test_a_second_file_does_not_mix_with_the_first"
    drop(empty, tide_desk)
    dismiss_notice(empty, IMPORTED)

    drop(empty, tide_desk)
    dialog = empty.get_by_role("dialog", name="Import a database of meerkat-mob")
    expect(dialog).to_contain_text(
        f'An import needs an empty store, and "{name}" holds 2 mobs, 99 events and 8 runs.'
    )
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    expect(facts(empty).get_by_role("listitem")).to_have_text(SAMPLE)

    drop(empty, tide_desk)
    dialog.get_by_label("Name of the other store").fill("second")
    dialog.get_by_role("button", name="Import").click()
    dismiss_notice(empty, IMPORTED)
    expect(empty).to_have_url(re.compile(r"\?store=second"))
    expect(empty.get_by_text("Store: second", exact=True)).to_be_visible()
    expect(facts(empty).get_by_role("listitem")).to_have_text(SAMPLE)

    open_store(empty, name)
    expect(facts(empty).get_by_role("listitem")).to_have_text(SAMPLE)
    drop(empty, tide_desk)
    dialog.get_by_label(f'Erase "{name}" first').check()
    dialog.get_by_role("button", name="Import").click()
    dismiss_notice(empty, IMPORTED)
    expect(facts(empty).get_by_role("listitem")).to_have_text(SAMPLE)


@pytest.mark.parametrize(
    "content",
    [b"Dear diary, this is no database.", b"PK\x03\x04 and then nothing", b""],
    ids=["text", "broken", "empty"],
)
def test_a_wrong_file_is_rejected(empty: Page, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    drop(empty, file)
    alert = empty.get_by_role("alert")
    expect(alert).to_contain_text("notes.txt cannot be imported: ")
    expect(alert).to_contain_text("Nothing was changed.")
    expect(alert).to_contain_text("Drop a mob.db of meerkat-mob 0.5.1 or 0.5.2")
    alert.get_by_role("button", name="Dismiss").click()
    expect(alert).to_have_count(0)
    expect(empty.get_by_role("heading", name="This store is empty")).to_be_visible()


def test_a_deleted_file(empty: Page, tide_desk: Path, tmp_path: Path) -> None:
    file = tmp_path / "gone.db"
    shutil.copy(tide_desk, file)
    drop(empty, file)
    dismiss_notice(empty, IMPORTED)
    drop(empty, file)
    dialog = empty.get_by_role("dialog", name="Import a database of meerkat-mob")
    expect(dialog).to_be_visible()
    file.unlink()
    dialog.get_by_role("button", name="Import").click()
    alert = empty.get_by_role("alert")
    expect(alert).to_contain_text("gone.db cannot be read (")
    expect(alert).to_contain_text("Nothing was imported.")
    alert.get_by_role("button", name="Dismiss").click()
    expect(empty.get_by_role("heading", name="This store is empty")).to_be_visible()


def test_export_erase_and_import(page_tabs: PageTabs, tide_desk: Path, tmp_path: Path) -> None:
    page = page_tabs.open("kept")
    drop(page, tide_desk)
    dismiss_notice(page, IMPORTED)
    go(page, page="store")
    sizes = page.locator("dd")
    expect(sizes.first).to_have_text(re.compile(r"^[\d.]+ ([kMG]?B)$"))

    with page.expect_download() as downloading:
        page.get_by_role("button", name="Export the store").click()
    file = tmp_path / "out.zip"
    downloading.value.save_as(file)
    assert downloading.value.suggested_filename == "kept.zip"
    dismiss_notice(page, "to kept.zip in your downloads.")

    ask = page.get_by_role("button", name="Erase the store")
    dialog = page.get_by_role("dialog", name='Erase the store "kept"?')
    ask.click()
    expect(dialog).to_contain_text("2 mobs, 99 events and 8 runs will be deleted")
    dialog.get_by_role("button", name="Cancel").click()
    ask.click()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.reload()  # the data is stored, not only shown
    ready(page)
    expect(facts(page)).to_contain_text("99 events")
    ask.click()
    dialog.get_by_role("button", name="Erase everything").click()
    dismiss_notice(page, 'The store "kept" is now empty.')
    expect(facts(page)).to_contain_text("0 events")

    choose(page, "Choose a file", file)
    dismiss_notice(page, IMPORTED)
    expect(facts(page)).to_contain_text("99 events")
    go(page)
    expect(facts(page).get_by_role("listitem")).to_have_text(SAMPLE)
    page.close()


def test_space_and_persistence(empty: Page) -> None:
    go(empty, page="store")
    space = empty.locator("section.card").filter(has_text="Space")
    expect(space.locator("dt")).to_have_text(
        ["Used by this site", "Available to this site", "When disk space is short"]
    )
    expect(space.locator("dd").nth(1)).to_have_text(re.compile(r"^\d+(\.\d)? [MGT]B$"))
    expect(space.get_by_label("Used part of the space")).to_be_visible()
    expect(space.locator("dd").nth(2)).to_have_text("the browser may delete the data")
    space.get_by_role("button", name="Ask the browser to keep the data").click()
    agreed = empty.evaluate("navigator.storage.persisted()")
    dismiss_notice(empty, "The browser will keep" if agreed else "The browser declined.")
    kept = "the browser keeps the data" if agreed else "the browser may delete the data"
    expect(space.locator("dd").nth(2)).to_have_text(kept)
