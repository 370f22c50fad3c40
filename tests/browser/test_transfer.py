"""Import, export and copy in a browser."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab
from support import golden

pytestmark = pytest.mark.slow

SCRIPTS = [(name, seed) for name in golden.SCRIPT_FILES for seed in golden.seeds(name)][::8]


@pytest.mark.parametrize(("name", "seed"), SCRIPTS)
def test_moves_in_and_out(tab: ChromiumTab, name: str, seed: int) -> None:
    assert tab.call("transfer:moves", golden.calls(name, seed)) == [True, True]


def test_a_damaged_file_leaves_nothing(tab: ChromiumTab) -> None:
    text, left, whole = tab.call("transfer:damaged_import")
    assert "realm_profiles" in text
    assert left == 0
    assert whole


def test_a_directory_of_the_reference(tab: ChromiumTab) -> None:
    names, offsets, events, text, sound = tab.call("transfer:directory")
    assert names == ["a.db", "b.db", "realm_profiles.db"]
    assert offsets == [1, 4, 7]
    assert events == [[1, "old"], [3, "a"], [5, "b"], [7, "b"]]
    assert "mob a of a.db is already in the store; mob b of b.db is already in the store" in text
    assert sound
