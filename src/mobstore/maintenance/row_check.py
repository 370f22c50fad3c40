"""Comparison of a row with its canonical form, and the repairs that need no guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, cast

from mobstore.codec.canonical_rows import (
    JSON_COLUMNS,
    NOT_AS_STORED,
    are_stored_events,
    stored_row,
)
from mobstore.errors import SerializationError
from mobstore.model.json import parse
from mobstore.scripts.tables import EVENTS, EventRow, R, Row, Table

_REPEATED = frozenset({(EVENTS, "type"), (EVENTS, "run_id")})
"""Columns that repeat a part of the row's `kind`."""


class Fault(NamedTuple):
    """One thing wrong with a row.

    Attributes:
        what: what is wrong.
        repairable: whether it can be repaired without guessing.
    """

    what: str
    repairable: bool


class RowCheck(NamedTuple, Generic[R]):
    """The result of checking a row.

    Attributes:
        faults: what is wrong with it.
        repaired: the row without its repairable faults.
    """

    faults: list[Fault]
    repaired: R


def are_sound(table: Table[Any], rows: Sequence[Row]) -> bool:
    """Return whether rows have no faults; False if only `check_row` can say so."""
    return table is EVENTS and are_stored_events(cast("Sequence[EventRow]", rows))


def check_row(table: Table[R], row: R) -> RowCheck[R]:
    """Compare a row with the row that a store would have written.

    Two kinds of faults are repairable: a column that does not match the JSON it repeats, and JSON
    with the right content in another order or spacing. Keys are never changed, since other rows
    refer to them.
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
            repairable = _keeps_all(columns[column], parse(cast("str", value), bounded=True))
            what = f"{column} {NOT_AS_STORED}"
            if not repairable:
                what += ", which would lose some of it"
        else:
            repairable = column not in table.key
            what = f"{column} {NOT_AS_STORED}"
            if (table, column) in _REPEATED:
                what = f"{column} does not match its kind"
        faults.append(Fault(what, repairable))
        if repairable:
            repaired[place] = value
    return RowCheck(faults, cast("Any", table.row)._make(repaired))


def is_readable(table: Table[Any], row: Row) -> bool:
    """Return whether a row has no faults but repairable ones."""
    return all(fault.repairable for fault in check_row(table, row).faults)


def _parsed(column: str, text: str) -> object:
    try:
        return parse(text, bounded=True)  # with the limits of arguments
    except SerializationError as error:
        raise SerializationError(f"{column}: {error.detail}") from error


def _keeps_all(stored: object, canonical: object) -> bool:
    """Return whether the canonical JSON has every name and value of the stored JSON, anywhere."""
    return Counter(_names_and_values(stored)) <= Counter(_names_and_values(canonical))


def _names_and_values(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            if item is not None:
                yield "name", name
            yield from _names_and_values(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _names_and_values(item)
    elif value is not None:
        yield type(value).__name__, str(value)


def is_well_typed(table: Table[Any], row: Row) -> bool:
    """Return whether a row can be compared: each column without JSON has its type."""
    return all(
        type(value) is kind or column in JSON_COLUMNS
        for column, kind, value in zip(table.columns, table.types, row, strict=True)
    )
