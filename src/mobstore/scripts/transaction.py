"""The vocabulary of transactions: what a script may ask for, what it may write, what runs it.

A *script* decides one store operation without doing any I/O. It is a generator: it yields reads,
is sent their answers, and returns a `Commit`, its result and its writes:

    def cas_flow_state(run_id: str, expected: str, next: str) -> Script[bool]:
        state = yield from fetch(Get(RUN_STATES, (run_id,)))
        if state is None or state.flow_state != expected:
            return refuse(f"run {run_id} has another flow state")
        return Commit(True, (Put(RUN_STATES, (RunStateRow(run_id, next),)),))

Rules for scripts: no clock, no random, no await; nothing is changed before the end, so a script
that raises has changed nothing. Rules for engines: all reads of one script see one state of the
store, its writes are applied all or none, and nobody sees some of them.

A *loading* script brings in more than fits into memory: it yields writes too, which are applied at
once but become visible and durable, all or none, only when it has ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast, overload

from mobstore.errors import InternalError, UsageError, WriteFailedError
from mobstore.scripts.tables import Index, Key, R, Table, Value

T = TypeVar("T")
A_co = TypeVar("A_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


Durability: TypeAlias = Literal["full", "normal"]
"""What a write that returned survives: "full": a power failure. "normal": the death of the process;
a power failure may undo the last ones."""


class ReadOf(Generic[A_co]):
    """The type of a read's answer, from which `fetch` infers its own; see `Read`."""

    __slots__ = ()


@dataclass(slots=True)
class Get(ReadOf[R | None], Generic[R]):
    """The row with this key, or None."""

    table: Table[R]
    key: Key


@dataclass(slots=True)
class Scan(ReadOf[Sequence[R]], Generic[R]):
    """The rows with these values in the index's prefix, in its order.

    `prefix` may also hold fewer values, () being all rows, or more: they are those of the first of
    the index's columns, prefix and order, and the columns after them order the rows.

    `after` and `before` bound the first column that orders, both exclusively; `limit` bounds the
    number of rows; `backwards` reverses the order, before the limit counts.
    """

    index: Index[R]
    prefix: Key = ()
    after: Value | None = None
    before: Value | None = None
    limit: int | None = None
    backwards: bool = False


@dataclass(slots=True)
class Count(ReadOf[int]):
    """The number of rows that a scan finds; the scan must not have a limit."""

    scan: Scan[Any]

    def __post_init__(self) -> None:
        _require_unlimited(self.scan)


Read: TypeAlias = Get[Any] | Scan[Any] | Count


@dataclass(slots=True)
class Add(Generic[R]):
    """Write these rows, which must be new: a row of the same key fails the whole commit.

    The failure is `key_in_use(table, key)`. It means that a counter is behind the rows it numbers,
    as a partial restore leaves it; to overwrite them would lose what was acknowledged.
    """

    table: Table[R]
    rows: Sequence[R]


@dataclass(slots=True)
class Put(Generic[R]):
    """Write these rows; each replaces the row of the same key if there is one."""

    table: Table[R]
    rows: Sequence[R]


@dataclass(slots=True)
class Delete:
    """Remove the row with this key, if there is one."""

    table: Table[Any]
    key: Key


@dataclass(slots=True)
class DeleteRange:
    """Remove every row that a scan finds; the scan must not have a limit."""

    scan: Scan[Any]

    def __post_init__(self) -> None:
        _require_unlimited(self.scan)


def _require_unlimited(scan: Scan[Any]) -> None:
    if scan.limit is not None:
        raise InternalError("a scan that is counted or removed has no limit")


Write: TypeAlias = Add[Any] | Put[Any] | Delete | DeleteRange


def add_or_put(table: Table[R], stored: R | None, row: R) -> Add[R] | Put[R]:
    """Write a row: in place of the stored one of its key, or as a new one if there is none."""
    return Add(table, (row,)) if stored is None else Put(table, (row,))


def key_in_use(table: Table[Any], key: Key, column: str = "key") -> WriteFailedError:
    """The error of an `Add` whose key is taken, or of a number that is."""
    named = ", ".join(str(part)[:80] for part in key)
    return WriteFailedError(
        f"table {table.name} already has a row with the {column} {named}, so a"
        " counter is behind its rows; nothing was written. mobstore verify URL --repair sets the"
        " counters of events and runs right; of others mobstore verify says where they are"
    )


def counter_too_low(name: str, value: int) -> WriteFailedError:
    """The error of numbering what is new by a counter that is below its first value, 1."""
    return WriteFailedError(
        f"the counter {name} is {value}, and 1 is its first value: what it numbers could not be"
        " found again; nothing was written. mobstore verify URL --repair sets it right"
    )


class Commit(NamedTuple, Generic[T]):
    """The end of a script: what the operation returns, and what is to be written for it.

    Attributes:
        result: what the operation returns.
        writes: applied in this order.
        refusal: why a comparison refused the operation, so that nothing is written; None: it
            did not. Whoever runs several operations as one undoes all of them then.
    """

    result: T
    writes: tuple[Write, ...] = ()
    refusal: str | None = None


