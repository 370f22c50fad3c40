"""One row as one line of JSON, and back.

A line is an object of the row's columns. A column that holds JSON stands in it as JSON, not as
text. Lines from outside are read through the models, as arguments are: what comes out is what a
store would have written, or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from mobstore.codec.canonical_rows import JSON_COLUMNS, NOT_AS_STORED, stored_row
from mobstore.errors import SerializationError
from mobstore.maintenance.consistency import row_name
from mobstore.model.json import encode_string, parse
from mobstore.scripts.tables import R, Row, Table

LONGEST = 96 * 2**20
"""Bytes of a line at most; a few hostile bytes in a zip could else become all of the memory.

Every row that a store takes fits: its document, or its prose, and its names, of whose characters
each may become six.
"""
_TOO_LONG = f"it is longer than {LONGEST >> 20} MiB"


def lines_of(table: Table[Any], rows: Sequence[Row]) -> bytes:
    """Write rows as lines, each with the newline that ends it. JSON is written as it stands.

    Raises:
        SerializationError: a line is too long to be read again; its row is named.
    """
    lines = _joined(table, rows)
    if lines.count("\n") != len(rows):
        lines = _joined(table, [_on_one_line(table, row) for row in rows])
    written = lines.encode()
    if len(written) > LONGEST:
        for row, line in zip(rows, written.split(b"\n"), strict=False):
            if len(line) >= LONGEST:
                raise SerializationError(f"{row_name(table, row)}: {_TOO_LONG}")
    return written


def _joined(table: Table[Any], rows: Sequence[Row]) -> str:
    form, encoders = _form(table)
    columns = [
        values if encode is None else map(encode, values)
        for encode, values in zip(encoders, zip(*rows, strict=True), strict=True)
    ]
    return "".join(map(form.__mod__, zip(*columns, strict=True)))


@cache
def _form(table: Table[Any]) -> tuple[str, Sequence[Callable[[Any], str] | None]]:
    """A line with a place for each column, and what is to be done to what goes there."""
    form = ",".join(f'"{column}":%s' for column in table.columns)
    encoders = [
        encode_string if kind is str and column not in JSON_COLUMNS else None
        for column, kind in zip(table.columns, table.types, strict=True)
    ]
    return f"{{{form}}}\n", encoders


def _on_one_line(table: Table[Any], row: Row) -> Row:
    """A row whose JSON other hands have spread over lines: its newlines are blanks."""
    return tuple(
        value.replace("\n", " ") if isinstance(value, str) and column in JSON_COLUMNS else value
        for column, value in zip(table.columns, row, strict=True)
    )


def row_of(table: Table[R], line: bytes) -> R:
    """Read a line.

    Raises:
        SerializationError: no store would have written this row.
    """
    if len(line) > LONGEST:
        raise SerializationError(_TOO_LONG)
    columns = parse(line, bounded=True)  # as parts are encoded
    if not isinstance(columns, dict) or columns.keys() != set(table.columns):
        raise SerializationError(f"its keys are not {', '.join(table.columns)}")
    given = cast("dict[str, Any]", columns)
    row = stored_row(table, given)
    for column, value in zip(table.columns, row, strict=True):
        if column not in JSON_COLUMNS and given[column] != value:
            raise SerializationError(f"{column} {NOT_AS_STORED}")
    return row
