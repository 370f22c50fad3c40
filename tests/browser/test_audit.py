"""Whole stores looked through in a browser."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab
from mobstore.testing import samples

pytestmark = pytest.mark.slow


def test_damage_is_found_and_mended(tab: ChromiumTab) -> None:
    two, lost = str(samples.run_id(2)), str(samples.run_id(3))
    left = [["step_ledger", [two, 2]], ["frames", [lost, "lost"]]]
    told = tab.call("audit:damaged")
    assert told == [
        [],
        [],
        [["counters", ["next_cursor"]], ["events", [500]], ["events", [500]], *left],
        [
            ["latest_cursor", 600, ["latest_cursor"]],
            ["event", 500, ["kind"]],
            ["run", two, ["step_ledger"]],
        ],
        2,
        left,
        [["run", two, ["step_ledger"]]],
    ]
