"""A site without space left: nothing is lost, and writing continues once there is space again."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from browser.browsers import Chromium, ChromiumTab

QUOTA = 5_000_000
NAME = "quota"


@pytest.fixture(scope="module")
def browser(
    chromium: Chromium, chromium_program: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Chromium]:
    """A Chromium that has stored nothing yet: it trusts a known quota for half a minute."""
    with chromium.another(chromium_program, tmp_path_factory.mktemp("quota")) as browser:
        yield browser


@pytest.fixture(scope="module")
def new_tab(browser: Chromium) -> ChromiumTab:
    return browser.tab()


def is_no_space(error: dict[str, Any]) -> bool:
    words = error["kind"] == "WriteFailedError" and "no space left" in error["text"]
    return words and error["retry_safe"] and not error["maybe_written"]


@pytest.mark.slow
def test_no_space_left(browser: Chromium, new_tab: ChromiumTab) -> None:
    new_tab.devtools("Storage.overrideQuotaForOrigin", origin=browser.origin, quotaSize=QUOTA)
    assert new_tab.call("handles:open_", NAME) is None

    errors = new_tab.call("quota:beside_too_large", NAME, 2 * QUOTA)
    assert is_no_space(errors.pop(2))
    assert errors == [None] * 4, "one event that is too large must not fail the others"
    assert new_tab.call("handles:cursors", NAME) == [1, 2, 3, 4]

    given, errors = new_tab.call("quota:fill", NAME, QUOTA // 25)
    assert len(given) > 10
    assert all(map(is_no_space, errors)), errors
    everything = [1, 2, 3, 4, *sorted(given)]
    assert new_tab.call("handles:cursors", NAME) == everything, "acknowledged and stored differ"

    new_tab.devtools("Storage.overrideQuotaForOrigin", origin=browser.origin)
    assert new_tab.call("handles:write", NAME) is None
    assert new_tab.call("handles:cursors", NAME) == [*everything, everything[-1] + 1]


@pytest.mark.slow
def test_a_row_larger_than_the_browser_can_store(new_tab: ChromiumTab) -> None:
    assert new_tab.call("handles:open_", "large") is None
    first, error, last = new_tab.call("quota:in_the_middle", "large", 140_000_000, seconds=120)
    assert (first, last) == (None, None)
    assert error["kind"] == "WriteFailedError"
    assert "a row of table events is larger than this browser can store" in error["text"]
    assert not error["maybe_written"]
    assert new_tab.call("quota:cursors", "large") == [1, 3]
    new_tab.call("handles:close", "large")
    new_tab.call("indexeddb:delete_database", "large")
