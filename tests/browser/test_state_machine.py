"""Random calls on IndexedDB, against the oracle of the other engines."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab

EXAMPLES = 8


@pytest.mark.slow
def test_state_machine(tab: ChromiumTab, wheels: list[str]) -> None:
    tab.call("state_machine:run", wheels, EXAMPLES, seconds=240)
