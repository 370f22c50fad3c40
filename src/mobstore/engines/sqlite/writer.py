"""The thread that writes, with group commit.

All scripts that are queued while a commit runs share the next one: one `BEGIN IMMEDIATE … COMMIT`,
one fsync. A script that raises has written nothing, so it fails alone. If a write fails, the group
is rolled back and its scripts run one by one, so that only the failing one raises. A group that
writes nothing does not commit.

Between two groups the writer copies the log (`checkpoints.py`) and, if there are listeners, polls
for commits of other connections (`external_commits.py`).
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from mobstore.engines.clock import machine_time
from mobstore.engines.listeners import Listeners
from mobstore.engines.sqlite.checkpoints import Checkpoints
from mobstore.engines.sqlite.condition import Condition, preserved_log
from mobstore.engines.sqlite.connections import Mode, connect, has_content, open_files
from mobstore.engines.sqlite.driver_errors import retrying, translate
from mobstore.engines.sqlite.external_commits import ExternalCommits
from mobstore.engines.sqlite.handover import fail, hand_over
from mobstore.engines.sqlite.identity import OpenFiles
from mobstore.engines.sqlite.interruption import interrupted
from mobstore.engines.sqlite.rows import Rows
from mobstore.errors import MobStoreError, SerializationError, WriteFailedError
from mobstore.scripts.transaction import LoadingScript, Script, Write, drive

T = TypeVar("T")

_MOST_PER_COMMIT = 1024


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """A script that is queued for the writer, or a compaction if `make` is None."""

    make: Callable[[], Script[T] | LoadingScript[T]] | None
    loading: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class Stop:
    """The last item of the queue.

    Attributes:
        finish: is called when all jobs are done, before the file is closed.
    """

    finish: Callable[[], None]


class _Outcome(NamedTuple):
    """The end of a transaction.

    Attributes:
        writes: what was committed; None if that is not known.
        error: why it failed, if it did.
        retry: whether nothing was written, and the cause may be one of several scripts.
    """

    writes: Sequence[Write] | None
    error: BaseException | None = None
    retry: bool = False


_Jobs: TypeAlias = list[Job[Any]]
LISTENS = object()
"""An item of the queue that wakes the writer for a new listener."""


class Writer:
    """The thread that writes. It has no reference to its engine, so an unused engine is freed."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        path: Path,
        timeout: float,
        mode: Mode = "rw",
    ) -> None:
        self._connect = connect
        self._mode: Mode = mode
        self.path: Path = path
        self.timeout: float = timeout
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.listeners: Listeners = Listeners()
        self.condition: Condition = Condition(path)
        self.identity: OpenFiles  # set before `opened`
        self.now: Callable[[], str] = machine_time
        self.closing: bool = False  # skips optional work
        self.opened: Future[None] = Future()
        self.ended: Future[None] = Future()
        self.thread: threading.Thread = threading.Thread(
            target=self._work, name="mobstore-write", daemon=True
        )
        self.thread.start()

    def _work(self) -> None:
        # A read-only store keeps an existing log as it is: only writers may copy it.
        had_log = self._mode != "rw" and has_content(self.path)
        try:
            self._connection = self._connect()
            self._rows = Rows(self._connection)
            self.identity = open_files(self.path, self._mode)
            self._checkpoints = Checkpoints(
                self._rows,
                self.path,
                lambda: connect(self.path, "rw"),
                self.identity,
                self.condition,
            )
            self._external = ExternalCommits(
                self._rows, self.identity.intact, self._external_commit
            )
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        stop: Stop | None = None
        while stop is None:
            if self._mode == "rw":
                self._checkpoints.run_if_due()
            stop = self._turn()
        # Every callback runs, the last one first, whatever the others raise.
        # A reader's own log is empty and is removed. A corrupt file keeps its log; a writer's may
        # look empty because it was truncated.
        keep = self.condition.corrupt and (self._mode == "rw" or has_content(self.path))
        with ExitStack() as ending:
            ending.callback(self.ended.set_result, None)
            ending.callback(self._notify, None)
            if (had_log or keep) and self._mode != "immutable":
                ending.enter_context(preserved_log(self.path))
            ending.callback(self._rows.close)
            ending.callback(self._checkpoints.close)
            ending.callback(stop.finish)

    def _turn(self) -> Stop | None:
        """Run the queued jobs, or wait for one. Return the end of the queue if it was reached."""
        waiting: list[Any] = []
        with suppress(queue.Empty):
            waiting.append(self.queue.get(timeout=self._pause()))
            while len(waiting) < _MOST_PER_COMMIT and not self.queue.empty():
                waiting.append(self.queue.get())
        group: _Jobs = []
        for one in waiting:
            if not isinstance(one, Job):
                continue
            job = cast("Job[Any]", one)
            if job.make is not None and not job.loading:
                group.append(job)
                continue
            self._run_together(group)
            group = []
            if job.make is None:
                self._compact(job)
            else:
                self._run_alone(job)
        self._run_together(group)
        if self.listeners:
            self._external.poll()
        return waiting[-1] if waiting and isinstance(waiting[-1], Stop) else None

    def _pause(self) -> float | None:
        """Return the seconds to wait for a job; None: without a limit."""
        pauses = [self._checkpoints.pause()] if self._mode == "rw" else []
        if self.listeners:
            pauses.append(self._external.pause())
        return min(pauses, default=None)

    def _notify(self, writes: Sequence[Write] | None) -> None:
        """Notify listeners. An exception that would end the process is logged, too."""
        try:
            self.listeners.notify(writes)
        except BaseException:
            logging.getLogger("mobstore").exception("a commit listener raised")

    def _external_commit(self, _: None) -> None:
        try:
            self.condition.refresh(self._connection)
        except sqlite3.Error as error:
            self.condition.record(error)
        self._notify(None)

    def _check(self) -> None:
        """Raise unless the file is still the store that was opened.

        Raises:
            WriteFailedError: the file is gone or corrupt, or has a newer format or other tables.
        """
        self.identity.check(WriteFailedError)
        self.condition.refresh(self._connection)
        self.condition.check(WriteFailedError)

    def _compact(self, job: Job[Any]) -> None:
        def cancelled() -> bool:
            return self.closing or job.future.cancelled()

        def compact() -> None:
            if cancelled():
                raise interrupted()
            self._rows.vacuum(cancelled)

        try:
            self._check()
            retrying(compact, self.timeout)
            if not cancelled():
                self._checkpoints.truncate()
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            job.error = self._translate(error, [job])
        _deliver([job])

    def _run_together(self, jobs: _Jobs) -> None:
        """Run scripts in one transaction; if it fails, run each in a transaction of its own."""
        jobs = [job for job in jobs if not job.future.cancelled()]
        if not jobs:
            return
        outcome = self._transaction(jobs)
        if outcome.retry and len(jobs) > 1:
            for job in jobs:
                self._run_alone(job)
        else:
            self._finish(jobs, outcome)

    def _run_alone(self, job: Job[Any]) -> None:
        """Run a script in a transaction of its own."""
        if not job.future.cancelled():
            self._finish([job], self._transaction([job]))

    def _transaction(self, jobs: _Jobs) -> _Outcome:
        """Run scripts in one transaction, and commit it if they have written."""
        try:
            try:
                retrying(self._rows.begin, self.timeout)
            except BaseException as error:  # noqa: BLE001 - the thread lives on, the caller sees it
                # A lock is no script's fault: alone, each would wait for it again.
                return _Outcome([], self._translate(error, jobs))
            self._check()
            # A task cancelled while the lock was awaited: its caller knows that nothing was done.
            return _Outcome(self._commit([job for job in jobs if not job.future.cancelled()]))
        except BaseException as error:  # noqa: BLE001 - as above
            error = self._translate(error, jobs)
            if getattr(error, "maybe_written", False):  # a second run would write twice
                return _Outcome(None, error)
            return _Outcome([], error, retry=True)
        finally:
            with suppress(sqlite3.Error):
                self._rows.rollback()

    def _finish(self, jobs: _Jobs, outcome: _Outcome) -> None:
        """Notify listeners and callers of the end of a transaction."""
        if outcome.error is not None:
            for job in jobs:
                job.error = job.error or (outcome.error if len(jobs) == 1 else _copy(outcome.error))
        if outcome.writes is None or outcome.writes:
            self._checkpoints.committed()
            self._notify(outcome.writes)
        _deliver(jobs)

    def _translate(self, error: BaseException, jobs: _Jobs) -> BaseException:
        """Return the error of a failed transaction; a loading script's own errors stay."""
        translated = error
        if isinstance(error, sqlite3.Error):
            self.condition.record(error)
            translated = translate(error, self.path, writing=True)
        elif (
            isinstance(error, (TypeError, ValueError, OverflowError))
            and not isinstance(error, MobStoreError)
            and not jobs[0].loading
        ):
            translated = corrupt_value(self.path)
        if translated is not error:
            translated.__cause__ = error
        return translated

    def _commit(self, jobs: _Jobs) -> list[Write] | None:
        """Run scripts in the open transaction, and commit it.

        Returns:
            The writes; None after a loading script.

        Raises:
            BaseException: it could not be committed.
        """
        rows = self._rows
        writes: list[Write] = []
        loaded = False
        now = cache(self.now)  # one time for all scripts of a commit
        for job in jobs:
            job.error = None
            answer = rows.answer_or_write if job.loading else rows.answer
            try:
                commit = drive(cast("Script[Any]", cast("Any", job.make)()), answer, now)
            except MobStoreError as error:
                if job.loading:
                    raise
                job.error = error
                continue
            for write in commit.writes:
                rows.write(write)
            writes += commit.writes
            loaded = loaded or job.loading
            job.result = commit.result
        if writes or loaded:
            try:
                rows.commit()
            except sqlite3.Error as error:
                self.condition.record(error)
                raise translate(error, self.path, writing=True, committing=True) from error
        return None if loaded else writes


def _deliver(jobs: _Jobs) -> None:
    """Set the results of jobs, by one call per event loop instead of one per task."""
    by_loop: dict[asyncio.AbstractEventLoop, _Jobs] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, delivered in by_loop.items():
        hand_over(loop, partial(_settle, delivered))


def _settle(jobs: _Jobs) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            fail(job.future, job.error)


def _copy(error: BaseException) -> BaseException:
    """Copy an error for each task, because each task that raises it extends its traceback."""
    copied = copy(error)  # with its attributes
    copied.__cause__ = error.__cause__
    return copied


def corrupt_value(path: Path) -> SerializationError:
    """Return the error of a value that no script expects; arguments were checked before it ran."""
    return SerializationError(
        f"{path} holds a value that mobstore did not write; see the cause. Restore a backup"
    )
