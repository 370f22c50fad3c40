"""Validation and encoding of arguments.

A value of the wrong type raises `UsageError`. `SerializationError` is for values that could not be
read back: a document of the reference has at most 127 levels of nesting, so a part of it has a few
less. It is also for values that do not fit into a line of an archive (see
`mobstore.maintenance.json_lines`): all stored data can be exported.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar, cast

from mobstore.errors import SerializationError, UsageError
from mobstore.model.extent import MAX_DEPTH, MAX_VALUES, has_more_values, nested_deeper
from mobstore.model.json import (
    I64_MAX,
    JsonInput,
    copy_json,
    encode_json,
    encode_string,
    too_many_values,
    write_json,
)
from mobstore.model.kernel import KernelState
from mobstore.model.record import Record, validate, validate_exactly
from mobstore.model.round_trip import check_round_trip, read_back
from mobstore.model.run import FrameSnapshot, LoopSnapshot
from mobstore.model.timestamp import Timestamp

# Levels above a part of a run's document, at the deepest place of the part:
# run > loop_iteration_outputs > loop > iteration > output; run > frames > frame > kernel_state.
_OUTPUT_DEPTH = MAX_DEPTH - 4
_STATE_DEPTH = MAX_DEPTH - 3
_RECORD_DEPTH = MAX_DEPTH - 1  # event > kind, spec > definition, realm profile > profile

R = TypeVar("R", bound=Record)


LARGEST_DOCUMENT = 80 * 2**20
"""Maximum bytes of a document, a part of a run, or text other than a name, as JSON in UTF-8."""
LONGEST_NAME = 2**16
"""Maximum bytes of an identifier in UTF-8. Keys and indexes may repeat it several times."""


def text(value: str, what: str, *, most: int = LONGEST_NAME) -> str:
    """Check an identifier.

    Raises:
        UsageError: it is not text.
        SerializationError: it holds lone surrogates, or is too long.
    """
    if not isinstance(value, str):
        raise UsageError(f"{what} must be text, not {type(value).__name__}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise SerializationError(f"{what} must not hold lone surrogates") from None
    if size > most:
        raise _too_large(what, size, most)
    return str.__str__(value)  # not a subclass, which could be mutable


def name_text(value: str, what: str) -> str:
    """Check an identifier that must not be empty.

    Raises:
        UsageError: it is not text, or is empty.
        SerializationError: it holds lone surrogates, or is too long.
    """
    checked = text(value, what)
    if not checked:
        raise UsageError(f"{what} must not be empty")
    return checked


def prose(value: str, what: str) -> str:
    """Check text other than an identifier.

    Raises:
        UsageError: it is not text.
        SerializationError: it holds lone surrogates, or is too long.
    """
    checked = text(value, what, most=LARGEST_DOCUMENT)
    if 6 * len(checked) > LARGEST_DOCUMENT:  # the maximum bytes of a character in JSON
        _fitting(encode_string(checked), what)
    return checked


def _fitting(document: str, what: str) -> str:
    """Check the size of JSON.

    Raises:
        SerializationError: it is too large, or has too many values.
    """
    if 4 * len(document) > LARGEST_DOCUMENT:  # the maximum bytes of a character in UTF-8
        size = len(document) if document.isascii() else len(document.encode())
        if size > LARGEST_DOCUMENT:
            raise _too_large(what, size, LARGEST_DOCUMENT)
    if len(document) > MAX_VALUES and has_more_values(document.encode()):
        raise SerializationError(too_many_values(what))
    return document


def _too_large(what: str, size: int, most: int) -> SerializationError:
    return SerializationError(f"{what} has {size:,} bytes; {most:,} can be stored at most")


def timestamp_text(value: Timestamp, what: str) -> str:
    """Encode a timestamp.

    Raises:
        UsageError: it is not a Timestamp.
    """
    if type(value) is not Timestamp:
        raise UsageError(f"{what} must be a Timestamp, not {type(value).__name__}")
    return value.sortable


def to_timestamp(value: Timestamp | datetime, what: str) -> Timestamp:
    """Convert a timezone-aware datetime; return a Timestamp as it is.

    Raises:
        UsageError: it is neither, or a naive datetime.
    """
    try:
        return Timestamp(value)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error


def number(value: int, what: str, *, most: int = I64_MAX) -> int:
    """Check a number.

    Raises:
        UsageError: it is not an int, or not within 0 to `most`.
    """
    if type(value) is not int:
        raise UsageError(f"{what} must be a whole number, not {type(value).__name__}")
    if 0 <= value <= most:
        return value
    # Python does not print integers with thousands of digits.
    written = str(value) if abs(value) < 10**100 else "with more than 100 digits"
    if value < 0:
        raise UsageError(f"{what} {written} is negative")
    raise UsageError(f"{what} {written} exceeds {'i64::MAX' if most == I64_MAX else most}")


def positive(value: int, what: str) -> int:
    """Check a number that must not be 0.

    Raises:
        UsageError: it is not an int, or not within 1 to i64::MAX.
    """
    if number(value, what) == 0:
        raise UsageError(f"{what} must be at least 1")
    return value


def mob_and_flow(mob_id: str | None, flow_id: str | None) -> tuple[str | None, str | None]:
    """Check a selection by mob, and by flow within it; None: all.

    Raises:
        UsageError: a flow is passed without its mob, or one of them is not text.
        SerializationError: as for `text`.
    """
    if mob_id is None and flow_id is not None:
        raise UsageError("flow names belong to a mob; pass mob_id, too")
    return (
        None if mob_id is None else text(mob_id, "mob_id"),
        None if flow_id is None else text(flow_id, "flow_id"),
    )


def callback(value: object, what: str) -> None:
    """Check an optional plain function.

    Raises:
        UsageError: it is not callable, or an async function.
    """
    if value is None:
        return
    if not callable(value):
        raise UsageError(f"{what} must be a function, not {type(value).__name__}")
    if any(map(inspect.iscoroutinefunction, (value, value.__call__))):
        raise UsageError(f"{what} must be a plain function, not an async one")


def choice(value: str, allowed: frozenset[str], what: str) -> str:
    """Check a word of one of the reference's enumerations.

    Raises:
        UsageError: it is not one of the allowed words.
    """
    if type(value) is not str or value not in allowed:
        raise UsageError(f"{what} must be one of {', '.join(sorted(allowed))}")
    return value


def check_flags(**flags: bool) -> None:
    """Check that flags are True or False.

    Raises:
        UsageError: one is of another type.
    """
    for name, flag in flags.items():
        if type(flag) is not bool:
            raise UsageError(f"{name} is True or False, not {describe(flag)}")


def describe(value: object) -> str:
    """Return None or a number as text, and the type of any other value."""
    # Python does not write integers of thousands of digits.
    if type(value) is float or (type(value) is int and abs(value) < 10**100):
        return str(value)
    return "None" if value is None else type(value).__name__


def instance(value: object, kind: type[Record], what: str) -> None:
    """Check that a value is a model of this kind with all its fields.

    Raises:
        UsageError: it is not a model of this kind.
        SerializationError: it lacks a field, or has more, from a subclass.
    """
    # Twice as fast as `isinstance`, which pydantic implements in Python.
    given = type(value)
    if kind not in given.__mro__:
        raise UsageError(f"{what} must be a {kind.__name__}, not {given.__name__}")
    if given is not kind and kind is not Record:
        more = cast("type[Record]", given).model_fields.keys() - kind.model_fields.keys()
        if more:
            names = ", ".join(sorted(more))
            raise SerializationError(f"{what} has fields that are not stored: {names}")
    lacking = kind.lacks(cast("Record", value))
    if lacking:
        raise SerializationError(f"{what} lacks {lacking}")


@contextmanager
def naming_wrong_types(what: str) -> Generator[None]:
    """Name the value in the error for a part of the wrong type.

    Raises:
        SerializationError: a part has the wrong type.
    """
    try:
        yield
    except UsageError:
        raise
    except (AttributeError, TypeError, ValueError):
        raise SerializationError(f"{what} cannot be stored: a part is of a wrong type") from None


def state_text(state: KernelState, what: str) -> str:
    """Return the canonical text of a kernel state.

    Raises:
        UsageError: it is not a kernel state.
        SerializationError: it is nested too deeply for a run, or too large.
    """
    if type(state) is not KernelState:
        raise UsageError(f"{what} must be a KernelState, not {type(state).__name__}")
    if state.depth > _STATE_DEPTH:
        raise SerializationError(f"{what} is nested deeper than {_STATE_DEPTH} levels")
    return _fitting(state.to_json(), what)


def snapshot_text(
    snapshot: FrameSnapshot | LoopSnapshot, kind: type[FrameSnapshot | LoopSnapshot], what: str
) -> str:
    """Return the canonical text of a snapshot's kernel state.

    Raises:
        UsageError: it is not of this kind.
        SerializationError: it is nested too deeply for a run, or too large.
    """
    instance(snapshot, kind, what)
    return state_text(snapshot.kernel_state, what)


def output_text(value: JsonInput, what: str) -> str:
    """Encode free JSON in a run.

    Raises:
        SerializationError: it is not JSON, nested too deeply, or too large; the error names the
            place.
    """
    return _fitting(encode_json(value, _OUTPUT_DEPTH, what), what)


def json_text(value: object, what: str) -> str:
    """Encode parsed JSON with all of its keys, in their order.

    Raises:
        SerializationError: a key occurs twice in one object; it is nested too deeply, or too large.
    """
    try:
        copied = copy_json(value, _RECORD_DEPTH, in_order=True)
        return _fitting(write_json(copied), what)
    except ValueError as error:
        raise SerializationError(f"{what}: {error}") from None


def kept_text(value: object, kind: type[R], what: str) -> str:
    """Encode parsed JSON of a model, with its unknown keys if it has any.

    Raises:
        SerializationError: it is not of this kind, or as for `json_text` and `record_text`.
    """
    exact = validate_exactly(kind, value)
    if exact is not None:
        return record_text(exact, kind, what)
    validate(kind, value)
    return json_text(value, what)


def record_text(record: R, kind: type[R], what: str) -> str:
    """Encode a model as JSON, and check that it reads back as the same.

    Raises:
        UsageError: it is not of this kind.
        SerializationError: it has no JSON form, does not read back or reads back as something
            else, is nested too deeply, or too large.
    """
    instance(record, kind, what)
    written = document_text(record, what)
    read = read_back(kind, written, what)
    return written if check_round_trip(record, read, what) else document_text(read, what)


def document_text(record: Record, what: str) -> str:
    """Encode a model of a known kind as JSON.

    Raises:
        SerializationError: it has no JSON form, is nested too deeply, or too large.
    """
    try:
        encoded = record.to_json_bytes()
    except SerializationError as error:
        raise SerializationError(f"{what}: {error.detail}") from None
    if len(encoded) > LARGEST_DOCUMENT:
        raise _too_large(what, len(encoded), LARGEST_DOCUMENT)
    if has_more_values(encoded):
        raise SerializationError(too_many_values(what))
    if nested_deeper(encoded, _RECORD_DEPTH):
        raise SerializationError(f"{what} is nested deeper than {_RECORD_DEPTH} levels")
    return encoded.decode()
