"""A browser that is killed at any moment has kept all that a store acknowledged.

Each kill has a profile of its own, for what Chromium itself may lose at the second start after one:
see docs/decisions.md.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from browser.browsers import chromium
from browser.test_tabs import listen

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(20))
def test_killed_while_it_writes(
    chromium_program: str, origin: str, tmp_path: Path, seed: int
) -> None:
    with chromium(chromium_program, origin, tmp_path) as browser:
        tab = browser.tab()
        tab.start("work:forever", "killed", "full", "tag")
        acknowledged = listen(tab, seconds=random.Random(seed).uniform(0, 0.5))
        browser.kill()
    with chromium(chromium_program, origin, tmp_path) as browser:
        browser.tab().call("work:check", "killed", acknowledged)


def test_files_that_the_browser_finds_damaged(
    chromium_program: str, origin: str, tmp_path: Path
) -> None:
    with chromium(chromium_program, origin, tmp_path) as browser:
        tab = browser.tab()
        assert tab.call("handles:open_", "damaged") is None
        assert tab.call("handles:write", "damaged") is None
    (log,) = tmp_path.glob("Default/IndexedDB/*.leveldb/*.log")
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    with chromium(chromium_program, origin, tmp_path) as browser:
        tab = browser.tab()
        error = tab.call("handles:open_", "damaged")
        assert error is not None, "an empty store was given for one that is lost"
        assert error["kind"] == "ReadFailedError"
        assert "damaged and has removed them" in error["text"]
        assert tab.call("indexeddb:names") == []
        assert tab.call("handles:open_", "damaged") is None
        assert tab.call("handles:cursors", "damaged") == []
