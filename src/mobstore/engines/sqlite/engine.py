"""The SQLite engine, and which thread does what.

One thread per engine writes, or the calling thread if that is quicker (`writer.py`).

Readers have connections of their own and, in WAL mode, never wait for the writer. A script that
reads at most 1000 rows and two megabytes runs on the calling thread, four times faster than on
another thread. A script that reads more starts again on a thread of the engine. Two such scripts
run at once, besides those that have lasted (`places.py`).

If a task is cancelled, its script does not run if it has not started, and runs to its end if it
has. A read or compaction is interrupted instead. Closing the store interrupts them, too, after two
seconds.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar, cast

from mobstore.engines.sqlite.checkpoints import has_reset_bug
from mobstore.engines.sqlite.connections import Mode, connect, reading_mode, resolve
from mobstore.engines.sqlite.driver_errors import is_busy, retrying, translate
from mobstore.engines.sqlite.file import open_file, open_to_read
from mobstore.engines.sqlite.handover import outcome
from mobstore.engines.sqlite.integrity import check_integrity
from mobstore.engines.sqlite.interruption import Interruption
from mobstore.engines.sqlite.places import Places
from mobstore.engines.sqlite.reads import DEFERRED, Deferred, read, read_at_once
from mobstore.engines.sqlite.rows import Rows
from mobstore.engines.sqlite.transactions import Job, corrupt_value
from mobstore.engines.sqlite.writer import Stop, Writer
from mobstore.engines.turns import Turns
from mobstore.errors import ClosedError, MobStoreError, ReadFailedError, UsageError
from mobstore.scripts.transaction import (
    Commit,
    Durability,
    Engine,
    LoadingScript,
    PartsScript,
    Scan,
    Script,
    require_outside_atomic,
)

T = TypeVar("T")

READING_THREADS = 16
_GRACE = 2.0  # seconds that reads have to end when the store is closed
_AGAIN = 0.05  # seconds between two interruptions after that


class SqliteEngine(Engine):
    """One SQLite file, which other processes may use at the same time."""

    def __init__(self, writer: Writer, mode: Mode) -> None:
        self._mode: Mode = mode
        self._writer, self._pid = writer, os.getpid()
        self._readers: list[Rows] = []
        self._threads = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="mobstore-read")
        self._places = Places()
        self._reading: dict[Future[Any], Interruption] = {}
        self._gate = writer.gate
        self._closed = False
        self._turns = Turns()
        self._wrote = False  # a task has written at once in this turn of its loop
        self._abandoned = weakref.finalize(self, _abandon, self._pid, writer, self._readers)
        self._abandoned.atexit = False

    def __repr__(self) -> str:
        return f"SqliteEngine({str(self._writer.path)!r})"

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        durability: Durability,
        timeout: float,
        create: bool,
        read_only: bool = False,
    ) -> SqliteEngine:
        """Open the file.

        Args:
            path: the file; its directory must exist.
            durability: "full": a write that returned survives a power failure. "normal": it
                survives the death of the process; a power failure may undo the last ones.
            timeout: seconds to wait for other processes that hold the file's lock.
            create: whether to create the file if it is missing.
            read_only: whether only to read, without any lock that writers wait for. No file is
                created, and scripts must not write.

        Raises:
            ReadFailedError: the file cannot be opened, is not a mobstore file, or has a newer
                format; it was not changed.
            WriteFailedError: the file cannot be written, or stays locked.
            UsageError: the file was open when this process was forked.
        """
        path = resolve(path)  # the working directory may change
        mode: Mode = reading_mode(path) if read_only else "rw"

        def connect_first() -> sqlite3.Connection:
            if read_only:
                return open_to_read(path, mode, timeout)
            return open_file(path, durability=durability, timeout=timeout, create=create)

        writer = Writer(connect_first, path, timeout, mode)
        try:
            await outcome(writer.opened)
        except asyncio.CancelledError:
            writer.put(Stop(lambda: None))
            raise
        return cls(writer, mode)

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return await self.read_parts(make)

    async def read_parts(self, make: Callable[[], PartsScript[T]]) -> T:
        require_outside_atomic()
        self._check_process()
        self._check()
        began = monotonic()
        try:
            found = self._read(make)
        except MobStoreError:
            if self._turns.is_due(began):
                await asyncio.sleep(0)
            raise
        if found is DEFERRED:
            return await self._on_thread(
                lambda interruption: cast("T", self._read(make, interruption))
            )
        if self._turns.is_due(began):
            await asyncio.sleep(0)  # a task that only reads must not starve the others
        return found

    async def write(self, make: Callable[[], Script[T]]) -> T:
        if self._wrote or not self._writer.is_free():
            return await self._queue(make)
        require_outside_atomic()
        self._check_process()
        try:
            self._wrote = True  # tasks that write in the same turn of the loop share a commit
            commit = self._write_at_once(make)
            if commit is not DEFERRED:
                await asyncio.sleep(0)  # a task that only writes must not starve the others
                return commit.result
        except MobStoreError:
            await asyncio.sleep(0)
            raise
        finally:
            self._wrote = False
        return await self._queue(make)

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        return await self._queue(make, loading=True)

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        require_outside_atomic()
        self._check_process()
        with self._gate:
            self._check()
            end = self._writer.listeners.add(wake, to)
            self._writer.wake()
            return end

    def use_clock(self, now: Callable[[], str]) -> None:
        self._writer.transactions.now = now

    async def compact(self) -> None:
        await self._queue(None)

    async def faults(self) -> list[str]:
        return await self._on_thread(self._faults)

    def details(self) -> dict[str, str]:
        fault = "affected, avoided by this store" if has_reset_bug() else "not affected"
        return {"SQLite": sqlite3.sqlite_version, "WAL-reset bug": fault}

    def _faults(self, interruption: Interruption) -> list[str]:
        with closing(self._connect()) as connection, interruption.of(connection):
            return check_integrity(connection)

    async def _on_thread(self, work: Callable[[Interruption], T]) -> T:
        """Read on a thread; retry while another process holds a lock."""
        require_outside_atomic()
        self._check_process()
        interruption = Interruption()

        def attempt() -> T:
            interruption.check()
            return work(interruption)

        def wait_and_read() -> T:
            with self._places.one():
                return retrying(attempt, self._writer.timeout)

        future: Future[T] | None = None
        with self._gate:
            self._check()
            with suppress(RuntimeError):  # Python is ending, and its pools take nothing more
                future = self._threads.submit(wait_and_read)
                self._reading[future] = interruption
        try:
            if future is None:
                return wait_and_read()
            future.add_done_callback(self._reading.pop)
            return await outcome(future)
        except asyncio.CancelledError:
            if future is not None:
                future.cancel()
            interruption.request()
            raise
        except sqlite3.Error as error:
            raise translate(error, self._writer.path, writing=False) from error

    async def close(self) -> None:
        if os.getpid() != self._pid:  # after a fork there is no writer to wait for
            self._abandoned.detach()
            self._closed = True
            return
        with self._gate:
            self._closed = self._writer.closing = True
            self._abandoned.detach()
            # Again with each call: an exception of a signal handler may have ended the first one.
            self._writer.put(Stop(self._finish))
        # The writer's thread does it all, so it is done even if this task is cancelled.
        await outcome(self._writer.ended)
        self._writer.thread.join()

    def _finish(self) -> None:
        """Wait for reads, interrupt those that last, and close their connections."""
        pause = _GRACE
        while (reading := dict(self._reading)) and wait(reading, pause).not_done:
            pause = _AGAIN
            for interruption in reading.values():
                interruption.request()
        self._threads.shutdown()
        with self._gate:
            _close_all(self._readers)

    def _write_at_once(self, make: Callable[[], Script[T]]) -> Commit[T] | Deferred:
        """Run a script on this thread, or return `DEFERRED` if it must be queued."""
        try:
            with self._gate:
                self._check()
                commit = self._writer.write_at_once(make)
        except BaseException as error:
            # A signal handler may have raised before the end of the transaction, or after it.
            if not isinstance(error, MobStoreError) or getattr(error, "maybe_written", False):
                with self._gate:
                    self._writer.recover()
            raise
        return commit

    async def _queue(
        self, make: Callable[[], Script[T] | LoadingScript[T]] | None, *, loading: bool = False
    ) -> T:
        require_outside_atomic()
        self._check_process()
        loop = asyncio.get_running_loop()
        job = Job(make, loading, loop, cast("asyncio.Future[T]", loop.create_future()))
        with self._gate:
            self._check()
            self._writer.put(job)
        return await job.future

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("the store is closed; open it again to use it")

    def _check_process(self) -> None:
        """Raise in a forked process. Call it before any lock: another thread may have held it."""
        if os.getpid() != self._pid:
            raise UsageError(
                "the store was opened before this process was forked; close stores before forking,"
                " or start processes with spawn"
            )

    def _read(
        self, make: Callable[[], PartsScript[T]], interruption: Interruption | None = None
    ) -> T | Deferred:
        """Run a script on a connection of its own.

        Args:
            make: makes the script.
            interruption: given on a thread, which may wait. None on the event loop, which must
                not: if the script reads much, or a lock is held, the result is `DEFERRED`.

        Raises:
            ReadFailedError: the file cannot be read.
            SerializationError: the file holds values that mobstore did not write.
            sqlite3.Error: on a thread, another process holds a lock.
        """
        rows: Rows | None = None
        try:
            try:
                rows = self._readers.pop()
            except IndexError:
                rows = Rows(self._connect())
            self._writer.identity.check(ReadFailedError)
            self._writer.condition.check(ReadFailedError)
            if interruption is None:
                return read_at_once(rows, make, self._writer.transactions.now)
            return read(rows, make, self._writer.transactions.now, interruption)
        except sqlite3.Error as error:
            if not is_busy(error):
                self._writer.condition.record(error)
                raise translate(error, self._writer.path, writing=False) from error
            if interruption is not None:
                raise
            return DEFERRED
        except MobStoreError:
            raise
        except (TypeError, ValueError) as error:
            raise corrupt_value(self._writer.path) from error
        finally:
            if rows is not None:
                with self._gate:
                    # An interruption may have left a snapshot open.
                    if not self._closed and rows.idle:
                        self._readers.append(rows)
                        rows = None
                if rows is not None:
                    rows.close()

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._writer.path, self._mode)
        try:
            self._writer.identity.check(ReadFailedError)
        except ReadFailedError:
            connection.close()
            raise
        return connection


def _abandon(pid: int, writer: Writer, readers: list[Rows]) -> None:
    if os.getpid() != pid:
        return  # after a fork, all of it belongs to the parent
    writer.put(Stop(partial(_close_all, readers)))
    warnings.warn(f"the store on {writer.path} was never closed", ResourceWarning, stacklevel=2)


def _close_all(readers: list[Rows]) -> None:
    while readers:
        readers.pop().close()
