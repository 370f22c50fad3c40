"""What is wrong with a row by itself, and what of that can be mended without guessing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, cast

from mobstore.codec.canonical_rows import JSON_COLUMNS, NOT_AS_STORED, stored_row
from mobstore.errors import SerializationError
from mobstore.model.json import parse
from mobstore.scripts.tables import EVENTS, R, Row, Table

_REPEATED: Mapping[tuple[Table[Any], str], str] = {
    (EVENTS, "type"): "is not that of its kind",
    (EVENTS, "run_id"): "is not that of its kind",
}


class Fault(NamedTuple):
    """Something wrong with a row.

    Attributes:
        what: what is wrong.
        repairable: whether it can be mended.
    """

    what: str
    repairable: bool


class RowCheck(NamedTuple, Generic[R]):
    """What an examination of a row found.

    Attributes:
        faults: what is wrong.
        repaired: the row without the faults that can be mended.
    """

    faults: list[Fault]
    repaired: R


def check_row(table: Table[R], row: R) -> RowCheck[R]:
    """Compare a row with what a store would have written.

    What a row tells twice can be mended, and JSON that says the same in another form: in another
    order, with blanks. Keys are left alone: others refer to them.
    """
    columns: dict[str, Any] = dict(zip(table.columns, row, strict=True))
    try:
        for column in JSON_COLUMNS & columns.keys():
            columns[column] = _parsed(column, columns[column])
        canonical = stored_row(table, columns)
    except SerializationError as error:
        return RowCheck([Fault(error.detail, repairable=False)], row)
    if canonical == row:
        return RowCheck([], row)
    faults: list[Fault] = []
    repaired: list[Any] = list(row)
    for place, (column, value) in enumerate(zip(table.columns, canonical, strict=True)):
        if row[place] == value:
            continue
        if column in JSON_COLUMNS:
            repairable = _is_part(columns[column], parse(cast("str", value), bounded=True))
            what = f"{column} {NOT_AS_STORED}"
            if not repairable:
                what += ", which would lose some of it"
        else:
            repairable = column not in table.key
            what = f"{column} {_REPEATED.get((table, column), NOT_AS_STORED)}"
        faults.append(Fault(what, repairable))
        if repairable:
            repaired[place] = value
    return RowCheck(faults, cast("Any", table.row)._make(repaired))


def _parsed(column: str, text: str) -> object:
    try:
        return parse(text, bounded=True)  # its form bounds the depth
    except SerializationError as error:
        raise SerializationError(f"{column}: {error.detail}") from error


def _is_part(one: object, other: object) -> bool:
    """Whether all names and values of parsed JSON are also in another one, wherever they lie."""
    return Counter(_words(one)) <= Counter(_words(other))


def _words(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            if item is not None:
                yield "name", name
            yield from _words(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _words(item)
    elif value is not None:
        yield type(value).__name__, str(value)


def is_well_typed(table: Table[Any], row: Row) -> bool:
    """Whether a row can be compared with others: what is no JSON is text and numbers."""
    return all(
        type(value) is kind or column in JSON_COLUMNS
        for column, kind, value in zip(table.columns, table.types, row, strict=True)
    )
