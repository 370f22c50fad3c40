"""A made-up next format, for upgrades."""

from __future__ import annotations

import sys
from typing import NamedTuple

from browser.inside.handles import held
from mobstore.scripts import tables
from mobstore.scripts.transaction import Scan
from mobstore.testing.scripts import read_script


class NoteRow(NamedTuple):
    name: str
    text: str


def become() -> None:
    """Add a table and an index to the format of a tab that has not opened a store yet."""
    assert "mobstore.engines.indexeddb" not in sys.modules
    tables.FORMAT += 1
    tables.TABLES += (tables.Table("notes", NoteRow, order=("name",)),)
    tables.EVENTS.index("by_type_and_time", prefix=("type",), order=("timestamp",))


async def found_by_the_new_index(name: str) -> list[int]:
    """Find events by the newer index; return their cursors."""
    scan = Scan(tables.EVENTS.indexes[-1], ("mob_completed",))
    return [row.cursor for row in await held(name).engine.read(read_script(scan))]
