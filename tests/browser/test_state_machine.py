"""The state machine of the other engines, on IndexedDB."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab

EXAMPLES = 8


@pytest.mark.slow
def test_state_machine(tab: ChromiumTab, wheels: list[str]) -> None:
    tab.call("state_machine:run", wheels, EXAMPLES, seconds=240)
