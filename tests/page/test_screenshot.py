"""Screenshot for the README."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import screenshot

pytestmark = pytest.mark.slow


def test_the_picture_of_a_run(chromium_program: str, tmp_path: Path) -> None:
    file = tmp_path / "page.png"
    screenshot.take_screenshot(file, chromium_program)
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1280, 800)
    # An empty or unstyled page has about 30 kB, one with a timeline and a list about 115 kB.
    assert 80_000 < len(content) < 200_000