ScriptPart: TypeAlias = Generator[tuple[Read, ...], tuple[Any, ...], T]
"""A part of a script, for `yield from`."""
Script: TypeAlias = ScriptPart[Commit[T]]
LoadingScript: TypeAlias = Generator[tuple[Read | Write, ...], tuple[Any, ...], Commit[T]]


def refuse(why: str) -> Commit[bool]:
    """The end of a compare-and-swap that found something else than it expected."""
    return Commit(False, (), why)


@overload
def fetch(read: ReadOf[A], /) -> ScriptPart[A]: ...
@overload
def fetch(read: ReadOf[A], other: ReadOf[B], /) -> ScriptPart[tuple[A, B]]: ...
@overload
def fetch(read: ReadOf[A], other: ReadOf[B], third: ReadOf[C], /) -> ScriptPart[tuple[A, B, C]]: ...
def fetch(*reads: Any) -> ScriptPart[Any]:
    """Ask within a script, in one round trip; to be used with `yield from`."""
    answers = yield reads
    return answers[0] if len(reads) == 1 else answers


def drive(script: Script[T] | LoadingScript[T], answer: Callable[[Any], object]) -> Commit[T]:
    """Run a script to its end where every read can be answered at once.

    Args:
        script: a fresh script.
        answer: gives the answer to one read; for a loading script it also applies one write.

    Raises:
        Exception: whatever the script or `answer` raises; nothing of the commit was applied.
    """
    try:
        asked: Sequence[object] = next(script)
        while True:
            asked = script.send(tuple([answer(one) for one in asked]))
    except StopIteration as end:
        return cast("Commit[T]", end.value)
    except BaseException:
        script.close()  # now, not when the error's traceback is let go of
        raise


_WITHIN_ATOMIC: ContextVar[bool] = ContextVar("mobstore_within_atomic", default=False)


def enter_atomic(context: Context) -> None:
    """Mark a context as that of an atomic call's function."""
    context.run(_WITHIN_ATOMIC.set, True)


def is_within_atomic() -> bool:
    """Whether the caller is the function of an atomic call, or a task that it started."""
    return _WITHIN_ATOMIC.get()


def require_outside_atomic() -> None:
    """Raise if called from the function of an atomic call, or from a task that it started.

    Every engine calls this first, before it takes a lock or queues anything: the call would wait
    for the transaction that waits for it.

    Raises:
        UsageError: the caller is within an atomic call.
    """
    if is_within_atomic():
        raise UsageError(
            "within an atomic call, use the stores that the function was given, not those outside"
        )


class Engine(ABC):
    """What runs scripts: it knows how to run a transaction, never what it means.

    All three ways take a *maker* of the script, so that an engine may run a fresh one again.
    A task that is cancelled while it waits leaves either all of a script's writes or none.
    Every method but `close` begins with `require_outside_atomic`; `MobStores.close` does so itself.
    """

    @abstractmethod
    async def read(self, make: Callable[[], Script[T]]) -> T:
        """Run a script that writes nothing.

        Raises:
            ReadFailedError: the medium refused.
            ClosedError: the engine is closed.
        """

    @abstractmethod
    async def write(self, make: Callable[[], Script[T]]) -> T:
        """Run a script; when this returns, its writes are as durable as the engine promises.

        Raises:
            WriteFailedError: the medium refused; nothing was written unless it says otherwise.
            ClosedError: the engine is closed.
        """

    @abstractmethod
    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        """Run a loading script, alone; errors as for `write`."""

    @abstractmethod
    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        """Have `wake` called after commits, of this engine or of whoever shares its store.

        Calls come soon after a commit, on any thread; they may be coalesced. What others commit
        may cause spurious ones; a commit of this engine calls only those whom it concerns. There
        is one more call when the engine is closed, or when its medium turns out to be gone. `wake`
        must return at once; what it raises is logged and dropped.

        Args:
            wake: the function.
            to: only commits that may have changed what this scan finds, its bounds and limit
                aside; None: all commits.

        Returns:
            What ends it; to be called once, or not at all where the engine is closed.

        Raises:
            ClosedError: the engine is closed.
        """

    @abstractmethod
    async def compact(self) -> None:
        """Give back the room of what was removed, where the medium does not do so by itself.

        Raises:
            WriteFailedError: the medium refused; nothing was lost.
            ClosedError: the engine is closed.
        """

    async def faults(self) -> Sequence[str]:
        """What is wrong with the medium itself, beneath the rows, in words; empty: nothing known.

        Raises:
            ReadFailedError: the medium refused.
            ClosedError: the engine is closed.
        """
        return ()

    def details(self) -> Mapping[str, str]:
        """Name what may explain a failure of the medium: its version, its known faults."""
        return {}

    @abstractmethod
    async def close(self) -> None:
        """Let writes under way end, end reads that last, let go of all; closing twice is fine."""
