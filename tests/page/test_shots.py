"""Pictures of the documentation."""

from __future__ import annotations

import struct
from collections.abc import Generator

import pytest
from playwright.sync_api import Page

import build_site
import shots

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(origin: str, chromium_program: str) -> Generator[Page]:
    with shots.open_page(origin, chromium_program) as page:
        yield page


@pytest.mark.parametrize("name", shots.DOCS)
def test_a_picture(page: Page, name: str) -> None:
    show, look = shots.DOCS[name]
    content = shots.take_shot(page, show, look)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (look.width, look.height)
    # An empty or unstyled page has about 30 kB at most, a filled one 50 to 120 kB.
    assert 35_000 < len(content) < 150_000
    assert (build_site.ROOT / "docs" / f"{name}.png").stat().st_size < 150_000
