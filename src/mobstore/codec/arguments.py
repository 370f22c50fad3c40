"""Checks of what callers pass, and its form in the tables.

Refused is what could not be read back wherever a document of the reference would hold it: a
document has at most 127 levels of nesting, so a part of it has a few less. Refused as well is what
would not fit into a line of an archive (see `mobstore.maintenance.json_lines`): what is stored can
be moved.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar, cast

from pydantic import JsonValue

from mobstore.errors import SerializationError, UsageError
from mobstore.model.extent import MAX_DEPTH, MAX_VALUES, has_more_values, nested_deeper
from mobstore.model.json import I64_MAX, encode_json, encode_string, too_many_values
from mobstore.model.kernel import KernelState
from mobstore.model.record import Record
from mobstore.model.round_trip import check_round_trip, read_back
from mobstore.model.run import FrameSnapshot, LoopSnapshot
from mobstore.model.timestamp import Timestamp

# Levels that a run's document has above a part of it, at the deepest place the part may come to:
# run > loop_iteration_outputs > loop > iteration > output; run > frames > frame > kernel_state.
_OUTPUT_ROOM = MAX_DEPTH - 4
_STATE_ROOM = MAX_DEPTH - 3
_RECORD_ROOM = MAX_DEPTH - 1  # event > kind, spec > definition, realm profile > profile

R = TypeVar("R", bound=Record)


LARGEST_DOCUMENT = 80 * 2**20
"""Bytes of a document, of a part of a run, or of any text that is no name, as JSON in UTF-8."""
LONGEST_NAME = 2**16
"""Bytes of an identifier in UTF-8. It may stand in a key, and several times in indexes."""


def text(value: str, what: str, *, most: int = LONGEST_NAME) -> str:
    """Check an identifier.

    Raises:
        SerializationError: it is not text, holds lone surrogates, or is too long.
    """
    if not isinstance(value, str):
        raise UsageError(f"{what} must be text, not {type(value).__name__}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise SerializationError(f"{what} must not hold lone surrogates") from None
    if size > most:
        raise _too_large(what, size, most)
    return str.__str__(value)  # not a subclass that its owner could change


def prose(value: str, what: str) -> str:
    """Check text that is no identifier.

    Raises:
        SerializationError: it is not text, holds lone surrogates, or is too long.
    """
    checked = text(value, what, most=LARGEST_DOCUMENT)
    if 6 * len(checked) > LARGEST_DOCUMENT:  # a character has at most so many bytes in JSON
        _fitting(encode_string(checked), what)
    return checked


def _fitting(document: str, what: str) -> str:
    """Check the size of JSON.

    Raises:
        SerializationError: it is too large, or has too many values.
    """
    if 4 * len(document) > LARGEST_DOCUMENT:  # a character has at most so many bytes in UTF-8
        size = len(document) if document.isascii() else len(document.encode())
        if size > LARGEST_DOCUMENT:
            raise _too_large(what, size, LARGEST_DOCUMENT)
    if len(document) > MAX_VALUES and has_more_values(document.encode()):
        raise SerializationError(too_many_values(what))
    return document


def _too_large(what: str, size: int, most: int) -> SerializationError:
    return SerializationError(f"{what} has {size:,} bytes; {most:,} can be stored at most")


def timestamp_text(value: Timestamp, what: str) -> str:
    """The text of a moment as it is stored.

    Raises:
        SerializationError: it is not a Timestamp.
    """
    if type(value) is not Timestamp:
        raise UsageError(f"{what} must be a Timestamp, not {type(value).__name__}")
    return value.sortable


def to_timestamp(value: Timestamp | datetime, what: str) -> Timestamp:
    """A moment that may be a datetime with a time zone.

    Raises:
        SerializationError: it is neither, or has no time zone.
    """
    try:
        return Timestamp(value)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error


def number(value: int, what: str, *, most: int = I64_MAX) -> int:
    """Check an argument that counts.

    Raises:
        SerializationError: it is not a whole number.
        UsageError: it is not within 0 to `most`.
    """
    if type(value) is not int:
        raise UsageError(f"{what} must be a whole number, not {type(value).__name__}")
    if 0 <= value <= most:
        return value
    # Python refuses to write integers of thousands of digits.
    written = str(value) if abs(value) < 10**100 else "with more than 100 digits"
    if value < 0:
        raise UsageError(f"{what} {written} is negative")
    raise UsageError(f"{what} {written} exceeds {'i64::MAX' if most == I64_MAX else most}")


def callback(value: object, what: str) -> None:
    """Check a function that is called and not awaited; None is fine, too.

    Raises:
        UsageError: it cannot be called, or is an async function.
    """
    if value is None:
        return
    if not callable(value):
        raise UsageError(f"{what} must be a function, not {type(value).__name__}")
    if any(map(inspect.iscoroutinefunction, (value, value.__call__))):
        raise UsageError(f"{what} must be a plain function: nobody would await an async one")


def choice(value: str, allowed: frozenset[str], what: str) -> str:
    """Check one of the reference's enumerations.

    Raises:
        SerializationError: it is none of the allowed words.
    """
    if type(value) is not str or value not in allowed:
        raise UsageError(f"{what} must be one of {', '.join(sorted(allowed))}")
    return value


def instance(value: object, kind: type[Record], what: str) -> None:
    """Check that a value is a model of this kind, with all its fields.

    Raises:
        SerializationError: it is not.
    """
    # Half of the time of `isinstance`, which pydantic's models answer in Python.
    if kind not in type(value).__mro__:
        raise UsageError(f"{what} must be a {kind.__name__}, not {type(value).__name__}")
    lacking = kind.lacks(cast("Record", value))
    if lacking:
        raise SerializationError(f"{what} lacks {lacking}")


@contextmanager
def naming_wrong_types(what: str) -> Generator[None]:
    """Say what was being encoded when a part of it turned out to be of another type.

    Raises:
        SerializationError: it cannot be stored.
    """
    try:
        yield
    except UsageError:
        raise
    except (AttributeError, TypeError, ValueError):
        raise SerializationError(f"{what} cannot be stored: a part is of a wrong type") from None


def state_text(state: KernelState, what: str) -> str:
    """The canonical text of a kernel state.

    Raises:
        SerializationError: it is not a kernel state, nested too deeply to lie in a run, or too
            large.
    """
    if type(state) is not KernelState:
        raise UsageError(f"{what} must be a KernelState, not {type(state).__name__}")
    if state.depth > _STATE_ROOM:
        raise SerializationError(f"{what} is nested deeper than {_STATE_ROOM} levels")
    return _fitting(state.to_json(), what)


def snapshot_text(
    snapshot: FrameSnapshot | LoopSnapshot, kind: type[FrameSnapshot | LoopSnapshot], what: str
) -> str:
    """The canonical text of a snapshot's kernel state.

    Raises:
        SerializationError: it is not of this kind, nested too deeply to lie in a run, or too
            large.
    """
    instance(snapshot, kind, what)
    return state_text(snapshot.kernel_state, what)


def output_text(value: JsonValue, what: str) -> str:
    """The text of free JSON that lies in a run.

    Raises:
        SerializationError: it is not JSON, nested too deeply, or too large; the place is named.
    """
    return _fitting(encode_json(value, _OUTPUT_ROOM, what), what)


def record_text(record: R, kind: type[R], what: str) -> str:
    """The JSON of a model, once it was read back.

    Raises:
        SerializationError: it is not of this type, has no JSON form, would be read back as
            something else or not at all, is nested too deeply, or too large.
    """
    instance(record, kind, what)
    written = document_text(record, what)
    read = read_back(kind, written, what)
    return written if check_round_trip(record, read, what) else document_text(read, what)


def document_text(record: Record, what: str) -> str:
    """The JSON of a model that is known to be one.

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
    if nested_deeper(encoded, _RECORD_ROOM):
        raise SerializationError(f"{what} is nested deeper than {_RECORD_ROOM} levels")
    return encoded.decode()
