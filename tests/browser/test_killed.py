"""Chromium killed at any time: a store keeps all that it has acknowledged.

Each kill starts from its own files, because Chromium itself may lose data at the second start after
a kill; see docs/decisions.md.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from browser.browsers import Chromium, ChromiumTab
from browser.test_tabs import listen

pytestmark = pytest.mark.slow

FILES = Path("Default", "IndexedDB")


def start_writing(tab: ChromiumTab, name: str) -> None:
    tab.start("work:forever", name, "full", "tag")


def clear(tab: ChromiumTab, origin: str) -> None:
    """Have the browser close and delete all databases."""
    tab.devtools("Storage.clearDataForOrigin", origin=origin, storageTypes="indexeddb")


@pytest.mark.parametrize("seed", range(20))
def test_files_of_a_killed_browser(
    chromium: Chromium, tab: ChromiumTab, tmp_path: Path, seed: int
) -> None:
    """The files that a kill would leave are copied, and opened in place of those written later."""
    name, files, copy = f"killed-{seed}", chromium.profile / FILES, tmp_path / "copy"
    clear(tab, chromium.origin)
    start_writing(tab, name)
    acknowledged = listen(tab, seconds=random.Random(seed).uniform(0, 0.5))
    with chromium.frozen():
        shutil.copytree(files, copy)
    tab.call("work:stop", name)
    tab.messages()  # of writes after the copy
    clear(tab, chromium.origin)
    shutil.rmtree(files)
    copy.rename(files)
    tab.call("work:check", name, acknowledged)


@pytest.mark.parametrize("seed", range(20, 22))
def test_killed_while_it_writes(
    chromium: Chromium, chromium_program: str, tmp_path: Path, seed: int
) -> None:
    with chromium.another(chromium_program, tmp_path) as browser:
        tab = browser.tab()
        start_writing(tab, "killed")
        acknowledged = listen(tab, seconds=random.Random(seed).uniform(0, 0.5))
        browser.kill()
    with chromium.another(chromium_program, tmp_path) as browser:
        browser.tab().call("work:check", "killed", acknowledged)


def test_files_that_the_browser_finds_damaged(
    chromium: Chromium, chromium_program: str, tmp_path: Path
) -> None:
    with chromium.another(chromium_program, tmp_path) as browser:
        tab = browser.tab()
        assert tab.call("handles:open_", "damaged") is None
        assert tab.call("handles:write", "damaged") is None
    (log,) = tmp_path.glob("Default/IndexedDB/*.leveldb/*.log")
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    with chromium.another(chromium_program, tmp_path) as browser:
        tab = browser.tab()
        error = tab.call("handles:open_", "damaged")
        assert error is not None, "an empty store was given for one that is lost"
        assert error["kind"] == "ReadFailedError"
        assert "damaged and has removed them" in error["text"]
        assert tab.call("indexeddb:names") == []
        assert tab.call("handles:open_", "damaged") is None
        assert tab.call("handles:cursors", "damaged") == []
