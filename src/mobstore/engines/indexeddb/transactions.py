"""Which transaction runs which script, and the handlers by which the browser steps it.

An IndexedDB transaction ends as soon as control goes back to the browser with no request pending,
and an `await` resumes too late. So scripts are stepped within the events of their requests.

Scripts that are queued while a transaction is under way join it and share its commit. All ask at
once what they want to read first; reading scripts then run side by side, writing ones one after the
other, in the order in which they came: none is done before those ahead of it have made their
writes. Tasks are woken within the transaction's events.

A task that is cancelled leaves its script undone, unless its writes have been made. A loading
script makes them as it goes on: one that is cancelled is undone with its transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from typing import Any, TypeAlias, cast

from mobstore.engines.indexeddb.database import Connection, Mode
from mobstore.engines.indexeddb.javascript import JsValue, Transaction
from mobstore.engines.indexeddb.job import Job
from mobstore.engines.indexeddb.questions import Question
from mobstore.engines.indexeddb.rows import Asking, Rows
from mobstore.errors import InternalError, MobStoreError
from mobstore.scripts.tables import COUNTERS
from mobstore.scripts.transaction import Commit, Count, Get, LoadingScript, Scan, Script, Write

Committed: TypeAlias = Callable[[Iterable[Write] | None], None]
"""Takes the writes of a commit; None for those of a loading script."""

_MOST_PER_TRANSACTION = 256  # other tabs must not wait for longer


class Lane:
    """The queue of jobs of one mode, and the transactions that run them."""

    def __init__(
        self, connection: Connection, mode: Mode, committed: Committed | None = None
    ) -> None:
        self.connection: Connection = connection
        self.committed: Committed | None = committed
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

    def left_by(self, run: _Run) -> None:
        """Let no more jobs join a run; another may have become the one to join since."""
        if self.joinable is run:
            self.joinable = None

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


class _Work:
    """A script under way.

    Attributes:
        job: whose it is.
        steps: yields the reads that the script waits for.
        question: what it asked last.
        writing: whether the script has ended, and only its writes are still to be made.
    """

    __slots__ = ("job", "question", "steps", "writing")

    def __init__(self, job: Job[Any], perform: Callable[[_Work], Asking]) -> None:
        self.job, self.writing = job, False
        self.steps = perform(self)
        self.question: Question | None = None


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
        self._works: dict[_Work, None] = {}  # the scripts that have not ended, eldest first
        self._failure: Any = None
        self._writes: list[Write] = []  # for those who listen; not those of a loading script
        self._loaded = False
        try:
            self._transaction: Transaction = self._connection.begin(self._lane.mode)
        except MobStoreError as error:
            self._lane.left_by(self)
            while job := self._lane.take([]):
                job.error = copy(error)
                job.settle()
            self._lane.ended(self)
            return
        self._rows = Rows(self._connection.browser, self._transaction)
        self._go_on()
        # Nothing of this can happen before, and the browser works on what it was asked.
        self._transaction.oncomplete, self._transaction.onabort = self._complete, self._abort
        self._transaction.onerror = self._error

    def destroy(self) -> None:
        """Let go of the handlers."""
        for handler in (self._success, self._error, self._complete, self._abort):
            handler.destroy()

    def _on_success(self, _: JsValue) -> None:
        self._go_on()

    def _on_error(self, event: JsValue) -> None:
        # Firefox tells the reason here alone; `onabort` knows of an AbortError only.
        self._failure = self._failure or event.target.error

    def _go_on(self) -> None:
        """Step scripts until the browser has to be waited for; commit when all have ended."""
        try:
            self._rows.take()
            while not self._rows.ask(self._advance(), self._success):
                if not self._works:
                    self._lane.left_by(self)
                    self._rows.flush()
                    if not self._wrote:
                        # What was written ends by itself: after `commit` Firefox would undo it only
                        # if the last of its requests fails, not if one before that does.
                        self._transaction.commit()
                    return
        except BaseException as error:  # noqa: BLE001 - the task that waits must hear of it
            self._failure = self._failure or error
            self._lane.left_by(self)
            with suppress(self._connection.browser.Error):  # its end may be under way already
                self._transaction.abort()

    @property
    def _wrote(self) -> bool:
        return self._loaded or bool(self._writes)

    def _advance(self) -> list[Question]:
        """Step the scripts that may go on, begin what is queued; what they ask."""
        questions: list[Question] = []
        for work in tuple(self._works):
            if question := self._step(work):
                questions.append(question)
                if self._writing:  # the eldest alone may go on
                    break
        while job := self._lane.take(self._jobs):
            self._jobs.append(job)
            work = _Work(job, self._perform)
            self._works[work] = None
            if question := self._step(work):
                questions.append(question)
        return questions

    def _step(self, work: _Work) -> Question | None:
        """Run a script until it asks what is not known yet; None if it has ended.

        One that begins runs until it first asks.
        """
        try:
            if work.question is None:
                work.question = Question(next(work.steps))
            else:
                while (answers := self._rows.answers(work.question)) is not None:
                    work.question = Question(work.steps.send(answers))
        except StopIteration:
            pass
        except (MobStoreError, TypeError, ValueError, LookupError, AttributeError) as error:
            work.steps.close()
            if work.job.loading or work.writing:
                raise
            ours = isinstance(error, MobStoreError)
            work.job.error = error if ours else self._connection.damaged(error)
        else:
            return work.question
        work.job.ended = True
        del self._works[work]
        if not self._writing:
            work.job.settle()
        return None

    def _perform(self, work: _Work) -> Asking:
        """Run one script to its end, and make its writes."""
        job = work.job
        script = cast("Script[Any]", self._one_by_one(job) if job.loading else job.make())
        commit: Commit[Any] = yield from script
        yield ()  # a script that asks nothing is here before those ahead of it have written
        if job.loading:
            self._require_awaited(job)
        elif not job.settled:
            self._writes += commit.writes
        if not job.settled:
            work.writing = True
            for write in commit.writes:
                yield from self._rows.write(write, careful=job.careful)
        job.outcome = commit.result

    def _one_by_one(self, job: Job[Any]) -> Asking:
        """A loading script as one that only asks, one thing after the other."""
        script = cast("LoadingScript[Any]", job.make())
        self._loaded = True
        try:
            asked = next(script)
            while True:
                answers: list[Any] = []
                for one in asked:
                    self._require_awaited(job)
                    if isinstance(one, (Get, Scan, Count)):
                        answers += yield (one,)
                    else:
                        answers.append((yield from self._rows.write(one, careful=job.careful)))
                # It must not run ahead of the browser, or all it brings would wait in memory.
                yield (Count(Scan(COUNTERS)),)
                asked = script.send(tuple(answers))
        except StopIteration as end:
            return end.value
        finally:
            script.close()

    def _require_awaited(self, job: Job[Any]) -> None:
        """Undo the transaction of a loading script if no task waits for it any more."""
        if job.settled:
            raise asyncio.CancelledError

    def _on_complete(self, _: JsValue) -> None:
        self._lane.left_by(self)
        for job in self._jobs:
            if not job.ended:
                job.error = InternalError("a transaction ended before its script did")
        try:
            if self._lane.committed is not None and self._wrote:
                self._lane.committed(None if self._loaded else self._writes)
        finally:
            self._end(self._jobs)

    def _on_abort(self, _: JsValue) -> None:
        self._lane.left_by(self)
        jobs = [job for job in self._jobs if not job.settled]
        failure = self._failure or self._transaction.error
        clash = getattr(failure, "name", None) == "ConstraintError"
        if len(self._jobs) > 1 or (clash and not any(job.careful for job in jobs)):
            # One may be guilty of what undid them all: it alone shall fail.
            for job in reversed(jobs):
                job.alone, job.careful = True, job.careful or clash
                job.ended, job.error = False, None
                self._lane.queue.appendleft(job)
            jobs = []
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
        self._lane.ended(self)
        for job in jobs:
            job.settle()
