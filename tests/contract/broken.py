"""Stores that each break the contract in one way, to show that the cases notice."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Coroutine, Sequence
from operator import attrgetter
from typing import Any, TypeGuard, TypeVar, cast
from uuid import UUID

from mobstore import Claim, KernelState, MobEvent, MobRun, MobStores, NewMobEvent, Stores
from mobstore.engines.memory import MemoryEngine
from mobstore.scripts.memory_tables import MemoryTables
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    NEXT_CURSOR,
    NEXT_EPOCH,
    RUNS_BY_MOB,
    STEP_LEDGER,
    ClaimRow,
    EventRow,
    RunClaimRow,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Delete,
    DeleteRange,
    Engine,
    Get,
    LoadingScript,
    Put,
    Read,
    Scan,
    Script,
    Write,
    drive,
)
from mobstore.stores.base import Clock
from mobstore.stores.events import MobEventStore
from mobstore.stores.runs import MobRunStore
from mobstore.testing import Capability, Subject

T = TypeVar("T")


def on(engine: Callable[[], MemoryEngine], *capabilities: Capability) -> type[Subject]:
    """Return a subject whose stores use this engine."""

    class OnEngine(Subject):
        async def connect(self) -> MobStores:
            return MobStores(engine(), clock=self.clock)

    OnEngine.capabilities = frozenset(capabilities)
    return OnEngine


def holding(tables: type[MemoryTables], *capabilities: Capability) -> type[Subject]:
    """Return a subject whose engine keeps its rows in these tables."""
    return on(lambda: MemoryEngine(tables()), *capabilities)


# Broken engines --------------------------------------------------------------------------------


class LostUpdate(MemoryEngine):
    """An engine that decides on its reads, lets others write, and then writes."""

    async def write(self, make: Callable[[], Script[T]]) -> T:
        commit = await super().read(lambda: _deciding(make()))
        await asyncio.sleep(0)
        return await super().write(lambda: _committing(commit))


class HalfVisible(MemoryEngine):
    """An engine that lets others read, and cancel, between two writes of one script."""

    async def write(self, make: Callable[[], Script[T]]) -> T:
        commit = await super().read(lambda: _deciding(make()))
        for write in commit.writes:
            self._tables.write((write,))
            self._tables.keep()
            await asyncio.sleep(0)
        return commit.result


class HalfCommit(MemoryTables):
    """Tables that forget the second write of a script with several."""

    def write(self, writes: Sequence[Write]) -> None:
        super().write([*writes[:1], *writes[2:]])


class Deaf(MemoryEngine):
    """An engine that notifies no listener of commits."""

    def listen(
        self,
        wake: Callable[[], None],  # noqa: ARG002
        to: Scan[Any] | None = None,  # noqa: ARG002
    ) -> Callable[[], None]:
        return super().listen(lambda: None)


class Backwards(MemoryTables):
    """Tables that return rows in any order: here the latest first."""

    def answer(self, read: Read) -> Any:
        answer: Any = super().answer(read)
        if _is_scan(read) and read.limit is None and read.index in {EVENTS, RUNS_BY_MOB}:
            return answer[::-1]
        return answer


class NumbersAsText(MemoryTables):
    """Tables that order the positions in a ledger as text."""

    def answer(self, read: Read) -> Any:
        answer: Any = super().answer(read)
        if _is_scan(read) and read.index is STEP_LEDGER:
            return sorted(answer, key=lambda row: str(row.position))
        return answer


class OrderByUtf16(MemoryTables):
    """Tables that order text as JavaScript and IndexedDB do."""

    def answer(self, read: Read) -> Any:
        answer: Any = super().answer(read)
        if _is_scan(read) and len(read.index.order) == 1:
            column = attrgetter(read.index.order[0])
            if answer and isinstance(column(answer[0]), str):
                return sorted(answer, key=lambda row: column(row).encode("utf-16-be"))
        return answer


class ReusedCursor(MemoryTables):
    """Tables that count on from the last remaining event."""

    def write(self, writes: Sequence[Write]) -> None:
        super().write(writes)
        if any(isinstance(one, DeleteRange) and one.scan.index.table is EVENTS for one in writes):
            last: Any = self.answer(Scan(EVENTS, limit=1, backwards=True))
            row = COUNTERS.row(NEXT_CURSOR, last[0].cursor + 1 if last else 1)
            super().write((Put(COUNTERS, (row,)),))


class ReusedEpoch(MemoryTables):
    """Tables that do not count epochs."""

    def write(self, writes: Sequence[Write]) -> None:
        super().write([write for write in writes if not self._counts(write)])

    def _counts(self, write: Write) -> bool:
        return isinstance(write, (Add, Put)) and any(
            row[0] == NEXT_EPOCH for row in write.rows if write.table is COUNTERS
        )


class LateDueTimes(MemoryTables):
    """Tables that add a nanosecond to the due times of claims."""

    def write(self, writes: Sequence[Write]) -> None:
        super().write([_changed(write, self._later) for write in writes])

    def _later(self, row: Any) -> Any:
        is_claim = isinstance(row, (ClaimRow, RunClaimRow)) and row.holder
        return row._replace(due_at=row.due_at[:-2] + "1Z") if is_claim else row


class InclusiveBounds(MemoryTables):
    """Tables whose `after` and `before` include the value itself."""

    def answer(self, read: Read) -> Any:
        return super().answer(self._widened(read) if _is_scan(read) else read)

    def _widened(self, scan: Scan[Any]) -> Scan[Any]:
        after = scan.after - 1 if isinstance(scan.after, int) else scan.after
        return Scan(scan.index, scan.prefix, after, scan.before, scan.limit, scan.backwards)


class WholePrefixesOnly(MemoryTables):
    """Tables that find rows only by complete prefixes of an index."""

    def answer(self, read: Read) -> Any:
        whole = not _is_scan(read) or len(read.prefix) >= len(read.index.prefix)
        return super().answer(read) if whole else []


class CutsAtNul(MemoryTables):
    """Tables that end text at the first NUL, as C does."""

    def write(self, writes: Sequence[Write]) -> None:
        super().write([_changed(write, self._cut) for write in writes])

    def _cut(self, row: Any) -> Any:
        return (v.partition("\0")[0] if isinstance(v, str) else v for v in row)


class Normalises(MemoryTables):
    """Tables that compose letters and their accents."""

    def answer(self, read: Read) -> Any:
        if isinstance(read, Get):
            return super().answer(Get(read.table, tuple(map(self._composed, read.key))))
        return super().answer(read)

    def write(self, writes: Sequence[Write]) -> None:
        compose = self._composed
        super().write([_changed(write, lambda row: map(compose, row)) for write in writes])

    def _composed(self, value: Any) -> Any:
        return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


class Microseconds(MemoryTables):
    """Tables that keep times to the microsecond."""

    def write(self, writes: Sequence[Write]) -> None:
        super().write([_changed(write, self._rounded) for write in writes])

    def _rounded(self, row: Any) -> Any:
        is_event = isinstance(row, EventRow)
        return row._replace(timestamp=row.timestamp[:-4] + "000Z") if is_event else row


class LoadsInPart(MemoryEngine):
    """An engine that keeps the writes of a failed load."""

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        try:
            return drive(make(), self._tables.answer_or_write, self._now).result
        finally:
            self._tables.keep()


class ForgetsDeletes(MemoryTables):
    """Tables that delete ranges, but no single rows."""

    def write(self, writes: Sequence[Write]) -> None:
        super().write([write for write in writes if not isinstance(write, Delete)])


class NeverClosed(MemoryEngine):
    """An engine that works after it was closed."""

    async def close(self) -> None:
        return


class Failing(MemoryEngine):
    """An engine that raises foreign errors."""

    async def read(self, make: Callable[[], Script[T]]) -> T:
        raise OSError("the driver's own", make)


def _is_scan(read: Read) -> TypeGuard[Scan[Any]]:
    return isinstance(read, Scan)


def _changed(write: Write, change: Callable[[Any], Any]) -> Write:
    """Return the same write of other rows."""
    if not isinstance(write, (Add, Put)):
        return write
    rows: list[Any] = [row._make(change(row)) for row in write.rows]
    return type(write)(write.table, rows)


def _deciding(script: Script[T]) -> Script[Commit[T]]:
    commit = yield from script
    return Commit(commit)


def _committing(commit: Commit[T]) -> Script[T]:
    yield ()
    return commit


# Broken stores ---------------------------------------------------------------------------------


class AliasedRuns(MobRunStore):
    """A store that returns the run that it was given."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine, clock)
        self._kept: dict[UUID, MobRun] = {}

    async def create_run(self, run: MobRun) -> None:
        await super().create_run(run)
        self._kept[run.run_id] = run

    async def get_run(self, run_id: UUID | str) -> MobRun | None:
        return self._kept.get(UUID(str(run_id))) or await super().get_run(run_id)


