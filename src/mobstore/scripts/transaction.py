"""The vocabulary of transactions: reads, writes, scripts, and the engine that runs them.

A *script* decides one store operation without doing any I/O. It is a generator that yields reads,
receives their answers, and returns a `Commit` with its result and its writes:

    def cas_flow_state(run_id: str, expected: str, next: str) -> Script[bool]:
        state = yield from fetch(Get(RUN_STATES, (run_id,)))
        if state is None or state.flow_state != expected:
            return refuse("runs.cas_flow_state", run_id, f"run {run_id} has another flow state")
        return Commit(True, (Put(RUN_STATES, (RunStateRow(run_id, next),)),))

Rules for scripts: no clock but `Now`, no random, no await. Nothing changes before the end, so a
script that raises has changed nothing. Rules for engines: all reads of one script see one snapshot
of the store. Its writes are applied all or none, and no reader sees only some of them.

A *loading* script imports more than fits into memory. It yields writes too. They are applied at
once, but become visible and durable, all or none, only when the script ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast, overload

from mobstore.errors import InternalError, UsageError, WriteFailedError
from mobstore.scripts.tables import CounterRow, Index, Key, R, Table, Value

T = TypeVar("T")
A_co = TypeVar("A_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


Durability: TypeAlias = Literal["full", "normal"]
"""What a completed write survives. "full": a power failure. "normal": a crash of the process; a
power failure may undo the last writes."""


Isolation: TypeAlias = Literal["read committed", "serializable"]
"""How PostgreSQL keeps the transactions of several processes apart: by locks that mobstore takes,
or by the server's own check of each transaction."""


class ReadOf(Generic[A_co]):
    """The base of the reads; its parameter is the type of the answer, for `fetch`."""

    __slots__ = ()


@dataclass(slots=True)
class Get(ReadOf[R | None], Generic[R]):
    """The row with this key, or None."""

    table: Table[R]
    key: Key


@dataclass(slots=True)
class Scan(ReadOf[Sequence[R]], Generic[R]):
    """The rows with these values in the index's prefix, in its order.

    `prefix` may hold fewer values than the index's prefix, or more; () selects all rows. The values
    belong to the first columns of `sorted_by`; the remaining columns order the rows.

    `after` and `before` are exclusive bounds of the first ordering column. `limit` bounds the
    number of rows. `backwards` reverses the order before the limit applies.
    """

    index: Index[R]
    prefix: Key = ()
    after: Value | None = None
    before: Value | None = None
    limit: int | None = None
    backwards: bool = False


@dataclass(slots=True)
class Count(ReadOf[int]):
    """The number of rows a scan finds; the scan must not have a limit."""

    scan: Scan[Any]

    def __post_init__(self) -> None:
        _require_unlimited(self.scan)


@dataclass(slots=True)
class Now(ReadOf[str]):
    """The time as sortable text, read by the engine's clock once a writer has its lock.

    All processes that share a store should see one clock: the machine's, or the server's.
    """


@dataclass(slots=True)
class Parts(ReadOf[list[T]], Generic[T]):
    """Some columns of the rows that a scan finds, converted part by part; see `PartsScript`.

    The answer is what `convert` returned for each part, in order. An engine holds a part of the
    rows at a time, and need not read the other columns.
    """

    scan: Scan[Any]
    columns: tuple[str, ...]
    """Columns of the table, among them those by which the scan orders its rows."""
    convert: Callable[[Sequence[Any]], T]
    """Takes tuples of the columns, any number of them; always returns the same for the same."""

    def of(self, rows: Sequence[Any]) -> list[T]:
        """Return the answer for whole rows, as one part."""
        return [self.convert(list(map(self.scan.index.table.getter(self.columns), rows)))]


Read: TypeAlias = Get[Any] | Scan[Any] | Count | Now
"""A read, answered by a row or None, by rows, by a number, or by a time."""


@dataclass(slots=True)
class Add(Generic[R]):
    """New rows; a stored row with the same key fails the whole commit.

    The failure is `key_in_use(table, key)`, with the first such key of a table; if keys of several
    tables are in use, it names any one of the tables. It means that a counter is behind the rows it
    numbers, as after a partial restore. Overwriting them would lose acknowledged data.
    """

    table: Table[R]
    rows: Sequence[R]


@dataclass(slots=True)
class Put(Generic[R]):
    """Rows to store; each replaces the row with the same key if there is one."""

    table: Table[R]
    rows: Sequence[R]
    later: bool = False
    """Whether each row was there, of the same mob, flow and status, and is not due earlier now.
    Listeners to an index wait for rows that are new or due, so they are not notified."""


@dataclass(slots=True)
class Delete:
    """The removal of the row with this key, if there is one."""

    table: Table[Any]
    key: Key


