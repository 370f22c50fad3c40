"""Kinds of events as they are stored: known ones, and others, of which nothing may get lost.

The models read JSON as the reference does, which rejects unknown kinds and drops unknown keys. What
is in a store, in an archive or in a database of the reference is read here instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from mobstore.errors import SerializationError
from mobstore.model.event import EVENT_KINDS, MobEventKind
from mobstore.model.event_types import EVENT_TYPES
from mobstore.model.json import parse
from mobstore.model.other_event import OtherEvent, other_event
from mobstore.model.record import validate, validate_exactly

START = '{"type":"'
"""The start of a stored kind: the type comes first."""
_STARTS = frozenset(START + one for one in EVENT_TYPES)


def read_kinds(documents: Sequence[str]) -> Sequence[MobEventKind | OtherEvent]:
    """Decode kinds, those that are known in one call.

    Raises:
        ValueError: one is unreadable.
    """
    try:
        return EVENT_KINDS.read_list(documents)
    except ValueError:
        pass
    known = [document for document in documents if _start(document) in _STARTS]
    if len(known) < len(documents):
        try:
            found = iter(EVENT_KINDS.read_list(known))
        except ValueError:
            pass
        else:
            return [
                next(found) if _start(document) in _STARTS else _read_other(document)
                for document in documents
            ]
    return [_read_kind(document) for document in documents]


def _start(document: str) -> str:
    """Return the beginning of a document, to the end of its type if that comes first."""
    return document[: document.find('"', len(START))]


def _read_kind(document: str) -> MobEventKind | OtherEvent:
    try:
        return EVENT_KINDS.read_list((document,))[0]
    except ValueError:
        return _read_other(document)


def _read_other(document: str) -> MobEventKind | OtherEvent:
    try:
        return kind_of(parse(document, bounded=True))  # with the limits of arguments
    except SerializationError as error:
        raise ValueError(error.detail) from None


def kind_of(value: object) -> MobEventKind | OtherEvent:
    """Decode a kind from parsed JSON (see `parse`).

    Returns:
        The kind if it is known with all its keys, else an `OtherEvent` with all of the content.

    Raises:
        SerializationError: the value is no event, or one of a known kind without unknown keys that
            lacks something or holds something wrong.
    """
    is_object = isinstance(value, dict)
    fields = cast("dict[str, Any]", value) if is_object else {}
    tag = fields.get("type")
    model = EVENT_KINDS.models.get(tag) if type(tag) is str else None
    if model is None or not fields.keys() <= model.model_fields.keys():
        return other_event(value)
    kind = validate_exactly(model, value)
    if kind is not None:
        return cast("MobEventKind", kind)
    validate(model, value)  # raises, unless it only has unknown keys within its fields
    return other_event(value)
