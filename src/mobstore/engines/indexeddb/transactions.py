"""Which transaction runs which script, and the handlers by which the browser steps it.

An IndexedDB transaction ends as soon as control goes back to the browser with no request pending,
and an `await` resumes too late. So scripts are stepped within the events of their requests.

Writing scripts that are queued while a transaction is under way join it, one after the other: they
share its commit. Reading scripts join one too and run side by side; requests end in the order in
which they were made. Tasks are woken within the transaction's events.

A task that is cancelled leaves its script undone if it had not begun, and done if it had.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from copy import copy
from typing import Any, TypeAlias, cast

from mobstore.engines.indexeddb.database import Connection, Mode
from mobstore.engines.indexeddb.javascript import JsValue, Request, Transaction
from mobstore.engines.indexeddb.job import Job
from mobstore.engines.indexeddb.rows import Rows
from mobstore.errors import InternalError, MobStoreError
from mobstore.transaction import Commit, Script

_Work: TypeAlias = Generator[Request, None, None]
"""A script under way; yields the request that it waits for."""

_MOST_PER_TRANSACTION = 256  # other tabs must not wait for longer


class Lane:
    """The queue of jobs of one mode, and the transactions that run them."""

    def __init__(self, connection: Connection, mode: Mode) -> None:
        self.connection = connection
        self.mode: Mode = mode
        self.queue: deque[Job[Any]] = deque()
        self.joinable: _Run | None = None
        self._runs: list[_Run] = []
        self._idle: list[_Run] = []
        self._closing: list[asyncio.Future[None]] = []

    def add(self, job: Job[Any]) -> None:
        """Queue a job; it begins now, or with the next event of the transaction under way."""
        self.queue.append(job)
        self._start()

    def take(self, taken: list[Job[Any]]) -> Job[Any] | None:
        """The next job for a transaction that has taken some; None if it must not have more."""
        while self.queue and self.queue[0].settled:
            self.queue.popleft()
        if not self.queue or len(taken) >= _MOST_PER_TRANSACTION:
            return None
        if taken and (taken[0].alone or self.queue[0].alone):
            return None
        return self.queue.popleft()

    def ended(self, run: _Run) -> None:
        """Take back what ran a transaction that is over."""
        self._idle.append(run)
        self._start()
        if len(self._idle) == len(self._runs):
            while self._closing:
                self._closing.pop().set_result(None)

    async def close(self) -> None:
        """Wait until nothing is queued or under way, then let go of the handlers."""
        if len(self._idle) < len(self._runs):
            empty = asyncio.get_running_loop().create_future()
            self._closing.append(empty)
            await asyncio.shield(empty)
        while self._runs:
            self._runs.pop().destroy()

    def _start(self) -> None:
        """Begin a transaction for what is queued, unless one is under way that will take it."""
        if self.joinable is not None or not self.queue:
            return
        if not self._idle:
            self._idle.append(_Run(self))
            self._runs.append(self._idle[-1])
        self.joinable = self._idle.pop()
        self.joinable.begin()


class _Run:
    """Runs jobs in a transaction, one transaction after another.

    Its handlers are made once: to make one takes longer than to step a script.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane, self._connection = lane, lane.connection
        self._writing = lane.mode == "readwrite"
        make = lane.connection.browser.handler
        self._success, self._error = make(self._on_success), make(self._on_error)
        self._complete, self._abort = make(self._on_complete), make(self._on_abort)

    def begin(self) -> None:
        """Begin a transaction with what is queued."""
        self._jobs: list[Job[Any]] = []
        self._work: deque[_Work] = deque()
        self._failure: Any = None
        try:
            self._transaction: Transaction = self._connection.begin(self._lane.mode)
        except MobStoreError as error:
            self._lane.joinable = None
            while job := self._lane.take([]):
                job.error = copy(error)
                job.settle()
            self._lane.ended(self)
            return
        self._transaction.oncomplete, self._transaction.onabort = self._complete, self._abort
        self._transaction.onerror = self._error
        self._rows = Rows(self._connection.browser, self._transaction)
        self._go_on()

    def destroy(self) -> None:
        """Let go of the handlers."""
        for handler in (self._success, self._error, self._complete, self._abort):
            handler.destroy()

    def _on_success(self, _: JsValue) -> None:
        self._go_on(self._work.popleft())  # requests end in the order in which they were made

    def _on_error(self, event: JsValue) -> None:
        # Firefox tells the reason here alone; `onabort` knows of an AbortError only.
        self._failure = self._failure or event.target.error

    def _go_on(self, work: _Work | None = None) -> None:
        """Step a script up to its next request, begin what may begin; commit when all is done."""
        try:
            if work is not None:
                self._step(work)
            while not (self._work and self._writing) and (job := self._lane.take(self._jobs)):
                self._jobs.append(job)
                self._step(self._perform(job))
            if not self._work:
                self._lane.joinable = None
                self._transaction.commit()
        except BaseException as error:  # noqa: BLE001 - the task that waits must hear of it
            self._failure = self._failure or error
            self._lane.joinable = None
            with suppress(self._connection.browser.Error):  # its end may be under way already
                self._transaction.abort()

    def _step(self, work: _Work) -> None:
        request = next(work, None)
        if request is not None:
            request.onsuccess = self._success
            self._work.append(work)

    def _perform(self, job: Job[Any]) -> _Work:
        """Run one script to its end; raises what must undo the whole transaction."""
        script = cast("Script[Any]", job.make())
        answer = self._rows.answer_or_write if job.loading else self._rows.answer
        try:
            asked: object = next(script)
            while True:
                if not isinstance(asked, tuple):
                    raise InternalError("a script yields tuples of reads, and nothing else")
                asked = script.send((yield from answer(cast("tuple[Any, ...]", asked))))
        except StopIteration as end:
            commit = cast("Commit[Any]", end.value)
        except (MobStoreError, TypeError, ValueError, LookupError) as error:
            if job.loading:
                raise
            ours = isinstance(error, MobStoreError)
            job.error = error if ours else self._connection.damaged(error)
            commit = Commit(None)
        finally:
            script.close()
        for write in commit.writes:
            yield from self._rows.write(write)
        job.outcome, job.ended = commit.result, True
        if not self._writing:
            job.settle()

    def _on_complete(self, _: JsValue) -> None:
        self._lane.joinable = None
        for job in self._jobs:
            if not job.ended:
                job.error = InternalError("a transaction ended before its script did")
        self._end(self._jobs)

    def _on_abort(self, _: JsValue) -> None:
        self._lane.joinable = None
        jobs = [job for job in self._jobs if not job.settled]
        if self._writing and len(jobs) > 1:
            # One may be guilty of what undid them all: it alone shall fail.
            for job in reversed(jobs):
                job.alone, job.ended, job.error = True, False, None
                self._lane.queue.appendleft(job)
            jobs = []
        failure = self._failure or self._transaction.error
        for job in jobs:
            job.error = self._said(failure)
        self._end(jobs)

    def _said(self, failure: Any) -> BaseException:
        if isinstance(failure, BaseException) and not isinstance(
            failure, self._connection.browser.Error
        ):
            return failure
        said = self._connection.said(failure, self._lane.mode)
        if isinstance(failure, BaseException):
            said.__cause__ = failure
        return said

    def _end(self, jobs: list[Job[Any]]) -> None:
        self._jobs, self._work = [], deque()
        self._lane.ended(self)
        for job in jobs:
            job.settle()
