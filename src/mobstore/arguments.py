"""Checks of what callers pass, and its form in the tables.

Refused is what could not be read back wherever a document of the reference would hold it: a
document has at most 127 levels of nesting, so a part of it has a few less.
"""

from __future__ import annotations

import re
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from mobstore.errors import InternalError, SerializationError
from mobstore.model.json import I64_MAX, MAX_DEPTH, encode_json, nested_deeper
from mobstore.model.kernel import KernelState
from mobstore.model.record import Record
from mobstore.model.run import FrameSnapshot, LoopSnapshot
from mobstore.model.timestamp import Timestamp

# Levels that a run's document has above a part of it, at the deepest place the part may come to:
# run > loop_iteration_outputs > loop > iteration > output; run > frames > frame > kernel_state.
_OUTPUT_ROOM = MAX_DEPTH - 4
_STATE_ROOM = MAX_DEPTH - 3
_RECORD_ROOM = MAX_DEPTH - 1  # event > kind, spec > definition, realm profile > profile

# `UUID` itself takes much else for one, such as underscores between the digits.
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-?)[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{12}")


def text(value: str, what: str) -> str:
    """Check an identifier.

    Raises:
        SerializationError: it is not text, or holds lone surrogates.
    """
    if not isinstance(value, str):
        raise SerializationError(f"{what} must be text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SerializationError(f"{what} must not hold lone surrogates") from error
    return str.__str__(value)  # not a subclass that its owner could change


def moment(value: Timestamp, what: str) -> str:
    """The text of a moment as it is stored.

    Raises:
        SerializationError: it is not a Timestamp.
    """
    if type(value) is not Timestamp:
        raise SerializationError(f"{what} must be a Timestamp, not {type(value).__name__}")
    return value.sortable


def any_moment(value: Timestamp | datetime, what: str) -> Timestamp:
    """A moment that may be a datetime with a time zone.

    Raises:
        SerializationError: it is neither, or has no time zone.
    """
    try:
        return Timestamp(value)
    except ValueError as error:
        raise SerializationError(f"{what}: {error}") from error


def run_key(run_id: UUID | str) -> str:
    """The text of a run's id, which is in lower case and with hyphens.

    Raises:
        SerializationError: it is neither a UUID nor the text of one.
    """
    if isinstance(run_id, UUID):
        return str(run_id)
    if not isinstance(run_id, str):
        raise SerializationError(f"run_id must be a UUID or its text, not {type(run_id).__name__}")
    if not _UUID.fullmatch(run_id):
        raise SerializationError(
            "run_id is not the text of a UUID; give all of it, such as"
            " 24ede6a4-6b4c-4242-8a23-d5962217bead"
        )
    return str(UUID(run_id))


def number(value: int, what: str, *, most: int = I64_MAX) -> int:
    """Check an argument that counts.

    Raises:
        SerializationError: it is not a whole number.
        InternalError: it is not within 0 to `most`.
    """
    if type(value) is not int:
        raise SerializationError(f"{what} must be a whole number, not {type(value).__name__}")
    if value < 0:
        raise InternalError(f"{what} {value} is negative")
    if value > most:
        raise InternalError(f"{what} {value} exceeds {'i64::MAX' if most == I64_MAX else most}")
    return value


def choice(value: str, allowed: frozenset[str], what: str) -> str:
    """Check one of the reference's enumerations.

    Raises:
        SerializationError: it is none of the allowed words.
    """
    if type(value) is not str or value not in allowed:
        raise SerializationError(f"{what} must be one of {', '.join(sorted(allowed))}")
    return value


def instance(value: object, kind: type[Record], what: str) -> None:
    """Check that a value is a model of this kind.

    Raises:
        SerializationError: it is not.
    """
    # Half of the time of `isinstance`, which pydantic's models answer in Python.
    if kind not in type(value).__mro__:
        raise SerializationError(f"{what} must be a {kind.__name__}, not {type(value).__name__}")


def state_text(state: KernelState, what: str) -> str:
    """The canonical text of a kernel state.

    Raises:
        SerializationError: it is not a kernel state, or nested too deeply to lie in a run.
    """
    if type(state) is not KernelState:
        raise SerializationError(f"{what} must be a KernelState, not {type(state).__name__}")
    if state.depth > _STATE_ROOM:
        raise SerializationError(f"{what} is nested deeper than {_STATE_ROOM} levels")
    return state.to_json()


def snapshot_text(
    snapshot: FrameSnapshot | LoopSnapshot, kind: type[FrameSnapshot | LoopSnapshot], what: str
) -> str:
    """The canonical text of a snapshot's kernel state.

    Raises:
        SerializationError: it is not of this kind, or nested too deeply to lie in a run.
    """
    instance(snapshot, kind, what)
    return state_text(snapshot.kernel_state, what)


def output_text(value: JsonValue, what: str) -> str:
    """The text of free JSON that lies in a run.

    Raises:
        SerializationError: it is not JSON, or nested too deeply; the place is named.
    """
    return encode_json(value, _OUTPUT_ROOM, what)


def record_text(record: Record, kind: type[Record], what: str) -> str:
    """The JSON of a model.

    Raises:
        SerializationError: it is not of this type, has no JSON form, or is nested too deeply.
    """
    instance(record, kind, what)
    encoded = record.to_json_bytes()
    if nested_deeper(encoded, _RECORD_ROOM):
        raise SerializationError(f"{what} is nested deeper than {_RECORD_ROOM} levels")
    return encoded.decode()
