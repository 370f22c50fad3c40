"""Errors: their texts, and copies of them in other processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from mobstore import (
    CasConflictError,
    ConsumerMovedError,
    InternalError,
    MobStoreError,
    NotFoundError,
    ReadFailedError,
    SerializationError,
    SpecRevisionConflictError,
    StaleCursorError,
    WriteFailedError,
)

TEXTS = [
    (WriteFailedError("x"), "Write failed: x"),
    (ReadFailedError("x"), "Read failed: x"),
    (NotFoundError("run not found: r"), "Not found: run not found: r"),
    (CasConflictError("x"), "CAS conflict: x"),
    (
        SpecRevisionConflictError("m", 3, 4),
        "spec revision conflict for mob m: expected Some(3), actual 4",
    ),
    (
        StaleCursorError(10, 5),
        "Not found: cursor 10 is past the latest one, 5: it belongs to another store, or this"
        " one was restored or recreated; compare identity(), and start again from 0",
    ),
    (
        ConsumerMovedError("projector", 3, 4),
        "Consumer moved: projector is at 4, not at 3; discard this batch and take the next one",
    ),
    (
        ConsumerMovedError("projector", 3, None),
        "Consumer moved: projector is forgotten, not at 3; discard this batch and take"
        " the next one",
    ),
    (SerializationError("x"), "Serialization error: x"),
    (InternalError("x"), "Internal error: x"),
    (InternalError(""), "Internal error: "),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda part: type(part).__name__)
def test_texts(error: MobStoreError, text: str) -> None:
    assert str(error) == text
    assert isinstance(error, MobStoreError)
    assert error.retry_safe is False
    assert error.maybe_written is False
    assert text.endswith(error.detail)


@pytest.mark.parametrize(
    "error",
    [
        *(error for error, _ in TEXTS),
        WriteFailedError("locked", retry_safe=True),
        WriteFailedError("torn", maybe_written=True),
        ReadFailedError("locked", retry_safe=True),
    ],
    ids=str,
)
def test_pickles_and_copies(error: MobStoreError) -> None:
    for again in (
        pickle.loads(pickle.dumps(error)),  # noqa: S301
        copy.copy(error),
        copy.deepcopy(error),
    ):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert repr(again) == repr(error)
        assert again.args == error.args
        assert vars(again) == vars(error)
        assert (again.retry_safe, again.maybe_written) == (error.retry_safe, error.maybe_written)


def test_facts_of_a_spec_conflict() -> None:
    error = SpecRevisionConflictError("m", 3, 4)
    assert (error.mob_id, error.expected, error.actual) == ("m", 3, 4)
