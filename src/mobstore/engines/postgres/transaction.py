"""One attempt to run scripts in one transaction.

    BEGIN, settings, the locks, the first reads of all scripts     one round trip
    further reads, with further locks                              one each, if scripts ask again
    the writes, the fence, COMMIT                                  one round trip

NOTIFY follows in a transaction of its own. Within the batch's it would take a lock of the whole
database through the flush, which makes 16 writers 2.6 times slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeAlias, cast

from mobstore.engines.postgres.connections import Server
from mobstore.engines.postgres.driver_errors import (
    DIVISION_BY_ZERO,
    UNIQUE_VIOLATION,
    ServerError,
    translate,
)
from mobstore.engines.postgres.jobs import ODD_VALUE, Job, load_alone, odd_value, run_together
from mobstore.engines.postgres.locks import Lock, Locks
from mobstore.engines.postgres.merging import DeleteKeys, merge
from mobstore.engines.postgres.reads import Questions, name_of
from mobstore.engines.postgres.sql import key_constraint
from mobstore.engines.postgres.values import array, scalar
from mobstore.engines.postgres.wire import LONGEST, Result, Statement, Wire
from mobstore.errors import MobStoreError, WriteFailedError
from mobstore.scripts.tables import Table
from mobstore.scripts.transaction import (
    Add,
    Delete,
    DeleteRange,
    Durability,
    Put,
    Read,
    Write,
    key_in_use,
)

_OF_ONE_SCRIPT = ("21", "22", "23", "42501", "54", "XX")
"""Errors that one script may cause, by the start of their code; others concern all alike."""

_BEGIN = {
    "read committed": Statement("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"),
    "serializable": Statement("BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"),
}
_COMMIT, ROLLBACK = Statement("COMMIT"), Statement("ROLLBACK")
_SYNCHRONOUS = {
    "full": (
        "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'"
        " ELSE current_setting('synchronous_commit') END"
    ),
    "normal": "'off'",
}
_WAIT_FOR_ALL = "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k"
_TRY_ALL = "SELECT 1 / bool_and(pg_try_advisory_xact_lock(k))::int FROM unnest($1::bigint[]) AS k"

_Asked: TypeAlias = Sequence[Read | Write]
_Running: TypeAlias = Generator[_Asked, Any, Sequence[Write] | None]


@lru_cache(16)
def settings_of(durability: Durability, patience: float, idle: int) -> Statement:
    """Return the statement that makes settings of the role irrelevant to a transaction.

    A commit that no longer waits for a standby says so by a warning.

    Args:
        durability: of the store.
        patience: seconds to wait for locks.
        idle: seconds that the server waits for this process before it ends the transaction.
    """
    return Statement(
        "SELECT set_config('lock_timeout', $1::text, true),"
        " set_config('idle_in_transaction_session_timeout', $2::text, true),"
        " set_config('client_min_messages', 'warning', true),"
        f" set_config('synchronous_commit', {_SYNCHRONOUS[durability]}, true)",
        (scalar(f"{math.ceil(patience)}s"), scalar(f"{idle}s")),
    )


class NotFreeError(Exception):
    """A lock that is needed later is not free; the transaction was rolled back."""


class FencedError(Exception):
    """The writer's row has another epoch or is gone; the transaction was rolled back."""


class RejectedError(Exception):
    """The server rejects what a script writes; the transaction was rolled back.

    Attributes:
        error: for the caller.
        clash: whether a key is in use, perhaps because of a conflict with another transaction.
    """

    def __init__(self, error: MobStoreError, *, clash: bool = False) -> None:
        super().__init__()
        self.error: MobStoreError = error
        self.clash: bool = clash


