"""Values of the largest sizes in browsers: stored as they are, or rejected."""

from __future__ import annotations

import pytest

from browser.browsers import Chromium, Firefox
from mobstore.codec.arguments import LARGEST_DOCUMENT

pytestmark = pytest.mark.slow


# Browsers store a text with one or two bytes for each character; one character decides for all.
HEADS = pytest.mark.parametrize("head", ["", "\u65e5"], ids=["one byte", "two bytes"])


@HEADS
def test_chromium(chromium: Chromium, head: str) -> None:
    tab = chromium.tab()  # a new one, because WebAssembly memory never shrinks
    assert tab.call("sizes:output", head, LARGEST_DOCUMENT, seconds=240) == [None, "new"]
    tab.close()


def test_one_byte_more(chromium: Chromium) -> None:
    tab = chromium.tab()
    error, left = tab.call("sizes:output", "", LARGEST_DOCUMENT + 1, seconds=240)
    assert error["text"].endswith("can be stored at most")
    assert left == "old"
    tab.close()


@HEADS
def test_firefox(firefox: Firefox, head: str) -> None:
    tab = firefox.tab()
    assert tab.call("sizes:output", head, LARGEST_DOCUMENT, seconds=240) == [None, "new"]
    tab.close()
