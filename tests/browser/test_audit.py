"""Verification, comparison and repair in a browser."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab
from mobstore.testing import samples

pytestmark = pytest.mark.slow


def test_damage_is_found_and_repaired(tab: ChromiumTab) -> None:
    two, lost = str(samples.run_id(2)), str(samples.run_id(3))
    left = [["step_ledger", [two, 2]], ["frames", [lost, "lost"]]]
    results = tab.call("audit:damaged")
    assert results == [
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
