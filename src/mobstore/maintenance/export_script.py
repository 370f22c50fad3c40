"""The script that writes a snapshot of a whole store into an archive."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, BinaryIO

from mobstore.maintenance.archive import ArchiveWriter, TableWriter
from mobstore.maintenance.consistency import FILE_ORDER, RowCounts
from mobstore.maintenance.json_lines import to_lines
from mobstore.maintenance.progress import Progress
from mobstore.maintenance.snapshot import SnapshotReader
from mobstore.scripts.tables import Row, Table
from mobstore.scripts.transaction import Commit, Script


def export_script(file: BinaryIO, progress: Progress | None) -> Script[RowCounts]:
    """Replace the content of a seekable file with an archive of the store.

    Returns:
        The number of rows of each table.

    Raises:
        SerializationError: the store is corrupt; table and key are named.
        WriteFailedError: the file cannot be written.
    """
    snapshot = SnapshotReader(progress)
    yield from snapshot.begin()
    with ArchiveWriter(file) as archive:
        for index in FILE_ORDER:
            with archive.table(index.table.name) as writer:
                yield from snapshot.read_table(index, partial(_write, writer, index.table))
        counts = snapshot.end()
    return Commit(counts)


def _write(writer: TableWriter, table: Table[Any], rows: Sequence[Row]) -> int:
    lines = to_lines(table, rows)
    writer.write(len(rows), lines)
    return len(lines)
