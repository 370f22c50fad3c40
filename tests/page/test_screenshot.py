"""Screenshot for the README."""

from __future__ import annotations

import struct

import pytest

import screenshot

pytestmark = pytest.mark.slow


def test_the_screenshot_of_a_run(origin: str, chromium_program: str) -> None:
    content = screenshot.take_screenshot(origin, chromium_program)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1280, 800)
    # An empty or unstyled page has about 30 kB, one with a timeline and a list about 115 kB.
    assert 80_000 < len(content) < 200_000
