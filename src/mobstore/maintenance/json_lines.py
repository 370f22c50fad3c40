"""Conversion between a row and a line of an archive.

A line is a JSON object with the row's columns as keys. A column of JSON is nested in it as JSON,
not as text. A line that is read passes through the models, as arguments do: the result is a row
that a store would have written, or an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from functools import cache
from itertools import chain, repeat
from typing import Any, cast

from mobstore.codec.canonical_rows import JSON_COLUMNS, NOT_AS_STORED, stored_row
from mobstore.errors import SerializationError
from mobstore.maintenance.consistency import row_name
from mobstore.model.json import encode_string, parse
from mobstore.scripts.tables import R, Row, Table

LONGEST = 96 * 2**20
"""The most bytes of a line; without a limit, a small zip could unpack into all of the memory.

Every row of a store fits: its document or its prose, and its names. A character may take six bytes.
"""
_TOO_LONG = f"it is longer than {LONGEST >> 20} MiB"


def to_lines(table: Table[Any], rows: Sequence[Row]) -> bytes:
    """Encode rows as lines, each with its newline. Columns of JSON are copied unchanged.

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
    # All pieces of all lines go into one join. That takes half of the time of filling a template
    # for each row.
    pieces: list[Iterable[str]] = []
    before = "{"
    for (name, kind), values in zip(_kinds(table), zip(*rows, strict=True), strict=True):
        texts: Iterable[str] = cast("Sequence[str]", values)
        label, before = f'{before}"{name}":', ","
        if kind is _Kind.TEXT:
            together = "".join(texts)
            if len(encode_string(together)) == len(together) + 2:  # no character needs an escape
                label, before = f'{label}"', '",'
            else:
                texts = map(encode_string, texts)
        elif kind is _Kind.NUMBER:
            texts = map(str, values)
        pieces += repeat(label), texts
    pieces.append(repeat(f"{before.removesuffix(',')}}}\n"))
    return "".join(chain.from_iterable(zip(*pieces, strict=False)))


class _Kind(Enum):
    NUMBER = auto()
    TEXT = auto()
    JSON = auto()


@cache
def _kinds(table: Table[Any]) -> Sequence[tuple[str, _Kind]]:
    return [
        (
            column,
            _Kind.JSON if column in JSON_COLUMNS else _Kind.TEXT if kind is str else _Kind.NUMBER,
        )
        for column, kind in zip(table.columns, table.types, strict=True)
    ]


def _on_one_line(table: Table[Any], row: Row) -> Row:
    """Return a row whose JSON columns have blanks in place of newlines.

    mobstore writes JSON without newlines; another program may have reformatted it.
    """
    return tuple(
        value.replace("\n", " ") if isinstance(value, str) and column in JSON_COLUMNS else value
        for column, value in zip(table.columns, row, strict=True)
    )


def from_line(table: Table[R], line: bytes) -> R:
    """Decode a line.

    Raises:
        SerializationError: no store would have written this row.
    """
    if len(line) > LONGEST:
        raise SerializationError(_TOO_LONG)
    columns = parse(line, bounded=True)  # with the limits of arguments
    if not isinstance(columns, dict) or columns.keys() != set(table.columns):
        raise SerializationError(f"its keys are not {', '.join(table.columns)}")
    given = cast("dict[str, Any]", columns)
    row = stored_row(table, given)
    for column, value in zip(table.columns, row, strict=True):
        if column not in JSON_COLUMNS and given[column] != value:
            raise SerializationError(f"{column} {NOT_AS_STORED}")
    return row
