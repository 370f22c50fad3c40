"""The writer of one event loop: group commit, and the outcome of every commit.

All scripts that wait share the next transaction (`transaction.py`). A script that raises has
written nothing, so it fails alone. If the server rejects a transaction, its scripts run one by one,
so that only the failing one raises.

Each writer has a row in the table `writers`. The *fence*, the last write of a transaction, sets it
to the number of the batch, on condition that it has the writer's epoch. If the connection is lost
during a commit, the writer connects again and raises the epoch. That waits for the old transaction
to end, and one that comes later cannot commit. Then the number shows whether the batch was
committed: its tasks get their results, or it runs again. The outcome stays unknown only if the
server cannot be asked for `timeout` seconds.

If this process is stopped within a transaction, the server ends the transaction after three
seconds, and the batch runs again later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Any
from uuid import uuid4

from mobstore.engines.postgres.connections import Server
from mobstore.engines.postgres.driver_errors import (
    LASTING,
    RETRY,
    LostError,
    ServerError,
    translate,
)
from mobstore.engines.postgres.jobs import Job, fail_all, waited_for
from mobstore.engines.postgres.layout import WRITERS
from mobstore.engines.postgres.locks import Locks
from mobstore.engines.postgres.transaction import (
    FencedError,
    NotFreeError,
    RejectedError,
    Transaction,
    settings_of,
)
from mobstore.engines.postgres.values import scalar
from mobstore.engines.postgres.wire import Statement, Wire
from mobstore.errors import MobStoreError, WriteFailedError
from mobstore.scripts.transaction import Write

_MOST_PER_COMMIT = 1024
_ATTEMPTS = 4  # to get later locks; then the whole store is locked
_IDLE = (3, 12, 60)  # seconds that the server waits for this process, in each attempt
_ENDED_WHEN_IDLE = "25P03"
_AGAIN = RETRY | {"25006"}
"""States that pass: conflicts, and a server that became a standby."""
_CLASHES = 5  # after which a key in use is taken for no conflict, with serializable isolation
_NOT_REPLICATED = "01000"  # the warning of a COMMIT that no longer waits for a standby
_PAUSE = 0.02  # seconds between attempts
_LEAVING = 2.0  # seconds to remove the row of a writer
_SWEEP = "1 hour"  # rows of writers that did not leave


class Writer:
    """Runs the writing scripts of one event loop on one connection.

    Attributes:
        name: of its row.
        unsettled: whether a commit of an unknown outcome may happen without `committed` being
            called.
    """

    def __init__(
        self,
        server: Server,
        committed: Callable[[Sequence[Write] | None], None],
        announcement: Statement,
        name: str | None = None,
    ) -> None:
        """Start without a connection.

        Args:
            server: the server.
            committed: is called after each commit, with its writes, or None if they are not known.
            announcement: notifies other processes of a commit.
            name: of a writer whose event loop has ended, and whose row this one takes over.
        """
        self._server = server
        self._committed, self._announcement = committed, announcement
        self._queue: deque[Job[Any]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._wire: Wire | None = None
        self.name: str = name or str(uuid4())
        self.unsettled: bool = name is not None
        self._epoch = 0  # of the writer's row; 0: it has none
        self._batch = 0  # the number of the latest batch
        self._in_doubt = False  # whether it may have been committed
        table = server.sql.table(WRITERS)
        self._fence = (
            f'WITH done AS (UPDATE {table} SET "batch" = $1::bigint, "used" = clock_timestamp()'
            ' WHERE "writer" = $2::text AND "epoch" = $3::bigint RETURNING 1)'
            " SELECT 1 / count(*) FROM done"
        )
        self._sweep = (
            f'DELETE FROM {table} WHERE "writer" IN (SELECT "writer" FROM {table}'
            f" WHERE \"used\" < clock_timestamp() - interval '{_SWEEP}' FOR UPDATE SKIP LOCKED)"
        )
        self._claim = (
            f'INSERT INTO {table} AS w ("writer", "epoch", "batch", "used")'
            f" SELECT $1::text, 1, 0, clock_timestamp() WHERE {server.guard}"
            ' ON CONFLICT ("writer") DO UPDATE'
            ' SET "epoch" = w."epoch" + 1, "used" = excluded."used" RETURNING "epoch", "batch"'
        )
        # One row counts for all that have left: a writer may come, commit and leave between two
        # polls of another process.
        self._leave = (
            f'WITH gone AS (DELETE FROM {table} WHERE "writer" = $1::text RETURNING "batch")'
            f' INSERT INTO {table} AS w ("writer", "epoch", "batch", "used")'
            ' SELECT \'\', 1, "batch", clock_timestamp() FROM gone ON CONFLICT ("writer") DO UPDATE'
            ' SET "batch" = w."batch" + excluded."batch", "used" = excluded."used"'
        )

    def submit(self, job: Job[Any]) -> None:
        """Queue a job for the next transaction."""
        self._queue.append(job)
        if self._task is None:
            self._start()

    async def finish(self) -> None:
        """Wait until no job is left, and close the connection."""
        while self._task is not None:
            await asyncio.wait([self._task])
        if self._wire is not None and self._wire.open:
            with suppress(ServerError, LostError):
                await self._wire.ask([Statement(self._leave, (scalar(self.name),))], _LEAVING)
        self.abandon()

    def abandon(self) -> None:
        """Close the connection at once; a commit that was sent may still happen."""
        self.unsettled = self.unsettled or self._in_doubt
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        # In a context of its own: a task keeps the variables of the one that made it.
        self._task = loop.create_task(self._work(), context=Context())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Go on with jobs after a task that was cancelled before its first step."""
        if self._task is task:
            self._task = None
            if waited_for(self._queue):
                self._start()

    async def _work(self) -> None:
        jobs: list[Job[Any]] = []
        try:
            while self._queue:
                jobs = self._take()
                await self._run(jobs)
                for job in jobs:
                    job.deliver()
        except asyncio.CancelledError:  # with all other tasks, mostly as the event loop ends
            self.abandon()
            for job in jobs:
                job.future.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - raised to the tasks, which wait for it
            self.abandon()
            fail_all(jobs, error)
            for job in jobs:
                job.deliver()
        finally:
            self._task = None
            if waited_for(self._queue):  # as by tasks that write once they are cancelled
                self._start()

    def _take(self) -> list[Job[Any]]:
        """Take the jobs of the next transaction from the queue; a loading script runs alone."""
        jobs: list[Job[Any]] = []
        while self._queue and len(jobs) < _MOST_PER_COMMIT:
            if jobs and self._queue[0].loading:
                break
            job = self._queue.popleft()
            jobs.append(job)
            if job.loading:
                break
        return jobs

    async def _run(self, jobs: Sequence[Job[Any]]) -> None:
        """Run jobs in one transaction; if the server rejects it, run each in its own."""
        jobs = [job for job in jobs if not job.future.done()]  # a task may have been cancelled
        try:
            if jobs:
                await self._run_until_known(jobs)
        except RejectedError as rejected:
            if len(jobs) == 1:
                fail_all(jobs, rejected.error)
            else:
                await self._run_one_by_one(jobs)
        except MobStoreError as error:
            for job in jobs:  # what a script raised may rest on writes of others that are lost
                job.error = None
            fail_all(jobs, error)

    async def _run_one_by_one(self, jobs: Sequence[Job[Any]]) -> None:
        for job in jobs:  # what a script raised may rest on writes of others that were rejected
            job.error = None
        for place, job in enumerate(jobs):
            await self._run([job])
            if self._wire is None:  # the server is gone, and the others would wait as long
                gone = LostError("the last attempt failed")
                left = [one for one in jobs[place + 1 :] if not one.future.done()]
                fail_all(left, translate(gone, self._server.where, WriteFailedError))
                break

    async def _run_until_known(self, jobs: Sequence[Job[Any]]) -> None:
        """Run jobs in a transaction, and again as long as it fails without their fault.

        Raises:
            RejectedError: the server rejects what a script writes.
            MobStoreError: the server cannot be used; nothing was written unless `maybe_written`.
        """
        server = self._server
        locks = Locks(server.options.schema)
        if jobs[0].loading:
            locks.take_whole()
        attempts = stopped = clashes = 0
        late = False
        deadline: float | None = None  # set by the first failure
        self._in_doubt = False
        while True:
            try:
                await self._attempt(jobs, locks, _IDLE[min(stopped, len(_IDLE) - 1)])
            except NotFreeError:
                attempts += 1
                if attempts == _ATTEMPTS:
                    locks.take_whole()
                continue
            except RejectedError as rejected:
                clashes += 1
                if not rejected.clash or clashes > _CLASHES:
                    raise
                continue
            except FencedError:
                failure = LostError("the writer was fenced off")
                self.abandon()  # another connection checks the store
            except ServerError as error:
                if error.sqlstate not in _AGAIN:
                    raise translate(error, server.where, WriteFailedError) from error
                failure = LostError(str(error), error.sqlstate)
                if error.sqlstate not in RETRY:
                    self.abandon()
            except LostError as error:
                failure = error
                self.abandon()
                stopped += error.sqlstate == _ENDED_WHEN_IDLE
            except MobStoreError as error:
                if self._in_doubt:  # the store cannot be asked
                    raise self._given_up(LostError(error.detail)) from error
                raise
            else:
                return
            deadline = deadline or monotonic() + server.patience
            lasting = failure.sqlstate in LASTING and not self._in_doubt
            if lasting or late:
                raise self._given_up(failure) from failure
            # Once more after the deadline: perhaps only this process was busy all the time.
            late = monotonic() > deadline
            await asyncio.sleep(_PAUSE)

    async def _attempt(self, jobs: Sequence[Job[Any]], locks: Locks, idle: int) -> None:
        """Run jobs in a transaction, unless their last one turns out to be committed.

        Raises:
            LostError: the connection is lost; the outcome is in doubt once the commit was sent.
            Exception: any other error of a transaction; nothing was written.
        """
        wire = await self._connected()
        if self._in_doubt:  # and found to be committed
            self._in_doubt = False
            self._committed(None)
        else:
            transaction = Transaction(self._server, wire, locks, idle)
            try:
                writes = await transaction.run(
                    jobs, self._next_fence(), self._announcement, self._committing
                )
            except BaseException:  # cancelled, perhaps
                self._in_doubt = self._in_doubt and not wire.open  # open: the server has answered
                raise
            self._in_doubt = False
            if writes is None or writes:
                self._committed(writes)
        if _NOT_REPLICATED in wire.warnings and self._server.options.durability == "full":
            unsafe = WriteFailedError(
                f"{self._server.where}: the commit is on this server, but its wait for a standby"
                " was cancelled; read before you write again",
                maybe_written=True,
            )
            fail_all(jobs, unsafe)  # except those whose script failed, which wrote nothing

    def _next_fence(self) -> Statement:
        self._batch += 1
        return Statement(self._fence, (scalar(self._batch), scalar(self.name), scalar(self._epoch)))

    def _committing(self) -> None:
        self._in_doubt = True

    async def _connected(self) -> Wire:
        """Return the connection; a new one settles the last batch, and may clear `_in_doubt`.

        Raises:
            LostError: there is no connection.
            MobStoreError: the store was removed, or the outcome of the last batch is unknown.
        """
        if self._wire is not None and self._wire.open:
            return self._wire
        server = self._server
        wire = await server.connect(WriteFailedError)
        try:
            results = await wire.exchange(
                [
                    Statement("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"),
                    *wire.after_begin,
                    settings_of(server.options.durability, server.patience, _IDLE[0]),
                    Statement(self._sweep),
                    Statement(self._claim, (scalar(self.name),)),
                    Statement("COMMIT"),
                ],
                server.silence,
            )
        except ServerError as error:
            wire.close()
            raise LostError(str(error), error.sqlstate) from None
        except BaseException:
            wire.close()
            raise
        epoch, batch = (int(results[-2].get_value(0, column) or 0) for column in (0, 1))
        if self._epoch == 0:  # the row may be that of an earlier writer
            self._batch = batch
        known, self._epoch, self._wire = self._epoch == 0 or epoch > 1, epoch, wire
        if self.unsettled:  # now it has happened, or cannot any more
            self.unsettled = False
            self._committed(None)
        if self._in_doubt and not known:  # the row is a new one
            raise self._given_up(LostError("the server lost the record of this writer"))
        self._in_doubt = self._in_doubt and batch == self._batch
        return wire

    def _given_up(self, failure: LostError) -> MobStoreError:
        """Return the error of jobs that cannot be run, or are in doubt."""
        where = self._server.where
        if not self._in_doubt:
            return translate(failure, where, WriteFailedError)
        self._in_doubt, self.unsettled = False, True
        return WriteFailedError(
            f"{where}: the connection was lost during a commit, and the server did not tell within"
            f" {self._server.patience:g} seconds whether it happened: {failure}; read before you"
            " write again",
            maybe_written=True,
        )
