"""The errors of stores, with the reference's kinds and texts.

    MobStoreError
    ├── WriteFailedError               the medium failed a write: disk, lock, quota
    ├── ReadFailedError                the medium failed a read
    ├── NotFoundError                  the run or realm profile does not exist
    │   └── StaleCursorError           the cursor was never assigned in this store
    ├── ConflictError                  the state differs from the one the caller expected
    │   ├── CasConflictError           a realm profile exists, or is at another revision
    │   │   └── RefusedError           in an atomic call, a comparison failed
    │   ├── ClaimLostError             a claim was released, or has another holder
    │   ├── RunEndedError              a run is completed, failed or canceled
    │   ├── ConsumerMovedError         a consumer's position is not where its batch began
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

    def __init__(self, after: int, latest: int, consumer: str | None = None) -> None:
        named = "" if consumer is None else f"consumer {consumer}: "
        advice = "start again from 0" if consumer is None else "call forget_consumer to begin anew"
        super().__init__(
            f"{named}cursor {after} is past the latest one, {latest}: it belongs to another store,"
            f" or this one was restored or recreated; compare identity(), and {advice}"
        )
        of = () if consumer is None else (consumer,)
        self.args: tuple[int | str, ...] = (after, latest, *of)
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
        method: its store and method, such as `runs.cas_run_status`.
        run_id: the id of the run; None if the operation is not about a run.
        reason: why it was refused.
    """

    def __init__(self, operation: int, method: str, run_id: str | None, reason: str) -> None:
        super().__init__(f"operation {operation} ({method}) was refused: {reason}")
        self.args: tuple[int, str, str | None, str] = (operation, method, run_id, reason)
        self.operation: int = operation
        self.method: str = method
        self.run_id: str | None = run_id
        self.reason: str = reason


class ClaimLostError(ConflictError):
    """A claim is not its holder's any more; nothing was written.

    Attributes:
        name: the name of the claim.
        holder: its former holder.
        epoch: its epoch.
    """

    label = "Claim lost"

    def __init__(self, name: str, holder: str, epoch: int, reason: str) -> None:
        super().__init__(f"claim {name} of {holder}, epoch {epoch}: {reason}")
        self.args: tuple[str, str, int, str] = (name, holder, epoch, reason)
        self.name: str = name
        self.holder: str = holder
        self.epoch: int = epoch


class RunEndedError(ConflictError):
    """A run has ended, and the call depends on one that has not; nothing was written.

    Attributes:
        run_id: the id of the run.
        status: its terminal status.
    """

    label = "Run ended"

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"run {run_id} is {status}")
        self.args: tuple[str, str] = (run_id, status)
        self.run_id: str = run_id
        self.status: str = status


class ConsumerMovedError(ConflictError):
    """The position of a consumer is not the one after which its batch begins; nothing was written.

    Another loop with the same name is done with these events, or this one is already, or the
    consumer was forgotten. The next step of `follow` continues from the stored position.

    Attributes:
        name: the name of the consumer.
        expected: the cursor after which the batch begins.
        actual: the stored position; None if the consumer was forgotten.
    """

    label = "Consumer moved"

    def __init__(self, name: str, expected: int, actual: int | None) -> None:
        now = "forgotten" if actual is None else f"at {actual}"
        super().__init__(
            f"{name} is {now}, not at {expected}; discard this batch and take the next one"
        )
        self.args: tuple[str, int, int | None] = (name, expected, actual)
        self.name: str = name
        self.expected: int = expected
        self.actual: int | None = actual


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
