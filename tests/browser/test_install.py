"""Installation of mobstore in a page, and its options there."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.browsers import Chromium, ChromiumTab

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def test_by_name_with_micropip(chromium: Chromium) -> None:
    tab = chromium.tab(install="mobstore")
    assert tab.call("environment:stores_an_event", "by-name") == 1
    tab.close()


def test_by_address_with_micropip(chromium: Chromium, site: Path) -> None:
    (wheel,) = (site / "pyodide").glob("mobstore-*.whl")
    tab = chromium.tab(install=f"{chromium.origin}/pyodide/{wheel.name}")
    assert tab.call("environment:stores_an_event", "by-address") == 1
    tab.close()


def test_requests_of_workers_are_recorded(chromium: Chromium, tab: ChromiumTab) -> None:
    """The fixture `chromium` asserts that none of them went to another server."""
    tab.call("environment:evaluates")
    for file in ("pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip"):
        assert f"{chromium.origin}/pyodide/{file}" in chromium.requested


def test_sqlite_is_absent(tab: ChromiumTab) -> None:
    texts = tab.call("environment:sqlite_names")
    assert "use IndexedDbMobStores" in texts["SqliteMobStores"]
    assert "use IndexedDbRealmProfileStore" in texts["SqliteRealmProfileStore"]
    error = tab.call("environment:refusal", "sqlite:mobs.db")
    assert error["kind"] == "UsageError"
    assert "indexeddb:NAME" in error["text"]


@pytest.mark.parametrize(
    ("options", "durability"),
    [({}, "strict"), ({"durability": "full"}, "strict"), ({"durability": "normal"}, "relaxed")],
    ids=str,
)
def test_durability(tab: ChromiumTab, options: dict[str, str], durability: str) -> None:
    """The tests of killed browsers cannot distinguish them: the system keeps written files."""
    assert tab.call("durability:of_transactions", options) == [durability]
