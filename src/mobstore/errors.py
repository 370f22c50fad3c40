"""The errors of stores, with the reference's kinds and texts.

    MobStoreError
    ├── WriteFailedError               the medium failed a write: disk, lock, quota
    ├── ReadFailedError                the medium failed a read
    ├── NotFoundError                  the run or realm profile does not exist
    │   └── StaleCursorError           the cursor was never assigned in this store
    ├── ConflictError                  the state differs from the one the caller expected
    │   ├── CasConflictError           a realm profile exists, or is at another revision
    │   │   └── RefusedError           in an atomic call, a comparison failed
    │   └── SpecRevisionConflictError  a spec is at another revision
    ├── SerializationError             a value has no JSON form, or stored JSON cannot be read
    └── InternalError                  the call cannot succeed
        ├── UsageError                 an argument, URL or option is wrong; also a ValueError
        └── ClosedError                the store is closed

An error from a write means that nothing was written, unless `maybe_written` is true. Driver
exceptions are never raised; they are the `__cause__`.
"""

from __future__ import annotations


class MobStoreError(Exception):
    """The base of all errors of stores; `str()` returns the reference's text.

    Attributes:
        detail: the text without the name of the kind.
        retry_safe: whether repeating the call can succeed and is harmless.
        maybe_written: whether the write may have happened despite the error. Read before you
            write again.
    """

    label = "Store error"
    retry_safe = False
    maybe_written = False

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.label}: {self.detail}"


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class _MediumError(MobStoreError):
    def __init__(
        self, detail: str, *, retry_safe: bool = False, maybe_written: bool = False
    ) -> None:
        super().__init__(_printable(detail))  # a file name may hold control characters
        self.retry_safe = retry_safe
        self.maybe_written = maybe_written


class WriteFailedError(_MediumError):
    """The medium failed a write."""

    label = "Write failed"


class ReadFailedError(_MediumError):
    """The medium failed a read, or could not be opened; nothing was changed."""

    label = "Read failed"


class NotFoundError(MobStoreError):
    """The run or realm profile is not in the store; nothing was written."""

    label = "Not found"


class StaleCursorError(NotFoundError):
    """A cursor is past the latest one: it belongs to another store, or this store lost events.

    A restored or recreated store assigns the cursors in between a second time, to other events. A
    consumer that continued from here would silently skip them.

    Attributes:
        after: the caller's cursor.
        latest: the latest cursor of the store, 0 if none was assigned.
    """

    def __init__(self, after: int, latest: int) -> None:
        super().__init__(
            f"cursor {after} is past the latest one, {latest}: it belongs to another store, or this"
            " one was restored or recreated; compare identity(), and start again from 0"
        )
        self.args: tuple[int, int] = (after, latest)
        self.after = after
        self.latest = latest


class ConflictError(MobStoreError):
    """The stored state is not the expected one; nothing was written."""


class CasConflictError(ConflictError):
    """A realm profile exists, or is not at the expected revision; nothing was written."""

    label = "CAS conflict"


class RefusedError(CasConflictError):
    """A comparison failed in an atomic call; unless the function catches it, all is rolled back.

    Attributes:
        operation: the number of the refused operation, from 1.
    """

    def __init__(self, operation: int, reason: str) -> None:
        super().__init__(f"operation {operation} was refused: {reason}")
        self.args: tuple[int, str] = (operation, reason)
        self.operation = operation


class SpecRevisionConflictError(ConflictError):
    """A spec is not at the expected revision; nothing was written.

    Attributes:
        mob_id: the mob of the spec.
        expected: the expected revision.
        actual: the stored revision, 0 if there is no spec.
    """

    def __init__(self, mob_id: str, expected: int, actual: int) -> None:
        super().__init__(
            f"spec revision conflict for mob {mob_id}: expected Some({expected}), actual {actual}"
        )
        self.args: tuple[str, int, int] = (mob_id, expected, actual)
        self.mob_id: str = mob_id
        self.expected: int = expected
        self.actual: int = actual

    def __str__(self) -> str:
        return self.detail


class SerializationError(MobStoreError):
    """A value has no JSON form, or stored JSON cannot be read."""

    label = "Serialization error"


class InternalError(MobStoreError):
    """The call cannot succeed; nothing was written. The reference's kind for the errors below."""

    label = "Internal error"


class UsageError(InternalError, ValueError):
    """An argument, URL or option is wrong, or a call is in the wrong place; nothing was written."""


class ClosedError(InternalError):
    """The store is closed; nothing was written."""


def reason(error: Exception) -> str:
    """Return the system's reason for a file error, such as "no space left on device"."""
    if not isinstance(error, OSError) or not error.strerror:
        return "no file can have this name" if isinstance(error, ValueError) else "it was refused"
    return error.strerror[:1].lower() + error.strerror[1:]