@dataclass(slots=True)
class DeleteRange:
    """The removal of every row a scan finds; the scan must not have a limit."""

    scan: Scan[Any]

    def __post_init__(self) -> None:
        _require_unlimited(self.scan)


def _require_unlimited(scan: Scan[Any]) -> None:
    if scan.limit is not None:
        raise InternalError("a scan to count or remove must not have a limit")


Write: TypeAlias = Add[Any] | Put[Any] | Delete | DeleteRange


def add_or_put(table: Table[R], stored: R | None, row: R) -> Add[R] | Put[R]:
    """Return the write that replaces a stored row, or adds the row if none is stored."""
    return Add(table, (row,)) if stored is None else Put(table, (row,))


def key_in_use(table: Table[Any], key: Key, column: str = "key") -> WriteFailedError:
    """Return the error for an `Add` with a key in use, or for a number in use."""
    named = ", ".join(str(part)[:80] for part in key)
    return WriteFailedError(
        f"table {table.name} already has a row with the {column} {named}, so a counter is behind"
        " its rows; nothing was written. mobstore verify URL --repair corrects the counters of"
        " events and runs; mobstore verify URL names other rows"
    )


def counter_too_low(name: str, value: int) -> WriteFailedError:
    """Return the error for a counter below its first value, 1."""
    return WriteFailedError(
        f"the counter {name} is {value}, below its first value 1, so new rows could not be found"
        " again; nothing was written. mobstore verify URL --repair corrects it"
    )


def next_number(counter: CounterRow | None, name: str) -> int:
    """Return the next number of a counter; 1 if nothing was counted.

    Raises:
        WriteFailedError: the counter is below 1.
    """
    if counter is None:
        return 1
    if counter.value < 1:
        raise counter_too_low(name, counter.value)
    return counter.value


class Refusal(NamedTuple):
    """A comparison that failed.

    Attributes:
        method: the store method, such as `runs.cas_run_status`.
        run_id: the id of the run; None if it is not about a run.
        reason: why it failed.
    """

    method: str
    run_id: str | None
    reason: str


class Commit(NamedTuple, Generic[T]):
    """The end of a script: the result of the operation, and its writes.

    Attributes:
        result: what the operation returns.
        writes: applied in this order.
        refusal: the comparison that failed, in which case there are no writes; else None. In an
            atomic call, a refusal rolls back every operation.
    """

    result: T
    writes: tuple[Write, ...] = ()
    refusal: Refusal | None = None


ScriptPart: TypeAlias = Generator[tuple[Read, ...], tuple[Any, ...], T]
"""A part of a script, for `yield from`."""
Script: TypeAlias = ScriptPart[Commit[T]]
LoadingScript: TypeAlias = Generator[tuple[Read | Write, ...], tuple[Any, ...], Commit[T]]
PartsScript: TypeAlias = Generator[tuple[Read | Parts[Any], ...], tuple[Any, ...], Commit[T]]
"""A script that writes nothing and may read in parts, for `Engine.read_parts`."""


def refuse(method: str, run_id: str | None, reason: str) -> Commit[bool]:
    """Return the end of a compare-and-swap that did not find the expected value."""
    return Commit(False, (), Refusal(method, run_id, reason))


@overload
def fetch(read: ReadOf[A], /) -> ScriptPart[A]: ...
@overload
def fetch(read: ReadOf[A], other: ReadOf[B], /) -> ScriptPart[tuple[A, B]]: ...
@overload
def fetch(read: ReadOf[A], other: ReadOf[B], third: ReadOf[C], /) -> ScriptPart[tuple[A, B, C]]: ...
@overload
def fetch(
    read: ReadOf[A], other: ReadOf[B], third: ReadOf[C], fourth: ReadOf[D], /
) -> ScriptPart[tuple[A, B, C, D]]: ...
def fetch(*reads: Any) -> ScriptPart[Any]:
    """Yield reads in one round trip and return their answers; use it with `yield from`."""
    answers = yield reads
    return answers[0] if len(reads) == 1 else answers


def in_whole(script: PartsScript[T]) -> Script[T]:
    """Return a script that reads whole rows in place of parts."""
    try:
        asked = next(script)
        while True:
            answers = yield tuple([one.scan if isinstance(one, Parts) else one for one in asked])
            asked = script.send(
                tuple(
                    [
                        one.of(answer) if isinstance(one, Parts) else answer
                        for one, answer in zip(asked, answers, strict=True)
                    ]
                )
            )
    except StopIteration as end:
        return cast("Commit[T]", end.value)
    finally:
        script.close()


