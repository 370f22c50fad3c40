"""Which thread does what.

One thread per engine writes. All scripts that wait while a commit runs share the next one: one
`BEGIN IMMEDIATE … COMMIT`, one fsync. A script that raises has written nothing, so it fails alone;
if a write fails, the group is rolled back and its scripts run one by one, so that only the guilty
one fails. A group that writes nothing costs no commit.

Readers have connections of their own and, in WAL mode, never wait for the writer. A script that
reads a few hundred rows at most runs at once on the calling thread, four times faster than a hop
to another; one that turns out to read more begins anew on a thread of the engine.

A task that is cancelled leaves its script undone if it had not begun, and done if it had.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar, cast

from mobstore.engines.sqlite.file import (
    Durability,
    connect,
    is_busy,
    open_file,
    retrying,
    translate,
)
from mobstore.engines.sqlite.rows import Rows
from mobstore.errors import InternalError, MobStoreError, SerializationError, WriteFailedError
from mobstore.transaction import (
    Commit,
    Count,
    Engine,
    Get,
    LoadingScript,
    Read,
    Scan,
    Script,
    drive,
)

T = TypeVar("T")

_MOST_PER_COMMIT = 1024
_READS_PER_TURN = 16
_FEW = 256  # rows; to read more might hold up an event loop


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    """A script that waits for the writer."""

    make: Callable[[], Script[T] | LoadingScript[T]]
    loading: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


_Jobs: TypeAlias = list[_Job[Any]]
_STOP = object()


class SqliteEngine(Engine):
    """Keeps everything in one SQLite file, which other processes may use at the same time."""

    def __init__(self, writer: _Writer) -> None:
        self._writer, self._pid = writer, os.getpid()
        self._readers: list[Rows] = []
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="mobstore-read")
        self._reading: set[Future[Any]] = set()
        self._gate = threading.Lock()  # nothing may be queued behind the writer's end
        self._closed = False
        self._reads = 0
        self._abandoned = weakref.finalize(self, _abandon, writer, self._readers)
        self._abandoned.atexit = False

    @classmethod
    async def open(
        cls, path: Path, *, durability: Durability, timeout: float, create: bool
    ) -> SqliteEngine:
        """Open the file.

        Args:
            path: the file; its directory must exist.
            durability: "full": a write that returned survives a power failure. "normal": it
                survives the death of the process; a power failure may undo the last ones.
            timeout: seconds to wait for other processes that hold the file's lock.
            create: whether to create the file if it is missing.

        Raises:
            ReadFailedError: the file cannot be opened, is no mobstore file, or is of a newer
                format; it was not changed.
            WriteFailedError: the file cannot be written, or stays locked.
        """
        path = Path(os.path.abspath(path))  # noqa: ASYNC240, PTH100 - the working directory may change
        writer = _Writer(
            lambda: open_file(path, durability=durability, timeout=timeout, create=create),
            path,
            timeout,
        )
        try:
            await asyncio.shield(asyncio.wrap_future(writer.opened))
        except asyncio.CancelledError:
            writer.queue.put(_STOP)
            raise
        return cls(writer)

    async def read(self, make: Callable[[], Script[T]]) -> T:
        self._check()
        try:
            found = self._with_reader(_read_at_once, make)
        except _NotAtOnce:
            pass
        else:
            self._reads += 1
            if self._reads % _READS_PER_TURN == 0:
                await asyncio.sleep(0)  # a task that only reads must not starve the others
            return found
        reading = self._threads.submit(
            lambda: retrying(lambda: self._with_reader(_read, make), self._writer.timeout)
        )
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        try:
            return await asyncio.wrap_future(reading)
        except sqlite3.Error as error:
            raise translate(error, self._writer.path, writing=False) from error

    async def write(self, make: Callable[[], Script[T]]) -> T:
        return await self._queue(make, loading=False)

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        return await self._queue(make, loading=True)

    async def close(self) -> None:
        if os.getpid() != self._pid:  # after a fork: there is no writer here to wait for
            self._abandoned.detach()
            self._closed = True
            return
        with self._gate:
            closing, self._closed = not self._closed, True
            if closing:
                self._abandoned.detach()
                self._writer.queue.put(_STOP)
        await asyncio.shield(asyncio.wrap_future(self._writer.ended))
        for reading in list(self._reading):
            with suppress(Exception):
                await asyncio.wrap_future(reading)
        self._writer.thread.join()
        self._threads.shutdown()
        while self._readers:
            self._readers.pop().close()

    async def _queue(self, make: Callable[[], Script[T] | LoadingScript[T]], *, loading: bool) -> T:
        loop = asyncio.get_running_loop()
        job = _Job(make, loading, loop, cast("asyncio.Future[T]", loop.create_future()))
        with self._gate:
            self._check()
            self._writer.queue.put(job)
        return await job.future

    def _check(self) -> None:
        if self._closed:
            raise InternalError("the store is closed; open it again to use it")
        if os.getpid() != self._pid:
            raise InternalError("the store was opened before a fork; open it again in the child")

    def _with_reader(
        self, run: Callable[[Rows, Callable[[], Script[T]]], T], make: Callable[[], Script[T]]
    ) -> T:
        """Run a script on a connection of its own; raises `sqlite3.Error` only for a lock."""
        rows: Rows | None = None
        try:
            try:
                rows = self._readers.pop()
            except IndexError:
                rows = Rows(connect(self._writer.path, "rw"))
                self._writer.require_same_file()
            return run(rows, make)
        except sqlite3.Error as error:
            if not is_busy(error):
                raise translate(error, self._writer.path, writing=False) from error
            if run is _read_at_once:
                raise _NotAtOnce from error
            raise
        except (TypeError, ValueError) as error:
            raise _damaged(self._writer.path) from error
        finally:
            if rows is not None:
                if self._closed:
                    rows.close()
                else:
                    self._readers.append(rows)


class _NotAtOnce(Exception):  # noqa: N818 - not an error
    """The script reads many rows, or another process holds it up."""


def _read_at_once(rows: Rows, make: Callable[[], Script[T]]) -> T:
    """Run a script that reads few rows. A single read needs no snapshot around it."""
    script = make()
    try:
        asked = next(script)
        if len(asked) == 1:
            script.send((_Few(rows).answer(asked[0]),))
    except StopIteration as end:
        return cast("Commit[T]", end.value).result
    finally:
        script.close()
    with rows.snapshot():
        return drive(make(), _Few(rows).answer).result


class _Few:
    """Answers reads as long as they are few rows altogether."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._left = rows, _FEW

    def answer(self, read: Read[Any]) -> object:
        if isinstance(read, Get):
            return self._rows.answer(cast("Get[Any]", read))
        if isinstance(read, Count):
            raise _NotAtOnce  # counts whatever there is
        found = self._rows.scan(cast("Scan[Any]", read), self._left + 1)
        self._left -= len(found)
        if self._left < 0:
            raise _NotAtOnce
        return found


