"""Overlapping calls in one tab."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab

EVENTS = 200


@pytest.mark.slow
@pytest.mark.parametrize("turns", range(12))
def test_an_event_is_pruned_once(tab: ChromiumTab, turns: int) -> None:
    assert sorted(tab.call("overlap:prune", EVENTS, turns)) == [0, EVENTS]
