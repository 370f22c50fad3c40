"""The thread that writes, with group commit.

All scripts that are queued while a commit runs share the next one (`transactions.py`). If a write
fails, the group is rolled back and its scripts run one by one, so that only the failing one raises.

Two handovers between threads take longer than a quick commit. So a small script may run on the
calling thread: if the writer is not busy, commits are quick, and the last one was of a single
script, so that there is nothing to share. That thread holds the gate, and the writer waits for it.
A signal handler may start another write within the first one, on the same thread; it is queued.

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
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from mobstore.engines.listeners import Listeners
from mobstore.engines.sqlite.checkpoints import COMMITS, Checkpoints
from mobstore.engines.sqlite.condition import Condition, preserved_log
from mobstore.engines.sqlite.connections import Mode, connect, has_content, open_files
from mobstore.engines.sqlite.driver_errors import retrying
from mobstore.engines.sqlite.external_commits import ExternalCommits
from mobstore.engines.sqlite.handover import fail, hand_over
from mobstore.engines.sqlite.identity import OpenFiles
from mobstore.engines.sqlite.interruption import interrupted
from mobstore.engines.sqlite.reads import DEFERRED, Deferred
from mobstore.engines.sqlite.transactions import Job, Outcome, Transactions
from mobstore.scripts.transaction import Commit, Script, Write

T = TypeVar("T")

_MOST_PER_COMMIT = 1024
_QUICK = 0.001  # seconds of a commit; two handovers take 0.2 ms


@dataclass(slots=True)
class Stop:
    """The last item of the queue.

    Attributes:
        finish: is called when all jobs are done, before the file is closed.
    """

    finish: Callable[[], None]


@dataclass(slots=True)
class _News:
    """An item of the queue: another thread has committed, and listeners are to be notified.

    Attributes:
        writes: what it has committed. None: it was interrupted, perhaps within its transaction.
    """

    writes: Sequence[Write] | None


_Jobs: TypeAlias = list[Job[Any]]
_WAKE = object()
"""An item of the queue that wakes the writer: there is a listener, or the log must be copied."""


class Writer:
    """The thread that writes. It has no reference to its engine, so an unused engine is freed.

    Attributes:
        gate: held by a thread that puts an item, or writes at once. It is reentrant, because a
            signal handler may start a write within that.
    """

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
        self.gate: threading.RLock = threading.RLock()
        self.listeners: Listeners = Listeners()
        self.condition: Condition = Condition(path)
        self.identity: OpenFiles  # these two are set before `opened`
        self.transactions: Transactions
        self.closing: bool = False  # skips optional work
        self.opened: Future[None] = Future()
        self.ended: Future[None] = Future()
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._busy = True  # an item is queued, or the writer uses the connection
        self._lent = False  # another thread uses it
        self._shared = False  # the last group had several jobs
        self.thread: threading.Thread = threading.Thread(
            target=self._work, name="mobstore-write", daemon=True
        )
        self.thread.start()

    def put(self, item: Job[Any] | Stop) -> None:
        """Queue an item. The caller holds the gate, so that no job follows the last item."""
        self._put(item)

    def wake(self) -> None:
        """Wake the writer for a new listener. The caller holds the gate."""
        self._put(_WAKE)

    def is_free(self) -> bool:
        """Return whether a small script may run on another thread; ask again under the gate."""
        at_rest = not (self._busy or self._lent or self._shared)
        return at_rest and self.transactions.pace <= _QUICK

    def write_at_once(self, make: Callable[[], Script[T]]) -> Commit[T] | Deferred:
        """Run a small script on the calling thread, which holds the gate.

        The writer notifies the listeners: here, a signal handler that raises could interrupt them.

        Returns:
            Its commit; or `DEFERRED`: queue the script.

        Raises:
            MobStoreError: the script's error, or the commit failed.
        """
        if not self.is_free():
            return DEFERRED
        try:
            self._lent = True
            commit = self.transactions.run_small(make)
        finally:
            self._lent = False
        if commit is not DEFERRED and commit.writes:
            if self.listeners:
                self._queue.put(_News(commit.writes))
            if self._checkpoints.committed() >= COMMITS:  # the log is not large before
                self._put(_WAKE)
        return commit

    def recover(self) -> None:
        """End what an interrupted `write_at_once` has left. The caller holds the gate."""
        self._lent = False
        self._put(_News(None))

    def _put(self, item: object) -> None:
        self._busy = True
        self._queue.put(item)

    def _work(self) -> None:
        # A read-only store keeps an existing log as it is: only writers may copy it.
        had_log = self._mode != "rw" and has_content(self.path)
        try:
            connection = self._connect()
            self.identity = open_files(self.path, self._mode)
            self.transactions = Transactions(
                connection, self.path, self.timeout, self.identity, self.condition
            )
            rows = self.transactions.rows
            self._checkpoints = Checkpoints(
                rows, self.path, lambda: connect(self.path, "rw"), self.identity, self.condition
            )
            self._external = ExternalCommits(rows, self.identity.intact, self._external_commit)
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            self.opened.set_exception(error)
            return
        self._rest()
        self.opened.set_result(None)
        stop: Stop | None = None
        while stop is None:
            self._do_what_is_due()
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
            ending.callback(rows.close)
            ending.callback(self._checkpoints.close)
            ending.callback(stop.finish)

    def _turn(self) -> Stop | None:
        """Run the queued jobs, or wait for one. Return the end of the queue if it was reached."""
        items: list[Any] = []
        with suppress(queue.Empty):
            items.append(self._queue.get(timeout=self._pause()))
            while len(items) < _MOST_PER_COMMIT and not self._queue.empty():
                items.append(self._queue.get())
        news = [item for item in items if isinstance(item, _News)]
        if len(news) < len(items) or None in [one.writes for one in news]:
            self._take()  # news alone need no connection
        for one in news:
            if one.writes is None:
                self.transactions.rollback()
            self._notify(one.writes)
        groups = _groups([cast("Job[Any]", item) for item in items if isinstance(item, Job)])
        for group in groups:
            self._run(group)
            if group is groups[-1]:  # so that the next write finds the writer at rest
                self._shared = len(groups) > 1 or len(group) > 1
                self._rest()
            _deliver(group)
        if items and not groups:
            self._rest()
        return items[-1] if items and isinstance(items[-1], Stop) else None

    def _take(self) -> None:
        """Take the connection, once no other thread uses it."""
        with self.gate:
            self._busy = True

    def _rest(self) -> None:
        """Leave the connection to other threads, unless an item is queued."""
        with self.gate:
            self._busy = not self._queue.empty()

    def _pause(self) -> float | None:
        """Return the seconds to wait for a job; None: without a limit."""
        pauses = [self._checkpoints.pause()] if self._mode == "rw" else []
        if self.listeners:
            pauses.append(self._external.pause())
        return min(pauses, default=None)

    def _do_what_is_due(self) -> None:
        """Copy the log, and poll for commits of other connections, if it is time to."""
        copying = self._mode == "rw" and self._checkpoints.due()
        polling = bool(self.listeners) and not self._external.pause()
        if copying or polling:
            self._take()
            if copying:
                self._checkpoints.run()
            if polling:
                self._external.poll()
            self._rest()

    def _notify(self, writes: Sequence[Write] | None) -> None:
        """Notify listeners. An exception that would end the process is logged, too."""
        try:
            self.listeners.notify(writes)
        except BaseException:
            logging.getLogger("mobstore").exception("a commit listener raised")

    def _external_commit(self, _: None) -> None:
        self.transactions.look()
        self._notify(None)

    def _run(self, jobs: _Jobs) -> None:
        """Run a compaction, or a group of scripts; if the group fails, run each script alone."""
        if jobs[0].make is None:
            self._compact(jobs[0])
            return
        jobs = [job for job in jobs if not job.future.cancelled()]
        if not jobs:
            return
        outcome = self.transactions.run(jobs)
        if outcome.retry and len(jobs) > 1:
            for job in jobs:
                self._run([job])
        else:
            self._finish(jobs, outcome)

    def _compact(self, job: Job[Any]) -> None:
        def cancelled() -> bool:
            return self.closing or job.future.cancelled()

        def compact() -> None:
            if cancelled():
                raise interrupted()
            self.transactions.rows.vacuum(cancelled)

        try:
            self.transactions.check()
            retrying(compact, self.timeout)
            if not cancelled():
                self._checkpoints.truncate()
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            job.error = self.transactions.translate(error)

    def _finish(self, jobs: _Jobs, outcome: Outcome) -> None:
        """Note the end of a transaction, and notify listeners."""
        if outcome.error is not None:
            for job in jobs:
                job.error = job.error or (outcome.error if len(jobs) == 1 else _copy(outcome.error))
        if outcome.writes is None or outcome.writes:
            self._checkpoints.committed()
            self._notify(outcome.writes)


def _groups(jobs: _Jobs) -> list[_Jobs]:
    """Return jobs in groups that share a transaction: not those that load, nor compactions."""
    groups: list[_Jobs] = []
    for job in jobs:
        alone = job.make is None or job.loading
        if groups and not alone and not groups[-1][0].loading and groups[-1][0].make is not None:
            groups[-1].append(job)
        else:
            groups.append([job])
    return groups


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