def _read(rows: Rows, make: Callable[[], Script[T]]) -> T:
    with rows.snapshot():
        return drive(make(), rows.answer).result


class _Writer:
    """The thread that writes. It does not know its engine, so an abandoned engine can be freed."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], path: Path, timeout: float
    ) -> None:
        self._connect, self.path, self.timeout = connect, path, timeout
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.opened: Future[None] = Future()
        self.ended: Future[None] = Future()
        self.thread = threading.Thread(target=self._work, name="mobstore-write", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            self._rows = Rows(self._connect())
            self._identity = _identity(self.path)
        except BaseException as error:  # noqa: BLE001 - whoever opens must hear of it
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        stopping = False
        while not stopping:
            waiting: list[Any] = [self.queue.get()]
            while len(waiting) < _MOST_PER_COMMIT and not self.queue.empty():
                waiting.append(self.queue.get())
            if waiting[-1] is _STOP:
                stopping = True
                waiting.pop()
            group: _Jobs = []
            for job in cast("_Jobs", waiting):
                if job.loading:
                    self._run(group)
                    self._run([job])
                    group = []
                else:
                    group.append(job)
            self._run(group)
            del waiting, group  # nothing may be kept alive while this waits
        self._rows.close()
        self.ended.set_result(None)

    def _run(self, jobs: _Jobs) -> None:
        jobs = [job for job in jobs if not job.future.cancelled()]
        if not jobs:
            return
        begun = False
        try:
            retrying(self._rows.begin, self.timeout)
            begun = True
            self.require_same_file()
            self._commit(jobs)
        except BaseException as caught:  # noqa: BLE001 - the thread must live on, the caller must hear
            error = caught
            if isinstance(caught, sqlite3.Error):
                error = translate(caught, self.path, writing=True)
                error.__cause__ = caught
            elif isinstance(caught, (TypeError, ValueError)) and not jobs[0].loading:
                error = _damaged(self.path)
                error.__cause__ = caught
            # Nobody is guilty of a lock; and what may be written must not be written twice.
            if begun and len(jobs) > 1 and not getattr(error, "maybe_written", False):
                for job in jobs:
                    self._run([job])
                return
            for job in jobs:
                job.error = job.error or error
        _deliver(jobs)

    def require_same_file(self) -> None:
        """Refuse to go on when the path no longer leads to the file that was opened.

        Raises:
            WriteFailedError: SQLite would go on writing to a file that nobody finds any more.
        """
        if _identity(self.path) != self._identity:
            raise WriteFailedError(
                f"{self.path} was removed or replaced while it was open; open the store again"
            )

    def _commit(self, jobs: _Jobs) -> None:
        """Run the scripts in the open transaction; raises if it could not be committed whole."""
        rows = self._rows
        wrote = committing = False
        try:
            for job in jobs:
                job.error = None
                answer = rows.answer_or_write if job.loading else rows.answer
                try:
                    commit = drive(cast("Script[Any]", job.make()), answer)
                except MobStoreError as error:
                    if job.loading:
                        raise
                    job.error = error
                    continue
                for write in commit.writes:
                    rows.write(write)
                wrote = wrote or job.loading or bool(commit.writes)
                job.result = commit.result
            if wrote:
                committing = True
                rows.commit()
        except sqlite3.Error as error:
            raise translate(error, self.path, writing=True, committing=committing) from error
        finally:
            with suppress(sqlite3.Error):
                rows.rollback()


def _deliver(jobs: _Jobs) -> None:
    """Wake the tasks that wait; once per event loop, not once per task."""
    by_loop: dict[asyncio.AbstractEventLoop, _Jobs] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, delivered in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, delivered)


def _settle(jobs: _Jobs) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


def _abandon(writer: _Writer, readers: list[Rows]) -> None:
    writer.queue.put(_STOP)
    for rows in readers:
        rows.close()
    warnings.warn(f"the store on {writer.path} was never closed", ResourceWarning, stacklevel=2)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to; None if to none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _damaged(path: Path) -> SerializationError:
    """What to say of values that no script expects: arguments were checked before it ran."""
    return SerializationError(f"{path} holds what mobstore did not write; restore a backup")