class Transaction:
    """A transaction that begins with its first exchange."""

    def __init__(self, server: Server, wire: Wire, locks: Locks, idle: int) -> None:
        """Prepare a transaction.

        Args:
            server: the server.
            wire: the connection; no transaction is open.
            locks: those that it is known to need; extended by those that it turns out to need.
            idle: seconds that the server waits for this process before it ends the transaction.
        """
        self._server, self._sql, self._wire = server, server.sql, wire
        self._locks, self._idle = locks, idle
        self._isolation = server.isolation
        self._begun = False
        self._trying = False  # whether the current exchange begins by trying locks
        self._adds: list[Add[Any]] = []  # in the latest exchange
        self._removes_range = False

    async def run(
        self,
        jobs: Sequence[Job[Any]],
        fence: Statement,
        announcement: Statement,
        committing: Callable[[], None],
    ) -> Sequence[Write] | None:
        """Run jobs, and commit what they write; their results and errors are in the jobs.

        Args:
            jobs: one loading script, or scripts that do not load.
            fence: fails unless the writer may commit.
            announcement: follows the commit.
            committing: is called when the outcome begins to depend on the connection.

        Returns:
            What was committed; None if that is not known.

        Raises:
            NotFreeError: begin again; the locks are extended.
            FencedError: begin again with a new epoch.
            RejectedError: what a script reads or writes cannot be sent, or the server rejects it.
            ServerError: another error of the server; the transaction was rolled back.
            LostError: the connection is lost; nothing was committed unless `committing` was called.
        """
        try:
            return await self._run(jobs, fence, announcement, committing)
        except MobStoreError:
            raise
        except ODD_VALUE as error:
            if self._begun:
                self._wire.post(ROLLBACK)
            raise RejectedError(odd_value(error)) from error

    async def _run(
        self,
        jobs: Sequence[Job[Any]],
        fence: Statement,
        announcement: Statement,
        committing: Callable[[], None],
    ) -> Sequence[Write] | None:
        loading = jobs[0].loading
        writes = await self._writes(load_alone(jobs[0]) if loading else run_together(jobs))
        if writes is None or not (writes or loading):
            if self._begun and writes is not None and self._isolation == "serializable":
                await self._exchange([_COMMIT])  # only then is valid what was read
            elif self._begun:
                self._wire.post(ROLLBACK)
            return ()
        statements = [*self._prelude(writes), *self._written(writes), fence, _COMMIT]
        committing()
        await self._exchange(statements, then=announcement)
        return None if loading else writes

    async def _writes(self, running: _Running) -> Sequence[Write] | None:
        """Run scripts to their end, and return what they write."""
        try:
            asked = next(running)
            while True:
                asked = running.send(await self._answers(asked))
        except StopIteration as end:
            return cast("Sequence[Write] | None", end.value)
        finally:
            running.close()

    async def _answers(self, asked: _Asked) -> list[Any]:
        """Answer reads, and make the writes of a loading script, in order."""
        statements = self._prelude(asked)
        groups: list[tuple[list[Read | Write], int, Questions | None]] = []
        for writing, group in groupby(asked, _is_write):
            members = list(group)
            questions = None if writing else Questions(self._sql, cast("list[Read]", members))
            groups.append((members, len(statements), questions))
            if questions is None:
                statements += self._written(cast("list[Write]", members))
            else:
                statements += questions.statements
        results = await self._exchange(statements)
        answers: list[Any] = []
        for members, start, questions in groups:
            if questions is None:
                answers += [None] * len(members)
            else:
                found = questions.answers(results[start : start + len(questions.statements)])
                answers += [found[name_of(cast("Read", read))] for read in members]
        return answers

    def _prelude(self, asked: _Asked) -> list[Statement]:
        """Return the statements that begin the transaction, or take the locks it needs further."""
        locks = self._locks
        locking = self._isolation == "read committed"
        missing = locks.add(asked) if locking else set[Lock]()
        if self._begun:
            self._trying = bool(missing)
            return [_locking(_TRY_ALL, map(locks.number, missing))] if missing else []
        self._begun = True
        settings = settings_of(self._server.options.durability, self._server.patience, self._idle)
        if locking:
            lock = f", pg_advisory_xact_lock{'' if locks.whole else '_shared'}($3::bigint)"
            settings = Statement(settings.sql + lock, (*settings.values, scalar(locks.store)))
        others = locks.others()
        return [
            _BEGIN[self._isolation],
            *self._wire.after_begin,
            settings,
            *([_locking(_WAIT_FOR_ALL, others)] if locking and others else ()),
        ]

    def _written(self, writes: Sequence[Write]) -> list[Statement]:
        """Return the statements that make writes."""
        sql, statements = self._sql, list[Statement]()
        self._adds = []
        for write in merge(writes):
            if isinstance(write, DeleteRange):
                statements.append(sql.delete_range(write))
                self._removes_range = True
            elif isinstance(write, DeleteKeys):
                statements.append(sql.delete(write.table, write.keys))
            else:
                statements += sql.write(write)
                if isinstance(write, Add):
                    self._adds.append(write)
        return statements

    async def _exchange(
        self, statements: list[Statement], then: Statement | None = None
    ) -> list[Result]:
        """Exchange statements within the transaction; roll it back if one fails."""
        server = self._server
        try:
            if self._locks.whole or self._removes_range:
                return await self._wire.exchange(statements, server.silence, then, longest=LONGEST)
            return await self._wire.exchange(statements, server.silence, then)
        except ServerError as error:
            self._wire.post(ROLLBACK)
            if error.sqlstate == DIVISION_BY_ZERO:
                if self._trying and error.place == 0:
                    raise NotFreeError from None
                raise FencedError from None
            if not error.sqlstate.startswith(_OF_ONE_SCRIPT):
                raise
            if error.sqlstate == UNIQUE_VIOLATION:
                # PostgreSQL may report a conflict of serializable transactions so.
                clash = self._isolation == "serializable"
                raise RejectedError(self._key_in_use(error), clash=clash) from error
            translated = translate(error, server.where, WriteFailedError)
            translated.__cause__ = error
            raise RejectedError(translated) from error

    def _key_in_use(self, error: ServerError) -> MobStoreError:
        """Return the error for a row to add whose key is in use."""
        for add in self._adds:
            table: Table[Any] = add.table
            if key_constraint(table) == error.constraint:
                for key in map(table.getter(table.key), add.rows):
                    if ", ".join(map(str, key)) == error.key:
                        return key_in_use(table, key)
        return WriteFailedError(
            f"{self._server.where}: a row to add exists already; nothing was written"
        )


def _is_write(one: Read | Write) -> bool:
    return isinstance(one, (Add, Put, Delete, DeleteRange))


def _locking(sql: str, numbers: Iterable[int]) -> Statement:
    return Statement(sql, (array(int, list(numbers)),))
