"""The two scripts that copy a store by way of a temporary file.

Two engines do not take turns in one transaction: all rows are read before the first is written.
Between the two they lie in the file as plain tuples, which costs a tenth of what JSON would. The
file has no name, so nobody else puts anything into it: to read pickles of others would run them.
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
    """Write everything into a file, whatever it holds; gives the rows of each table.

    Raises:
        SerializationError: the store is damaged; table and key are named.
        WriteFailedError: the file cannot be written.
    """
    reading = SnapshotReader(progress)
    yield from reading.begin()
    with temporary_file_errors():
        file.seek(0)
        file.truncate()
    for index in FILE_ORDER:
        yield from reading.table(index, partial(_write, file, index.table))
    rows = reading.end()
    with temporary_file_errors():
        pickle.dump(None, file, pickle.HIGHEST_PROTOCOL)
        file.flush()
    return Commit(rows)


def _write(file: BinaryIO, table: Table[Any], rows: Sequence[Row]) -> int:
    page = pickle.dumps((table.name, list(map(tuple, rows))), pickle.HIGHEST_PROTOCOL)
    with temporary_file_errors():
        file.write(page)
    return len(page)


def load(file: BinaryIO, rows: int, progress: Progress | None) -> LoadingScript[None]:
    """Bring in what `unload` wrote, so many rows; it was checked when it was read.

    Raises:
        InternalError: the store is not empty.
        ReadFailedError: the file cannot be read.
    """
    yield from check_empty()
    meter = Meter(progress, rows)
    tables = {table.name: table for table in TABLES}
    try:
        file.seek(0)
        while page := cast("_Page | None", pickle.load(file)):  # noqa: S301 - written by ourselves
            table = tables[page[0]]
            yield (add_rows(table, list(map(table.row._make, page[1]))),)
            meter.add(len(page[1]))
    except OSError as error:
        raise ReadFailedError("the temporary file cannot be read") from error
    return Commit(None)
