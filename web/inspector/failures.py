"""Every failure in words for a person: what happened, and the way out."""

from __future__ import annotations

from inspector.shapes import Failure, FailureKind
from inspector.texts import cut
from mobstore.errors import (
    MobStoreError,
    NotFoundError,
    ReadFailedError,
    SerializationError,
    WriteFailedError,
)

_LONGEST = 1000  # characters of what an error says


class RefusedError(Exception):
    """The inspector itself refuses, with a failure for the page."""

    def __init__(self, kind: FailureKind, message: str, way_out: str) -> None:
        super().__init__(message)
        self.failure: Failure = {"kind": kind, "message": message, "way_out": way_out}


def explain(error: Exception) -> Failure:
    """What to tell of an error; of a fault in the code only its name: its text may quote data."""
    if isinstance(error, RefusedError):
        return error.failure
    if isinstance(error, MobStoreError):
        kind = _kind(error)
        message = f"{error.detail[:1].upper()}{cut(error.detail[1:], _LONGEST)}."
        if error.maybe_written:
            message += " It may have been written all the same: look before you do it again."
        return {"kind": kind, "message": message, "way_out": _WAYS_OUT[kind]}
    if isinstance(error, MemoryError):
        return {
            "kind": "refused",
            "message": "The memory of this page is not enough for that.",
            "way_out": "Close other tabs and reload the page, or use the command line: mobstore.",
        }
    return {
        "kind": "bug",
        "message": f"The inspector itself went wrong ({type(error).__name__}).",
        "way_out": _WAYS_OUT["bug"],
    }


def _kind(error: MobStoreError) -> FailureKind:
    if isinstance(error, NotFoundError):
        return "gone"
    if isinstance(error, SerializationError):
        return "data"
    if isinstance(error, (ReadFailedError, WriteFailedError)):
        if "no room" in error.detail:  # what every engine says of a full medium
            return "full"
        return "busy" if error.retry_safe else "storage"
    return "refused"


_WAYS_OUT: dict[FailureKind, str] = {
    "gone": "It may have been erased in another tab. Go back to the overview.",
    "data": "What else is there can still be read. To be rid of it, erase the store and import a"
    " good copy.",
    "full": "Export what you want to keep, then erase the store, or free some disk space.",
    "busy": "Close the other tabs of this page and try again.",
    "storage": "Reload the page. If that does not help, allow this site to keep data; private"
    " windows often do not.",
    "refused": "Reload the page and try again.",
    "bug": "Reload the page; what the store holds is not changed by that. If it happens again,"
    " please report it with the name in brackets.",
}
