"""The script that writes a whole store into an archive, as it stands at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, BinaryIO

from mobstore.maintenance.archive import ArchiveWriter, TableWriter
from mobstore.maintenance.consistency import FILE_ORDER, RowCounts
from mobstore.maintenance.json_lines import lines_of
from mobstore.maintenance.progress import Progress
from mobstore.maintenance.snapshot import SnapshotReader
from mobstore.scripts.tables import Row, Table
from mobstore.scripts.transaction import Commit, Script


def export_script(file: BinaryIO, progress: Progress | None) -> Script[RowCounts]:
    """Write everything into a file, whatever it holds; it must be able to seek.

    Gives the rows of each table.

    Raises:
        SerializationError: the store is damaged; table and key are named.
        WriteFailedError: the file cannot be written.
    """
    reading = SnapshotReader(progress)
    yield from reading.begin()
    with ArchiveWriter(file) as archive:
        for index in FILE_ORDER:
            with archive.table(index.table.name) as writer:
                yield from reading.table(index, partial(_write, writer, index.table))
        rows = reading.end()
    return Commit(rows)


def _write(writer: TableWriter, table: Table[Any], rows: Sequence[Row]) -> int:
    lines = lines_of(table, rows)
    writer.write(len(rows), lines)
    return len(lines)