class CachedEvents(MobEventStore):
    """A store that returns the same event objects again."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine, clock)
        self._kept: dict[int, MobEvent] = {}

    async def append_batch(self, events: Sequence[NewMobEvent]) -> list[MobEvent]:
        appended = await super().append_batch(events)
        self._kept.update({event.cursor: event for event in appended})
        return appended

    async def poll(
        self, after_cursor: int = 0, limit: int = 1000, **options: Any
    ) -> list[MobEvent]:
        found = await super().poll(after_cursor, limit, **options)
        return [self._kept.get(event.cursor, event) for event in found]


class LateArguments(MobRunStore):
    """A store that reads its arguments only when it runs."""

    async def create_run(self, run: MobRun) -> None:
        await asyncio.sleep(0)
        await super().create_run(run)


class UnlockedFlowState(MobRunStore):
    """A store that compares a state read earlier, then writes."""

    async def cas_flow_state(
        self,
        run_id: UUID | str,
        *,
        expected: KernelState,
        next: KernelState,  # noqa: A002 - the interface's name
    ) -> bool:
        run = await self.get_run(run_id)
        await asyncio.sleep(0)
        if run is None or run.flow_state != expected:
            return False
        current = await self.get_run(run_id)
        assert current is not None
        return await super().cas_flow_state(run_id, expected=current.flow_state, next=next)


class WithRuns(Subject):
    runs: type[MobRunStore]

    async def connect(self) -> MobStores:
        stores = MobStores(MemoryEngine(), clock=self.clock)
        stores.runs = self.runs(stores.engine, self.clock)
        return stores


class WithAliasedRuns(WithRuns):
    runs = AliasedRuns


class WithLateArguments(WithRuns):
    runs = LateArguments


class WithUnlockedFlowState(WithRuns):
    runs = UnlockedFlowState


class WithCachedEvents(Subject):
    async def connect(self) -> MobStores:
        stores = MobStores(MemoryEngine(), clock=self.clock)
        stores.events = CachedEvents(stores.engine, self.clock)
        return stores


class WithOwnClock(Subject):
    async def connect(self) -> MobStores:
        return MobStores(MemoryEngine())


class OneByOne(MobStores):
    """Stores that commit the operations of an atomic call one by one."""

    async def atomic(
        self,
        work: Callable[[Stores], Coroutine[object, None, T]],
        *,
        claim: Claim | None = None,  # noqa: ARG002
        unless_ended: UUID | str | None = None,  # noqa: ARG002
    ) -> T:
        return await cast("Coroutine[Any, Any, T]", work(cast("Any", self)))


class WithOneByOne(Subject):
    async def connect(self) -> MobStores:
        return OneByOne(MemoryEngine(), clock=self.clock)
