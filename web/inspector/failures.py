"""Failures as texts for users: what happened, and what to do."""

from __future__ import annotations

from inspector.formatting import truncate
from inspector.results import Failure, FailureKind
from mobstore.errors import (
    MobStoreError,
    NotFoundError,
    ReadFailedError,
    SerializationError,
    WriteFailedError,
)

_LONGEST = 1000  # characters of an error's text


class InspectorError(Exception):
    """Rejection by the inspector itself, with a failure for the page."""

    def __init__(self, kind: FailureKind, message: str, way_out: str) -> None:
        super().__init__(message)
        self.failure: Failure = {"kind": kind, "message": message, "way_out": way_out}


def explain(error: Exception) -> Failure:
    """Describe an error; a bug by its type only, since its text may quote stored data."""
    if isinstance(error, InspectorError):
        return error.failure
    if isinstance(error, MobStoreError):
        kind = _kind(error)
        message = f"{error.detail[:1].upper()}{truncate(error.detail[1:], _LONGEST)}."
        if error.maybe_written:
            message += " It may have been written all the same: check before you repeat it."
        return {"kind": kind, "message": message, "way_out": _WAYS_OUT[kind]}
    if isinstance(error, MemoryError):
        return {
            "kind": "rejected",
            "message": "This page has too little memory for that.",
            "way_out": "Close other tabs and reload the page, or use the command line: mobstore.",
        }
    return {
        "kind": "bug",
        "message": f"The inspector itself failed ({type(error).__name__}).",
        "way_out": _WAYS_OUT["bug"],
    }


def _kind(error: MobStoreError) -> FailureKind:
    if isinstance(error, NotFoundError):
        return "gone"
    if isinstance(error, SerializationError):
        return "data"
    if isinstance(error, (ReadFailedError, WriteFailedError)):
        if "no space" in error.detail:  # in every engine's text for a full disk or quota
            return "full"
        return "busy" if error.retry_safe else "storage"
    return "rejected"


_WAYS_OUT: dict[FailureKind, str] = {
    "gone": "It may have been erased in another tab. Go back to the overview.",
    "data": "Everything else can still be read. To repair the store, erase it and import a good"
    " copy.",
    "full": "Export what you want to keep, then erase the store, or free some disk space.",
    "busy": "Close the other tabs of this page, then try again.",
    "storage": "Reload the page. If that does not help, allow this site to store data; private"
    " windows often forbid it.",
    "rejected": "Reload the page and try again.",
    "bug": "Reload the page; the stored data is not affected. If it happens again, report it with"
    " the name in parentheses.",
}
