"""Browser code of the documentation prints the output that its pages show."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab
from docs.pages import PAGES, Block, as_shown, blocks, name

pytestmark = pytest.mark.slow

BLOCKS = [
    pytest.param(block, id=f"{name(page)}:{block.line}")
    for page in PAGES
    for block in blocks(page, "python")
    if "indexeddb:" in block.code
]


def test_there_are_some() -> None:
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS)
def test_it_prints_what_the_page_shows(tab: ChromiumTab, block: Block) -> None:
    printed = tab.call("examples:run", block.code, "mobs")
    assert as_shown(printed, block.output), printed
