"""The golden scripts on IndexedDB: every call returns the reference's answer."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab
from support import golden

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("overlapping", [False, True], ids=["in turn", "overlapping"])
@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name in golden.SCRIPT_FILES for seed in golden.seeds(name)]
)
def test_script(tab: ChromiumTab, name: str, seed: int, *, overlapping: bool) -> None:
    calls = golden.calls(name, seed)
    answers = tab.call("golden:replay", calls, overlapping)
    for call, got in zip(calls, answers, strict=True):
        expected = call["expect"]
        assert golden.same(golden.masked(got, expected), expected), call["op"]
