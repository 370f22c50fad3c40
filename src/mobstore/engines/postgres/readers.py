"""The readers of one event loop: scripts that write nothing, on a few connections.

Scripts that wait are read together, in one round trip. A single read is one statement; several
share a snapshot: `BEGIN REPEATABLE READ READ ONLY`, the reads, `COMMIT`. A script with
more reads after its first starts anew, in a snapshot of its own that stays open until it ends.
Snapshots are short, because a long one slows down all updates of the counters.

With serializable isolation, readers are serializable transactions, too, also for a single read.
Otherwise one could see a commit, but not another one that precedes it and is still to come. What
they have read is valid when they have committed. A standby knows no such transactions.

If the connection is lost, or the server takes a snapshot back, the scripts read again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from time import monotonic
from typing import Any, TypeVar, cast

from mobstore.engines.postgres.connections import Server
from mobstore.engines.postgres.driver_errors import (
    DIVISION_BY_ZERO,
    LASTING,
    RETRY,
    LostError,
    ServerError,
    translate,
)
from mobstore.engines.postgres.jobs import ODD_VALUE, Job, fail_all, odd_value, waited_for
from mobstore.engines.postgres.reads import Answers, Questions, name_of
from mobstore.engines.postgres.wire import Statement, Wire
from mobstore.errors import ClosedError, MobStoreError, ReadFailedError
from mobstore.scripts.transaction import Commit, Read, Script

T = TypeVar("T")

_MOST_CONNECTIONS = 4
_MOST_TOGETHER = 16  # scripts in one snapshot
_PAUSE = 0.02  # seconds between attempts

_SNAPSHOT = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_SERIALIZABLE = Statement("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY")
# A stopped process must not keep its snapshot, or dead rows could not be removed.
_IDLE = Statement("SELECT set_config('idle_in_transaction_session_timeout', '60s', true)")
_COMMIT, _ROLLBACK = Statement("COMMIT"), Statement("ROLLBACK")


class _RejectedError(Exception):
    """The server rejects a read.

    Attributes:
        error: for the caller.
    """

    def __init__(self, error: MobStoreError) -> None:
        super().__init__()
        self.error = error


class Readers:
    """Runs the reading scripts of one event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._queue: deque[Job[Any]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: list[Wire] = []
        self._closing = False

    def submit(self, job: Job[Any]) -> None:
        """Queue a job for the next connection that is free."""
        self._queue.append(job)
        if len(self._tasks) < _MOST_CONNECTIONS:
            self._start()

    def _start(self) -> None:
        # In a context of its own: a task keeps the variables of the one that made it.
        task = asyncio.get_running_loop().create_task(self._work(), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Go on with jobs after a task that was cancelled before its first step."""
        self._tasks.discard(task)
        if not self._tasks and waited_for(self._queue):
            self._start()

    def adopt(self, wire: Wire) -> None:
        """Use an open connection."""
        self._idle.append(wire)

    async def finish(self, seconds: float) -> None:
        """Wait for reads, interrupt those that last longer, and close the connections."""
        if self._tasks:
            _, lasting = await asyncio.wait(self._tasks, timeout=seconds)
            self._closing = True
            for task in lasting:
                task.cancel()
            if lasting:
                await asyncio.wait(lasting)
        self.abandon()

    def abandon(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    async def _work(self) -> None:
        while self._queue:
            number = min(len(self._queue), _MOST_TOGETHER)
            jobs = [job for _ in range(number) if not (job := self._queue.popleft()).future.done()]
            try:
                await self._run(jobs)
            except asyncio.CancelledError:
                if self._closing:
                    for job in (*jobs, *self._queue):
                        job.error = ClosedError("the store was closed during the read")
                        job.deliver()
                    self._queue.clear()
                for job in jobs:  # with all other tasks, mostly as the event loop ends
                    job.future.cancel()
                raise
            except BaseException as error:  # noqa: BLE001 - raised to the tasks, which wait for it
                left = [job for job in jobs if not job.future.done()]
                fail_all(left, error)
                for job in left:
                    job.deliver()

    async def _run(self, jobs: Sequence[Job[Any]]) -> None:
        """Run jobs together, and those by themselves that ask again or that the server rejects."""
        alone = jobs
        with suppress(_RejectedError):
            alone = await self._retrying(partial(self._read_together, jobs))
            for job in jobs:
                if job not in alone:
                    job.deliver()
        for job in alone:
            try:
                await self._retrying(partial(self._read_alone, job))
            except _RejectedError as rejected:
                job.error = rejected.error
            job.deliver()

    async def _retrying(self, read: Callable[[Wire], Awaitable[T]]) -> T:
        """Read on any connection, and again if it is lost or the server takes a snapshot back.

        Raises:
            _RejectedError: the server rejects a read.
            ReadFailedError: the server cannot be used.
        """
        server = self._server
        deadline: float | None = None  # set by the first failure
        while True:
            wire: Wire | None = None
            try:
                wire = self._idle.pop() if self._idle else await server.connect(ReadFailedError)
                return await read(wire)
            except LostError as error:
                failure = error
                if wire is not None:
                    self.abandon()  # the others are probably lost, too
            except ServerError as error:
                if error.sqlstate == DIVISION_BY_ZERO and wire is not None:
                    wire.close()  # it is another store; a new connection finds out
                elif error.sqlstate not in RETRY:
                    translated = translate(error, server.where, ReadFailedError)
                    translated.__cause__ = error
                    raise _RejectedError(translated) from error
                failure = LostError(str(error), error.sqlstate)
            except MobStoreError:
                raise
            except ODD_VALUE as error:
                raise _RejectedError(odd_value(error)) from error
            finally:
                if wire is not None and wire.open:
                    self._idle.append(wire)
            if failure.sqlstate in LASTING or (deadline is not None and monotonic() > deadline):
                raise translate(failure, server.where, ReadFailedError) from failure
            deadline = deadline or monotonic() + server.patience
            await asyncio.sleep(_PAUSE)

    async def _read_together(self, jobs: Sequence[Job[Any]], wire: Wire) -> list[Job[Any]]:
        """Run jobs up to their second reads; return those that ask again."""
        begun: list[tuple[Job[Any], Script[Any], Sequence[Read]]] = []
        try:
            for job in jobs:
                job.error = None
                script = job.script()
                asked = _step(job, script, None)
                if asked is not None:
                    begun.append((job, script, asked))
            questions = Questions(
                self._server.sql, [read for _, _, asked in begun for read in asked]
            )
            answers = await self._ask(wire, questions)
            return [
                job
                for job, script, asked in begun
                if _step(job, script, [answers[name_of(read)] for read in asked]) is not None
            ]
        finally:
            for _, script, _ in begun:
                script.close()

    async def _ask(self, wire: Wire, questions: Questions) -> Answers:
        statements, silence, begin = questions.statements, self._server.silence, self._begin()
        if not statements or (len(statements) == 1 and begin is _SNAPSHOT):
            return questions.answers(await wire.ask(statements, silence))
        before = [begin, *wire.after_begin]
        try:
            results = await wire.exchange([*before, *statements, _COMMIT], silence)
        except ServerError:
            wire.post(_ROLLBACK)
            raise
        return questions.answers(results[len(before) : -1])

    async def _read_alone(self, job: Job[Any], wire: Wire) -> None:
        """Run a job in a snapshot that stays open until it ends."""
        script = job.script()
        job.error = None
        begin, open_ = [self._begin(), *wire.after_begin, _IDLE], True
        try:
            asked = _step(job, script, None)
            while asked is not None:
                questions = Questions(self._server.sql, asked)
                results = await wire.exchange([*begin, *questions.statements], self._server.silence)
                answers = questions.answers(results[len(begin) :])
                begin = []
                asked = _step(job, script, [answers[name_of(read)] for read in asked])
            if self._begin() is _SERIALIZABLE:
                await wire.exchange([_COMMIT], self._server.silence)
                open_ = False
        finally:
            script.close()
            if open_:
                wire.post(_ROLLBACK)

    def _begin(self) -> Statement:
        server = self._server
        serializable = server.isolation == "serializable"
        standby = server.facts is not None and server.facts.standby
        return _SERIALIZABLE if serializable and not standby else _SNAPSHOT


def _step(job: Job[Any], script: Script[Any], given: Sequence[Any] | None) -> Sequence[Read] | None:
    """Run a script to its next reads; None: it has ended, and its result or error is in the job."""
    try:
        return next(script) if given is None else script.send(tuple(given))
    except StopIteration as end:
        job.result = cast("Commit[Any]", end.value).result
    except BaseException as error:  # noqa: BLE001 - raised to the task
        job.fail(error)
    return None
