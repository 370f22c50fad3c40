"""The two scripts that copy a store by way of a temporary file.

Two engines cannot share a transaction, so all rows are read before the first is written. In
between, the file holds them as pickled tuples, which takes a tenth of the time of JSON. Unpickling
is safe here: the file has no name, so no other process can write to it.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import partial
from typing import Any, BinaryIO, cast

from mobstore.errors import ReadFailedError
from mobstore.maintenance.consistency import FILE_ORDER, RowCounts
from mobstore.maintenance.progress import Meter, Progress
from mobstore.maintenance.snapshot import SnapshotReader
from mobstore.maintenance.target import add_rows, check_empty
from mobstore.maintenance.temporary_file import temporary_file_errors
from mobstore.scripts.tables import TABLES, Row, Table
from mobstore.scripts.transaction import Commit, LoadingScript, Script

_Page = tuple[str, list[tuple[str | int, ...]]]  # a table's name, and some of its rows


def unload(file: BinaryIO, progress: Progress | None) -> Script[RowCounts]:
    """Replace the content of a file with all rows of the store.

    Returns:
        The number of rows of each table.

    Raises:
        SerializationError: the store is corrupt; table and key are named.
        WriteFailedError: the file cannot be written.
    """
    snapshot = SnapshotReader(progress)
    yield from snapshot.begin()
    with temporary_file_errors():
        file.seek(0)
        file.truncate()
    for index in FILE_ORDER:
        yield from snapshot.read_table(index, partial(_write, file, index.table))
    counts = snapshot.end()
    with temporary_file_errors():
        pickle.dump(None, file, pickle.HIGHEST_PROTOCOL)
        file.flush()
    return Commit(counts)


def _write(file: BinaryIO, table: Table[Any], rows: Sequence[Row]) -> int:
    page = pickle.dumps((table.name, list(map(tuple, rows))), pickle.HIGHEST_PROTOCOL)
    with temporary_file_errors():
        file.write(page)
    return len(page)


def load(file: BinaryIO, rows: int, progress: Progress | None) -> LoadingScript[None]:
    """Write the rows that `unload` wrote into an empty store; `unload` has checked them.

    Args:
        file: the file.
        rows: the number of rows in it.
        progress: called every few hundred rows.

    Raises:
        InternalError: the store is not empty.
        ReadFailedError: the file cannot be read.
    """
    yield from check_empty()
    meter = Meter(progress, rows)
    tables = {table.name: table for table in TABLES}
    try:
        file.seek(0)
        while page := cast("_Page | None", pickle.load(file)):  # noqa: S301 - written by `unload`
            name, values = page
            table = tables[name]
            yield (add_rows(table, list(map(table.make, values))),)
            meter.add(len(values))
    except OSError as error:
        raise ReadFailedError("the temporary file cannot be read") from error
    return Commit(None)
