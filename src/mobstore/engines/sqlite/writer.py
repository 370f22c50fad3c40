"""The thread that writes: group commit.

All scripts that wait while a commit runs share the next one: one `BEGIN IMMEDIATE … COMMIT`, one
fsync. A script that raises has written nothing, so it fails alone; if a write fails, the group is
rolled back and its scripts run one by one, so that only the guilty one fails. A group that writes
nothing costs no commit.

Between two groups the writer copies the log (`checkpoints.py`), and while somebody listens it looks
for commits of others (`external_commits.py`).
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
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from mobstore.engines.listeners import Listeners
from mobstore.engines.sqlite.checkpoints import Checkpoints
from mobstore.engines.sqlite.condition import Condition, log_left_alone
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
    """A script that waits for the writer; or compaction, which has none."""

    make: Callable[[], Script[T] | LoadingScript[T]] | None
    loading: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class Stop:
    """The last thing in the queue.

    Attributes:
        finish: called when all jobs are done, before the file is closed.
    """

    finish: Callable[[], None]


class _End(NamedTuple):
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
"""Put into the queue when somebody has begun to listen."""


class Writer:
    """The thread that writes. It does not know its engine, so an abandoned engine can be freed."""

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
        self.identity: OpenFiles  # once `opened`
        self.closing: bool = False  # what need not be done is not done any more
        self.opened: Future[None] = Future()
        self.ended: Future[None] = Future()
        self.thread: threading.Thread = threading.Thread(
            target=self._work, name="mobstore-write", daemon=True
        )
        self.thread.start()

    def _work(self) -> None:
        # Who only reads leaves a log that is there already: it is for those who write.
        left = self._mode != "rw" and has_content(self.path)
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
                self._rows, self.identity.intact, self._others_committed
            )
        except BaseException as error:  # noqa: BLE001 - whoever opens must hear of it
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        stop: Stop | None = None
        while stop is None:
            if self._mode == "rw":
                self._checkpoints.run_if_due()
            stop = self._turn()
        # Each of these is done whatever the others raise, the last one first.
        # An empty log that reading has made goes in any case; of one of a writer it is not known
        # that it is empty: it may have been cut.
        keep = self.condition.damaged and (self._mode == "rw" or has_content(self.path))
        with ExitStack() as ending:
            ending.callback(self.ended.set_result, None)
            ending.callback(self._notify, None)
            if (left or keep) and self._mode != "immutable":
                ending.enter_context(log_left_alone(self.path))
            ending.callback(self._rows.close)
            ending.callback(self._checkpoints.close)
            ending.callback(stop.finish)

    def _turn(self) -> Stop | None:
        """Run what waits, or wait for it; what ends the thread, if it came."""
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
            self._external.look()
        return waiting[-1] if waiting and isinstance(waiting[-1], Stop) else None

    def _pause(self) -> float | None:
        """How long to wait for something to do; None: until it comes."""
        pauses = [self._checkpoints.pause()] if self._mode == "rw" else []
        if self.listeners:
            pauses.append(self._external.pause())
        return min(pauses, default=None)

    def _notify(self, writes: Sequence[Write] | None) -> None:
        """Wake listeners. What they raise, even to end the process, is not for this thread."""
        try:
            self.listeners.notify(writes)
        except BaseException:
            logging.getLogger("mobstore").exception("a commit listener raised")

    def _others_committed(self, _: None) -> None:
        try:
            self.condition.look(self._connection)
        except sqlite3.Error as error:
            self.condition.note(error)
        self._notify(None)

    def _check(self) -> None:
        """Refuse to write to what is not, or not any more, the store that was opened.

        Raises:
            WriteFailedError: the file is gone, damaged, of a newer format, or has other tables.
        """
        self.identity.check(WriteFailedError)
        self.condition.look(self._connection)
        self.condition.check(WriteFailedError)

    def _compact(self, job: Job[Any]) -> None:
        def unwanted() -> bool:
            return self.closing or job.future.cancelled()

        def compact() -> None:
            if unwanted():
                raise interrupted()
            self._rows.vacuum(unwanted)

        try:
            self._check()
            retrying(compact, self.timeout)
            if not unwanted():
                self._checkpoints.cut_off()
        except BaseException as error:  # noqa: BLE001 - as for other jobs
            job.error = self._translate(error, [job])
        _deliver([job])

    def _run_together(self, jobs: _Jobs) -> None:
        """Run scripts in one transaction; if it fails, run each in a transaction of its own."""
        jobs = [job for job in jobs if not job.future.cancelled()]
        if not jobs:
            return
        end = self._transaction(jobs)
        if end.retry and len(jobs) > 1:
            for job in jobs:
                self._run_alone(job)
        else:
            self._finish(jobs, end)

    def _run_alone(self, job: Job[Any]) -> None:
        """Run a script in a transaction of its own."""
        if not job.future.cancelled():
            self._finish([job], self._transaction([job]))

    def _transaction(self, jobs: _Jobs) -> _End:
        """Run scripts in one transaction, and commit it if they have written."""
        try:
            try:
                retrying(self._rows.begin, self.timeout)
            except BaseException as error:  # noqa: BLE001 - the thread lives on, the caller sees it
                # A lock is no script's fault: alone, each would wait for it again.
                return _End([], self._translate(error, jobs))
            self._check()
            # A task cancelled while the lock was awaited: its caller knows that nothing was done.
            return _End(self._commit([job for job in jobs if not job.future.cancelled()]))
        except BaseException as error:  # noqa: BLE001 - as above
            error = self._translate(error, jobs)
            if getattr(error, "maybe_written", False):  # a second run would write twice
                return _End(None, error)
            return _End([], error, retry=True)
        finally:
            with suppress(sqlite3.Error):
                self._rows.rollback()

    def _finish(self, jobs: _Jobs, end: _End) -> None:
        """Notify listeners and callers of the end of a transaction."""
        if end.error is not None:
            for job in jobs:
                job.error = job.error or (end.error if len(jobs) == 1 else _copy(end.error))
        if end.writes is None or end.writes:
            self._checkpoints.committed()
            self._notify(end.writes)
        _deliver(jobs)

    def _translate(self, error: BaseException, jobs: _Jobs) -> BaseException:
        """Return the error of a failed transaction; a loading script's own errors stay."""
        translated = error
        if isinstance(error, sqlite3.Error):
            self.condition.note(error)
            translated = translate(error, self.path, writing=True)
        elif (
            isinstance(error, (TypeError, ValueError, OverflowError))
            and not isinstance(error, MobStoreError)
            and not jobs[0].loading
        ):
            translated = damaged(self.path)
        if translated is not error:
            translated.__cause__ = error
        return translated

    def _commit(self, jobs: _Jobs) -> list[Write] | None:
        """Run the scripts in the open transaction; what they wrote, None if it was loaded.

        Raises:
            BaseException: it could not be committed whole.
        """
        rows = self._rows
        writes: list[Write] = []
        loaded = False
        for job in jobs:
            job.error = None
            answer = rows.answer_or_write if job.loading else rows.answer
            try:
                commit = drive(cast("Script[Any]", cast("Any", job.make)()), answer)
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
                self.condition.note(error)
                raise translate(error, self.path, writing=True, committing=True) from error
        return None if loaded else writes


def _deliver(jobs: _Jobs) -> None:
    """Wake the tasks that wait; once per event loop, not once per task."""
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
    """An error of its own for each task: a traceback grows with whoever raises it."""
    copied = copy(error)  # with all its attributes
    copied.__cause__ = error.__cause__
    return copied


def damaged(path: Path) -> SerializationError:
    """What to say of values that no script expects: arguments were checked before it ran."""
    return SerializationError(
        f"{path} holds a value that mobstore did not write; the cause says more. Restore a backup"
    )
