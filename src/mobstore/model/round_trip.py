"""Round trips of records: reading back what is about to be stored, and comparing.

Constructors check everything. `model_copy` and `model_construct` check nothing, and a map or free
JSON in a record can be changed. So a document is read and compared before it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from marshal import dumps
from types import NoneType
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

from pydantic import ValidationError

from mobstore.errors import SerializationError
from mobstore.model.record import Record, explain
from mobstore.model.text import dotted_path

R = TypeVar("R", bound=Record)

_PLAIN = frozenset[type]({str, UUID, NoneType})
"""Types whose equal values always have the same JSON, unlike `1`, `1.0` and `True`."""
_SEQUENCES = (list, tuple)


class _Place(NamedTuple):
    """The place of a part: its container, and its name or number there."""

    whole: _Place | None
    name: object


def read_back(kind: type[R], document: str | bytes, what: str) -> R:
    """Read a document that is about to be stored.

    Raises:
        SerializationError: it cannot be read; the error names the place.
    """
    try:
        return kind.model_validate_json(document)
    except ValidationError as error:
        why = explain(error)
    raise _not_storable(what, why)


def is_exactly_same(given: Record, read: Record) -> bool:
    """Return whether two records are the same, including the order of keys.

    Fast, for events. Records within maps or sequences always count as different.
    """
    if type(given) is not type(read):
        return False
    ones, others = given.__dict__, read.__dict__
    if _PLAIN.issuperset(map(type, ones.values())):
        return ones == others
    return ones.keys() == others.keys() and all(
        _is_exactly_same(part, others[name]) for name, part in ones.items()
    )


def _is_exactly_same(one: object, other: object) -> bool:
    if type(one) in _PLAIN:
        return one == other
    if Record in type(one).__mro__:
        return is_exactly_same(cast("Record", one), cast("Record", other))
    try:  # Version 2 of marshal shows types and order, but not shared or interned objects.
        return dumps(cast("Any", one), 2) == dumps(cast("Any", other), 2)
    except ValueError:
        return False


def check_round_trip(given: Record, read: Record, what: str) -> bool:
    """Check that a record is read back as given; return whether the keys are in order, too.

    Lists and tuples are equal, as they are to constructors.

    Raises:
        SerializationError: it is not; the error names the place.
    """
    in_order = True
    # Without recursion: conditions may be nested deeply.
    open_parts: list[tuple[_Place | None, object, object]] = [(None, given, read)]
    while open_parts:
        place, one, other = open_parts.pop()
        ones, others = _parts(one), _parts(other)
        if ones is None or others is None:
            if type(one) is not type(other) or one != other:
                raise _would_differ(what, place)
        elif type(other) in _SEQUENCES:
            if type(one) not in _SEQUENCES or len(ones) != len(others):
                raise _would_differ(what, place)
        elif not isinstance(one, type(other)) or ones.keys() != others.keys():
            raise _would_differ(what, place)
        else:
            in_order = in_order and [*ones] == [*others]
        if ones and others:
            for name, part in ones.items():
                against = others[name]
                if type(part) not in _PLAIN:
                    open_parts.append((_Place(place, name), part, against))
                elif part != against:
                    raise _would_differ(what, _Place(place, name))
    return in_order


def _parts(value: object) -> Mapping[Any, object] | None:
    """Return the parts of a value by name or number; None if it has none."""
    if isinstance(value, dict):
        return cast("dict[Any, object]", value)
    if type(value) in _SEQUENCES:
        return dict(enumerate(cast("Iterable[object]", value)))
    return value.__dict__ if Record in type(value).__mro__ else None


def _would_differ(what: str, place: _Place | None) -> SerializationError:
    names: list[object] = []
    while place:
        names.append(place.name)
        place = place.whole
    where = dotted_path(reversed(names))
    return _not_storable(what, f"{where}: it would be read as something else".removeprefix(": "))


def _not_storable(what: str, why: str) -> SerializationError:
    return SerializationError(f"{what} cannot be stored as it is: {why}")
