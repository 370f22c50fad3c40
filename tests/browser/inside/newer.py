"""Makes the mobstore of a tab one of the future, with another format."""

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
    """Add a table and an index to the format; for a tab that has opened no store yet."""
    assert "mobstore.engines.indexeddb" not in sys.modules
    tables.FORMAT += 1
    tables.TABLES += (tables.Table("notes", NoteRow, order=("name",)),)
    tables.EVENTS.index("by_type", prefix=("type",), order=("cursor",))


async def found_by_the_new_index(name: str) -> list[int]:
    """The cursors of the events of the kind that is appended here, by the newer index."""
    scan = Scan(tables.EVENTS.indexes[-1], ("mob_completed",))
    return [row.cursor for row in await held(name).engine.read(read_script(scan))]
