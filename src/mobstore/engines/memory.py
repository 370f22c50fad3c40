"""The memory engine, for tests, demos and data that need not outlive the process.

A short script runs from start to end under the lock, so it is atomic for all tasks and threads.
Rows are immutable tuples of text and numbers: no argument or result is a reference into the store.

A long script yields to the event loop between its steps, and continues on a branch of the rows. It
sees one snapshot, and blocks neither readers nor writers. The branch replaces the rows only if no
other task has written meanwhile. Otherwise a fresh script runs to its end under the lock, so it
ends however busy the store is. No task ever waits for another task, which might never run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, TypeAlias, TypeVar, cast
from uuid import uuid4

from mobstore.engines.clock import machine_time
from mobstore.engines.forks import Locked
from mobstore.engines.listeners import Listeners
from mobstore.engines.turns import Turns
from mobstore.errors import ClosedError
from mobstore.scripts.memory_tables import MemoryTables
from mobstore.scripts.tables import IDENTITY, META, MetaRow
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Engine,
    LoadingScript,
    Now,
    Scan,
    Script,
    Write,
    drive,
    require_outside_atomic,
)

T = TypeVar("T")
_Answer: TypeAlias = Callable[[Any], object]
_Make: TypeAlias = Callable[[], Script[T]] | Callable[[], LoadingScript[T]]

_SLICE = 0.01  # seconds after which a script yields to the event loop
_FEW = 16  # steps; a shorter script never yields, however slow the machine is
_MANY = 4096  # rows; a larger commit is applied in parts
_PART = 1024  # rows of one part


class MemoryEngine(Locked, Engine):
    """Rows in this process; they are not durable. Its lock guards all attributes.

    The child of a fork has a copy, and undoes what another thread of the parent was writing.
    """

    def __init__(self, tables: MemoryTables | None = None) -> None:
        """Create a store in empty tables."""
        super().__init__()
        self._tables = MemoryTables() if tables is None else tables
        self._tables.write((Add(META, (MetaRow(IDENTITY, str(uuid4())),)),))
        self._tables.keep()
        self._version = 0  # counts writes
        self._long = 0  # long scripts that write
        self._closed = False
        self._turns = Turns()
        self._now = machine_time
        self._listeners = Listeners()

    def __repr__(self) -> str:
        return "MemoryEngine()"

    async def read(self, make: Callable[[], Script[T]]) -> T:
        require_outside_atomic()
        began = monotonic()
        try:
            with self._lock:
                self._check()
                script = make()
                end = _slice(script, None, self._answerer(self._tables.answer), _FEW)
                branch = None if isinstance(end, Commit) else self._tables.branch()
        except Exception:
            if self._turns.is_due(began):
                await _pause()
            raise
        if branch is not None:
            try:
                end = await _finish(script, end, self._answerer(branch.answer))
            finally:
                branch.release()
        if self._turns.is_due(began):
            await _pause()  # a task that never waits must not starve the others
        return cast("Commit[T]", end).result

    async def write(self, make: Callable[[], Script[T]]) -> T:
        require_outside_atomic()
        began = monotonic()
        try:
            with self._lock:
                self._check()
                script = make()
                end = _slice(script, None, self._answerer(self._tables.answer), _FEW)
                attempt = None
                if isinstance(end, Commit) and self._tables.size(end.writes) <= _MANY:
                    self._apply(end)
                else:
                    attempt = self._begin()
        except Exception:
            if self._turns.is_due(began):
                await _pause()
            raise
        if attempt is not None:
            end = await self._complete(attempt, make, script, end)
        commit = cast("Commit[T]", end)
        if commit.writes:
            self._listeners.notify(commit.writes)
        if self._turns.is_due(began):
            await _pause()  # a task that never waits must not starve the others
        return commit.result

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        require_outside_atomic()
        with self._lock:
            self._check()
            attempt = self._begin()
        commit = await self._complete(attempt, make, make(), None)
        self._listeners.notify()
        return commit.result

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        require_outside_atomic()
        with self._lock:
            self._check()
            return self._listeners.add(wake, to)

    def use_clock(self, now: Callable[[], str]) -> None:
        self._now = now

    async def compact(self) -> None:
        require_outside_atomic()
        with self._lock:
            self._check()  # the space of deleted rows is free already

    async def close(self) -> None:
        with self._lock:
            self._closed = True
            self._release()
        self._listeners.notify()

    def _answerer(self, answer: _Answer) -> _Answer:
        return lambda asked: self._now() if type(asked) is Now else answer(asked)

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("the store is closed; open it again to use it")
        self._recover()

    def _recover(self) -> None:
        """Undo a write that was interrupted, and the undo of it as well."""
        if self._tables.changes:
            self._tables.undo()

    def _apply(self, commit: Commit[Any]) -> None:
        """Apply all writes of a commit or none, even if a signal handler raises meanwhile."""
        if commit.writes:
            self._version += 1
            try:
                self._tables.write(commit.writes)
            except BaseException:
                self._tables.undo()
                raise
            self._tables.keep()

    def _begin(self) -> _Attempt:
        self._long += 1
        return _Attempt(self._tables.branch(), self._version)

    async def _complete(
        self,
        attempt: _Attempt,
        make: _Make[T],
        script: Script[T] | LoadingScript[T],
        asked: Commit[T] | Sequence[object] | None,
    ) -> Commit[T]:
        """Run a long script to its end, and make its writes visible together."""
        try:
            commit = await _finish(script, asked, self._answerer(attempt.answer))
            with self._lock:
                if self._version == attempt.version and self._is_small(attempt, commit):
                    attempt.tables.release()
                    self._apply(commit)
                    return commit
            await attempt.apply(commit.writes)
            with self._lock:
                if self._version != attempt.version:
                    return self._run_at_once(make)
                self._version += 1
                before, self._tables = self._tables, attempt.tables
                before.release()
            return commit
        finally:
            with self._lock:
                if self._tables is not attempt.tables:
                    attempt.tables.release()
                self._long -= 1
                self._release()

    def _is_small(self, attempt: _Attempt, commit: Commit[Any]) -> bool:
        """Return whether to apply a commit to the rows themselves, so that none is copied."""
        return not attempt.wrote and self._tables.size(commit.writes) <= _MANY

    def _run_at_once(self, make: _Make[T]) -> Commit[T]:
        self._recover()
        self._version += 1
        try:
            commit = drive(make(), self._tables.answer_or_write, self._now)
            self._tables.write(commit.writes)
        except BaseException:
            self._tables.undo()
            raise
        self._tables.keep()
        return commit

    def _release(self) -> None:
        """Free the rows of a closed store, once scripts that started before have ended."""
        if self._closed and not self._long:
            self._tables = MemoryTables()


class _Attempt:
    """A branch of the rows for a long script.

    Attributes:
        tables: the branch.
        version: that of the store it began with.
        wrote: whether the script, a loading one, has written.
    """

    def __init__(self, tables: MemoryTables, version: int) -> None:
        self.tables, self.version, self.wrote = tables, version, False

    def answer(self, asked: Any) -> object:
        answer = self.tables.answer_or_write(asked)
        self.wrote = self.wrote or bool(self.tables.changes)
        self.tables.keep()
        return answer

    async def apply(self, writes: Sequence[Write]) -> None:
        end = monotonic() + _SLICE
        for some in self.tables.in_parts(writes, _PART):
            self.tables.write(some)
            self.tables.keep()
            if monotonic() > end:
                await _pause()
                end = monotonic() + _SLICE


def _slice(
    script: Script[T] | LoadingScript[T],
    asked: Sequence[object] | None,
    answer: _Answer,
    least: int = 1,
) -> Commit[T] | Sequence[object]:
    """Run at least `least` steps of a script for a while; return its commit or its next reads."""
    end = monotonic() + _SLICE
    going: Any = script
    try:
        asking: Sequence[object] = next(going) if asked is None else asked
        while True:
            asking = going.send(tuple([answer(one) for one in asking]))
            least -= 1
            if least <= 0 and monotonic() > end:
                return asking
    except StopIteration as stop:
        return cast("Commit[T]", stop.value)
    except BaseException:
        script.close()  # now, not when the error's traceback is freed
        raise


async def _finish(
    script: Script[T] | LoadingScript[T],
    asked: Commit[T] | Sequence[object] | None,
    answer: _Answer,
) -> Commit[T]:
    """Run a script to its end, and yield to the event loop meanwhile."""
    try:
        while not isinstance(asked, Commit):
            if asked is not None:
                await _pause()
            asked = _slice(script, asked, answer)
        return cast("Commit[T]", asked)
    finally:
        script.close()


async def _pause() -> None:
    from asyncio import (
        sleep,  # loaded in any process that awaits; importing mobstore should not load it
    )

    await sleep(0)
