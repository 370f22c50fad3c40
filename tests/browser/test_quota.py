"""A site that has no room left: nothing is lost, and it goes on when there is some again."""

from __future__ import annotations

from typing import Any

import pytest

from browser.browsers import Chromium, ChromiumTab

ROOM = 5_000_000
NAME = "quota"


def is_no_room(error: dict[str, Any]) -> bool:
    words = error["kind"] == "WriteFailedError" and "no space left" in error["text"]
    return words and error["retry_safe"] and not error["maybe_written"]


@pytest.mark.slow
def test_no_room_left(chromium: Chromium, tab: ChromiumTab) -> None:
    # Before anything is written: for half a minute Chromium trusts what it knew of the room.
    tab.devtools("Storage.overrideQuotaForOrigin", origin=chromium.origin, quotaSize=ROOM)
    assert tab.call("handles:open_", NAME) is None

    errors = tab.call("quota:beside_too_large", NAME, 2 * ROOM)
    assert is_no_room(errors.pop(2))
    assert errors == [None] * 4, "one that is too large must not take others with it"
    assert tab.call("handles:cursors", NAME) == [1, 2, 3, 4]

    given, errors = tab.call("quota:fill", NAME, ROOM // 25)
    assert len(given) > 10
    assert all(map(is_no_room, errors)), errors
    everything = [1, 2, 3, 4, *sorted(given)]
    assert tab.call("handles:cursors", NAME) == everything, "acknowledged and stored differ"

    tab.devtools("Storage.overrideQuotaForOrigin", origin=chromium.origin)
    assert tab.call("handles:write", NAME) is None
    assert tab.call("handles:cursors", NAME) == [*everything, everything[-1] + 1]


@pytest.mark.slow
def test_a_row_that_is_larger_than_a_value_may_be(tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "large") is None
    first, error, last = tab.call("quota:in_the_middle", "large", 140_000_000, seconds=120)
    assert (first, last) == (None, None)
    assert error["kind"] == "WriteFailedError"
    assert "a row of table events is larger than this browser can store" in error["text"]
    assert not error["maybe_written"]
    assert tab.call("quota:cursors", "large") == [1, 3]
    tab.call("handles:close", "large")
    tab.call("indexeddb:delete_database", "large")