def drive(
    script: Script[T] | LoadingScript[T] | PartsScript[T],
    answer: Callable[[Any], object],
    now: Callable[[], str],
) -> Commit[T]:
    """Run a script to its end on an engine that answers reads immediately.

    Args:
        script: a fresh script.
        answer: answers one read; for a loading script it also applies one write.
        now: answers `Now`.

    Raises:
        Exception: any error of the script or of `answer`; no part of the commit was applied.
    """
    try:
        asked: Sequence[object] = next(script)
        while True:
            asked = script.send(
                tuple([now() if type(one) is Now else answer(one) for one in asked])
            )
    except StopIteration as end:
        return cast("Commit[T]", end.value)
    except BaseException:
        script.close()  # now, not when the traceback is released
        raise


_WITHIN_ATOMIC: ContextVar[bool] = ContextVar("mobstore_within_atomic", default=False)


def enter_atomic(context: Context) -> None:
    """Mark a context as belonging to an atomic call's function."""
    context.run(_WITHIN_ATOMIC.set, True)


def is_within_atomic() -> bool:
    """Return whether the caller is an atomic call's function, or a task it started."""
    return _WITHIN_ATOMIC.get()


def require_outside_atomic() -> None:
    """Raise if called from an atomic call's function, or from a task it started.

    Every engine calls this first, before it takes a lock or queues anything. Otherwise the call
    would wait for a transaction that waits for the call.

    Raises:
        UsageError: the caller is within an atomic call.
    """
    if is_within_atomic():
        raise UsageError(
            "within an atomic call, use the stores passed to the function, not those outside"
        )


def _nothing() -> Script[None]:
    yield ()
    return Commit(None)


class Engine(ABC):
    """A runner of scripts: it knows how to run a transaction, never what the transaction means.

    `read`, `write` and `load` take a function that makes the script, so that an engine can retry
    with a fresh one. A cancelled task leaves either all of a script's writes or none.
    Every method but `close` begins with `require_outside_atomic`; `MobStores.close` does so itself.
    """

    @abstractmethod
    async def read(self, make: Callable[[], Script[T]]) -> T:
        """Run a script that writes nothing.

        Raises:
            ReadFailedError: the medium failed.
            ClosedError: the engine is closed.
        """

    async def read_parts(self, make: Callable[[], PartsScript[T]]) -> T:
        """Run a script that writes nothing and may read in parts. Raise the errors of `read`.

        An engine that gains nothing by parts reads whole rows.
        """
        return await self.read(lambda: in_whole(make()))

    @abstractmethod
    async def write(self, make: Callable[[], Script[T]]) -> T:
        """Run a script; when this returns, its writes are as durable as the engine promises.

        Raises:
            WriteFailedError: the medium failed; nothing was written unless `maybe_written`.
            ClosedError: the engine is closed.
        """

    async def settle(self) -> None:
        """Wait for the writes that this engine has started before, also those of cancelled tasks.

        Raises:
            WriteFailedError: the medium failed.
            ClosedError: the engine is closed.
        """
        await self.write(_nothing)

    @abstractmethod
    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        """Run a loading script alone. Raise the errors of `write`."""

    @abstractmethod
    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        """Call `wake` after commits by this engine, or by others that share its store.

        Calls come soon after a commit, on any thread, and may be coalesced. Commits by others may
        cause spurious calls; a commit by this engine notifies only the listeners it affects. One
        more call comes when the engine is closed, or when its medium is found to be gone. `wake`
        must return at once. Its errors are logged and dropped.

        Args:
            wake: the function.
            to: only commits that have stored a row which this scan finds, whatever its bounds and
                limit, unless it was there and is `later`. If it scans a table and not another index
                of it, all commits that may have changed what it finds. None: all commits.

        Returns:
            A function that ends the listener; call it once, or not at all on a closed engine.

        Raises:
            ClosedError: the engine is closed.
        """

    @abstractmethod
    def use_clock(self, now: Callable[[], str]) -> None:
        """Answer `Now` by a clock for tests, instead of the machine's or the server's."""

    @abstractmethod
    async def compact(self) -> None:
        """Reclaim the space of deleted rows, if the medium does not do so by itself.

        Raises:
            WriteFailedError: the medium failed; nothing was lost.
            ClosedError: the engine is closed.
        """

    async def faults(self) -> Sequence[str]:
        """Return faults of the medium below the rows, in words; empty if none is known.

        Raises:
            ReadFailedError: the medium failed.
            ClosedError: the engine is closed.
        """
        return ()

    def details(self) -> Mapping[str, str]:
        """Return what may explain a failure of the medium, such as its version or known faults."""
        return {}

    @abstractmethod
    async def close(self) -> None:
        """Finish pending writes, end long reads, and release everything; may be called twice."""
