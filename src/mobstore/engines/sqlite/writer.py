"""The thread that writes: group commit.

All scripts that wait while a commit runs share the next one: one `BEGIN IMMEDIATE … COMMIT`, one
fsync. A script that raises has written nothing, so it fails alone; if a write fails, the group is
rolled back and its scripts run one by one, so that only the guilty one fails. A group that writes
nothing costs no commit.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar, cast

from mobstore.engines.sqlite.connecting import Mode, open_files
from mobstore.engines.sqlite.file import retrying, translate
from mobstore.engines.sqlite.identity import OpenFiles
from mobstore.engines.sqlite.rows import Rows
from mobstore.engines.sqlite.watcher import FileListeners
from mobstore.errors import MobStoreError, SerializationError, WriteFailedError
from mobstore.transaction import LoadingScript, Script, drive

T = TypeVar("T")

_MOST_PER_COMMIT = 1024


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """A script that waits for the writer."""

    make: Callable[[], Script[T] | LoadingScript[T]]
    loading: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


_Jobs: TypeAlias = list[Job[Any]]
STOP = object()


class Writer:
    """The thread that writes. It does not know its engine, so an abandoned engine can be freed."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        path: Path,
        timeout: float,
        mode: Mode = "rw",
    ) -> None:
        self._connect, self._mode = connect, mode
        self.path: Path = path
        self.timeout: float = timeout
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.listeners: FileListeners = FileListeners(path, mode)
        self.opened: Future[None] = Future()
        self.ended: Future[None] = Future()
        self.thread: threading.Thread = threading.Thread(
            target=self._work, name="mobstore-write", daemon=True
        )
        self.thread.start()

    def _work(self) -> None:
        try:
            self._rows = Rows(self._connect())
            self.files: OpenFiles = open_files(self.path, self._mode)
        except BaseException as error:  # noqa: BLE001 - whoever opens must hear of it
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        try:
            while self._turn():
                pass
            self._rows.close()
        finally:
            self.ended.set_result(None)

    def _turn(self) -> bool:
        """Run what waits; whether there may be more."""
        waiting: list[Any] = [self.queue.get()]
        while len(waiting) < _MOST_PER_COMMIT and not self.queue.empty():
            waiting.append(self.queue.get())
        more = waiting[-1] is not STOP
        if not more:
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
        return more

    def _run(self, jobs: _Jobs) -> None:
        jobs = [job for job in jobs if not job.future.cancelled()]
        if not jobs:
            return
        begun = False
        refusal: BaseException | None = None
        try:
            retrying(self._rows.begin, self.timeout)
            begun = True
            self.files.check(WriteFailedError)
            self._commit(jobs)
        except BaseException as error:  # noqa: BLE001 - the thread must live on, the caller must hear
            refusal = self._refusal(error, jobs)
        finally:
            with suppress(sqlite3.Error):
                self._rows.rollback()
        if refusal is not None:
            # Nobody is guilty of a lock; and what may be written must not be written twice.
            if begun and len(jobs) > 1 and not getattr(refusal, "maybe_written", False):
                for job in jobs:
                    self._run([job])
                return
            for job in jobs:
                job.error = job.error or (refusal if len(jobs) == 1 else _copy(refusal))
        _deliver(jobs)

    def _refusal(self, error: BaseException, jobs: _Jobs) -> BaseException:
        """Say in our words why a transaction failed; a loading script's own errors stay."""
        refusal = error
        if isinstance(error, sqlite3.Error):
            refusal = translate(error, self.path, writing=True)
        elif isinstance(error, (TypeError, ValueError, OverflowError)) and not jobs[0].loading:
            refusal = damaged(self.path)
        if refusal is not error:
            refusal.__cause__ = error
        return refusal

    def _commit(self, jobs: _Jobs) -> None:
        """Run the scripts in the open transaction; raises if it could not be committed whole."""
        rows = self._rows
        wrote = False
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
            try:
                rows.commit()
            except sqlite3.Error as error:
                raise translate(error, self.path, writing=True, committing=True) from error
            self.listeners.tell()


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


def _copy(error: BaseException) -> BaseException:
    """An error of its own for each task: a traceback grows with whoever raises it."""
    copied = copy(error)
    copied.__cause__ = error.__cause__
    return copied


def damaged(path: Path) -> SerializationError:
    """What to say of values that no script expects: arguments were checked before it ran."""
    return SerializationError(
        f"{path} holds a value that mobstore did not write; the cause says more. Restore a backup"
    )
