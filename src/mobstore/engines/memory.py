"""Rows in memory, for tests, demos and whatever need not outlive the process.

What is short is run at once, from start to end under the lock: so it is atomic for all tasks and
threads. Rows are immutable tuples of text and numbers: nobody can reach into the store through a
value given or taken.

What takes longer lets the event loop turn between its steps, and goes on with a branch of the
rows, which nobody else changes: it sees one state, and keeps neither readers nor writers waiting.
The branch takes the place of the rows only if nobody has written meanwhile. Else a fresh script is
run at once, as if it were short: so it ends, however busy the store is. Nobody ever waits for a
task that might not be run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from time import monotonic
from typing import Any, TypeAlias, TypeVar, cast
from uuid import uuid4

from mobstore.engines.listeners import Listeners
from mobstore.errors import InternalError
from mobstore.scripts.memory_tables import MemoryTables
from mobstore.scripts.tables import IDENTITY, META, MetaRow
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Engine,
    LoadingScript,
    Scan,
    Script,
    Write,
    drive,
    refuse_within_atomic,
)

T = TypeVar("T")
_Answer: TypeAlias = Callable[[Any], object]
_Make: TypeAlias = Callable[[], Script[T]] | Callable[[], LoadingScript[T]]

_CALLS_PER_TURN = 16
_SLICE = 0.01  # seconds after which a script lets the event loop turn
_FEW = 16  # steps; a script of fewer is run at once, however slow the machine is
_MANY = 4096  # rows; a commit of more is not made at once
_PART = 1024  # rows of it that are


class MemoryEngine(Engine):
    """Keeps everything in this process; nothing is durable."""

    def __init__(self, tables: MemoryTables | None = None) -> None:
        """Begin a store; its rows are held in these tables, which have none yet."""
        self._lock = Lock()  # of all that follows
        self._tables = MemoryTables() if tables is None else tables
        self._tables.write((Add(META, (MetaRow(IDENTITY, str(uuid4())),)),))
        self._tables.keep()
        self._version = 0  # counts what may have changed a row
        self._long = 0  # writing scripts that take long
        self._closed = False
        self._calls = 0
        self._listeners = Listeners()

    def __repr__(self) -> str:
        return "MemoryEngine()"

    async def read(self, make: Callable[[], Script[T]]) -> T:
        refuse_within_atomic()
        began = monotonic()
        with self._lock:
            self._check()
            script = make()
            end = _slice(script, None, self._tables.answer, _FEW)
            branch = None if isinstance(end, Commit) else self._tables.branch()
        if branch is not None:
            end = await _finish(script, end, branch.answer)
        await self._turn(began)
        return cast("Commit[T]", end).result

    async def write(self, make: Callable[[], Script[T]]) -> T:
        refuse_within_atomic()
        began = monotonic()
        with self._lock:
            self._check()
            script = make()
            end = _slice(script, None, self._tables.answer, _FEW)
            attempt = None
            if isinstance(end, Commit) and self._tables.size(end.writes) <= _MANY:
                self._apply(end)
            else:
                attempt = self._begin()
        if attempt is not None:
            end = await self._complete(attempt, make, script, end)
        commit = cast("Commit[T]", end)
        if commit.writes:
            self._listeners.notify(commit.writes)
        await self._turn(began)
        return commit.result

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        refuse_within_atomic()
        with self._lock:
            self._check()
            attempt = self._begin()
        commit = await self._complete(attempt, make, make(), None)
        self._listeners.notify()
        return commit.result

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        refuse_within_atomic()
        with self._lock:
            self._check()
            return self._listeners.add(wake, to)

    async def compact(self) -> None:
        refuse_within_atomic()
        with self._lock:
            self._check()  # what was removed is free already

    async def close(self) -> None:
        with self._lock:
            self._closed = True
            self._let_go()
        self._listeners.notify()

    async def _turn(self, began: float) -> None:
        """Let other tasks run now and then: one that never waits would starve them."""
        self._calls += 1
        if self._calls % _CALLS_PER_TURN == 0 or monotonic() - began > _SLICE:
            await _pause()

    def _check(self) -> None:
        if self._closed:
            raise InternalError("the store is closed; open it again to use it")
        self._recover()

    def _recover(self) -> None:
        """Take back what was interrupted, if its undoing was interrupted, too."""
        if self._tables.changes:
            self._tables.undo()

    def _apply(self, commit: Commit[Any]) -> None:
        """Make a commit's writes, all or none, whatever is raised at whichever instruction."""
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
        """Go on with a script that takes long, and have its writes take effect at once."""
        try:
            commit = await _finish(script, asked, attempt.answer)
            await attempt.make(commit.writes)
            with self._lock:
                if self._version != attempt.version:
                    return self._run_at_once(make)
                self._version += 1
                self._tables = attempt.tables
            return commit
        finally:
            with self._lock:
                self._long -= 1
                self._let_go()

    def _run_at_once(self, make: _Make[T]) -> Commit[T]:
        self._recover()
        self._version += 1
        try:
            commit = drive(make(), self._tables.answer_or_write)
            self._tables.write(commit.writes)
        except BaseException:
            self._tables.undo()
            raise
        self._tables.keep()
        return commit

    def _let_go(self) -> None:
        """Forget all rows of a closed store, unless somebody has begun before it was closed."""
        if self._closed and not self._long:
            self._tables = MemoryTables()


class _Attempt:
    """What a script that takes long reads and writes, and the version of the store it saw."""

    def __init__(self, tables: MemoryTables, version: int) -> None:
        self.tables, self.version = tables, version

    def answer(self, asked: Any) -> object:
        answer = self.tables.answer_or_write(asked)
        self.tables.keep()
        return answer

    async def make(self, writes: Sequence[Write]) -> None:
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
    """Run a script for a while, at least so many steps; gives its commit, or what it asks next."""
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
        script.close()  # now, not when the error's traceback is let go of
        raise


async def _finish(
    script: Script[T] | LoadingScript[T],
    asked: Commit[T] | Sequence[object] | None,
    answer: _Answer,
) -> Commit[T]:
    """Run the rest of a script, letting the event loop turn."""
    try:
        while not isinstance(asked, Commit):
            if asked is not None:
                await _pause()
            asked = _slice(script, asked, answer)
        return cast("Commit[T]", asked)
    finally:
        script.close()


async def _pause() -> None:
    from asyncio import sleep  # whoever awaits has loaded it; an import alone need not

    await sleep(0)
