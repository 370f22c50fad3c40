"""The largest values in browsers: stored as they are, or refused in words."""

from __future__ import annotations

import pytest

from browser.browsers import Chromium, Firefox
from mobstore.codec.arguments import LARGEST_DOCUMENT

pytestmark = pytest.mark.slow


# Browsers keep text in one byte or in two for each character; one character can decide for all.
HEADS = pytest.mark.parametrize("head", ["", "\u65e5"], ids=["one byte", "two bytes"])


@HEADS
def test_chromium(chromium: Chromium, head: str) -> None:
    tab = chromium.tab()  # a new one: what Python has once taken of a tab's memory stays its own
    assert tab.call("sizes:output", head, LARGEST_DOCUMENT) == [None, "new"]
    error, left = tab.call("sizes:output", head, LARGEST_DOCUMENT + 1)
    assert error["text"].endswith("can be stored at most")
    assert left == "old"


@HEADS
def test_firefox(firefox: Firefox, head: str) -> None:
    assert firefox.tab().call("sizes:output", head, LARGEST_DOCUMENT) == [None, "new"]
