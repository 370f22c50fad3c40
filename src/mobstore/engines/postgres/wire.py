"""Exchanges with the server: several statements and their results in one round trip.

This uses libpq's pipeline mode through psycopg's `pq` module; psycopg's cursors are half as fast.

* Every exchange ends with a Sync. A server that waits for more statements of a pipeline counts as
  active, so that `idle_in_transaction_session_timeout` would not end the transaction of a client
  that was stopped.
* An error of a statement skips the rest of its exchange.
* An exchange that is cancelled, or not answered in time, closes the connection. A statement may
  take longer, as long as the server says on another connection that it works on it.
* Statements are prepared at their first use, under names of our own. Poolers that pass a connection
  to others between transactions do not keep them, so there each use sends the whole statement.
* Through a pooler nothing is sent before the results of the last Sync have come. When PgBouncer
  1.18 receives the end of a transaction, it passes the connection on, even if it has already
  sent the first half of the next one there: the other half would reach another connection.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import accumulate, count
from typing import NamedTuple

import psycopg
from psycopg import pq

from mobstore.engines.postgres.driver_errors import LostError, ServerError, error_of
from mobstore.engines.postgres.values import Parameter

LONGEST = 3600.0  # seconds without an answer, even if the server seems to work
_LONG = 60.0  # the same for statements that need not be long

Result = pq.abc.PGresult
_numbers = count()  # a name is never used twice, not even after a failed exchange


class Statement(NamedTuple):
    """A statement with its parameters; its text is a constant, apart from the schema's name."""

    sql: str
    values: tuple[Parameter, ...] = ()


def _safe(local: str) -> Statement:
    """Return the statement that makes the server run its own functions, and hide no rows.

    A function or an operator of another user, with more fitting types than the catalog's, would be
    called in its place, with the rights of this role. A policy of row security would hide rows.

    Args:
        local: `true` for the transaction, `false` for the session.
    """
    return Statement(
        f"SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', {local}),"
        f" pg_catalog.set_config('row_security', 'off', {local})"
    )


_BEGIN, _COMMIT, _ROLLBACK = Statement("BEGIN"), Statement("COMMIT"), Statement("ROLLBACK")
_SAFE_SESSION, _SAFE_TRANSACTION = _safe("false"), _safe("true")


class Wire:
    """An open connection in pipeline mode. One task at a time uses it.

    Attributes:
        pooled: whether a pooler may change the server's connection between transactions.
        after_begin: what must follow each BEGIN.
        warnings: the SQLSTATEs of the warnings since `exchange` began.
        works: returns whether the server still works on the latest exchange.
    """

    def __init__(self, connection: psycopg.AsyncConnection[object], *, pooled: bool) -> None:
        self._connection = connection  # kept, because it closes the other when it is freed
        self._pgconn = connection.pgconn
        self.pooled: bool = pooled
        self.after_begin: tuple[Statement, ...] = (_SAFE_TRANSACTION,)
        self.warnings: list[str] = []
        self.works: Callable[[], Awaitable[bool]] | None = None
        self._prepared: dict[str, bytes] = {}
        self._longest = _LONG
        self._unread = 0  # exchanges whose results are dropped
        self._pgconn.notice_handler = self._note
        self._pgconn.enter_pipeline_mode()

    @property
    def open(self) -> bool:
        """True unless the connection was closed or is known to be lost."""
        return self._pgconn.status == pq.ConnStatus.OK

    def close(self) -> None:
        """Close the connection at once; the server rolls back an open transaction."""
        self._pgconn.finish()

    def post(self, statement: Statement) -> None:
        """Send a statement, and drop its result; if the connection is lost, do nothing."""
        if self.open:
            with suppress(LostError):
                self._send((statement,))
                self._unread += 1

    async def exchange(
        self,
        statements: Sequence[Statement],
        patience: float,
        then: Statement | None = None,
        *,
        longest: float = _LONG,
    ) -> list[Result]:
        """Send statements, and return the result of each.

        Args:
            statements: the statements; one transaction, unless one is open or begins or ends.
            patience: seconds without an answer after which the connection is closed, unless the
                server `works` on it.
            then: another statement to send; its result is dropped.
            longest: seconds without an answer, even if the server seems to work.

        Raises:
            ServerError: a statement failed; an open transaction accepts only ROLLBACK now.
            LostError: the connection was lost, and is closed.
        """
        self.warnings.clear()
        self._longest = longest
        try:
            if self.pooled:
                await self._drop_unread(patience)
            prepared = self._send(statements)
            if then is not None and not self.pooled:
                self._send((then,))
            await self._flush(patience)
            await self._drop_unread(patience)
            results = await self._receive(patience)
            if then is not None:
                if self.pooled:
                    self._send((then,))
                self._unread += 1
        except (psycopg.Error, OSError) as lost:
            self.close()
            raise LostError(_first_line(lost)) from None
        except BaseException:
            self.close()
            raise
        # A statement that is prepared has another result before its own.
        own = [n + before for n, before in enumerate(accumulate(prepared))]
        for place, result in enumerate(results):
            if result.status == pq.ExecStatus.FATAL_ERROR:
                for (sql, _), new in zip(statements, prepared, strict=True):
                    if new:  # perhaps it was not reached
                        self._prepared.pop(sql, None)
                error = error_of(result, bisect_left(own, place))
                if isinstance(error, LostError):
                    self.close()
                raise error
        return [results[place] for place in own]

    async def ask(self, statements: Sequence[Statement], patience: float) -> list[Result]:
        """Exchange statements outside a transaction. Raise the errors of `exchange`."""
        if not self.after_begin:
            return await self.exchange(statements, patience)
        before = [_BEGIN, *self.after_begin]
        try:
            results = await self.exchange([*before, *statements, _COMMIT], patience)
        except ServerError:
            self.post(_ROLLBACK)
            raise
        return results[len(before) : -1]

    async def keep_session(self, patience: float) -> None:
        """Make settings once for the session, which no pooler changes. Raise as `exchange`."""
        self.pooled = False
        await self.exchange([_SAFE_SESSION], patience)
        self.after_begin = ()

    async def listen(self, heard: Callable[[bytes], None], seconds: float) -> None:
        """Pass the payloads of notifications to a function for some time.

        Raises:
            LostError: the connection was lost, and is closed.
        """
        pgconn = self._pgconn
        try:
            async with asyncio.timeout(seconds):
                while True:
                    # Some may have come during an exchange.
                    while (notification := pgconn.notifies()) is not None:
                        heard(notification.extra)
                    await self._ready()
                    pgconn.consume_input()
        except TimeoutError:
            return
        except (psycopg.Error, OSError) as lost:
            self.close()
            raise LostError(_first_line(lost)) from None

    def _send(self, statements: Sequence[Statement]) -> list[bool]:
        """Queue statements and a Sync; return for each whether it is prepared before."""
        pgconn, prepared = self._pgconn, list[bool]()
        try:
            for sql, values in statements:
                contents = [value.content for value in values]
                formats = [value.binary for value in values]
                if self.pooled:
                    prepared.append(False)
                    pgconn.send_query_params(sql.encode(), contents, None, formats)
                    continue
                name = self._prepared.get(sql)
                prepared.append(name is None)
                if name is None:
                    name = self._prepared[sql] = b"m%d" % next(_numbers)
                    pgconn.send_prepare(name, sql.encode())
                pgconn.send_query_prepared(name, contents, formats)
            pgconn.pipeline_sync()
        except psycopg.Error as error:
            self.close()
            raise LostError(_first_line(error)) from None
        return prepared

    async def _drop_unread(self, patience: float) -> None:
        while self._unread:
            await self._receive(patience)
            self._unread -= 1

    async def _flush(self, patience: float) -> None:
        while self._pgconn.flush():
            # Results may fill the server's buffer before it has read everything.
            if await self._ready(patience, writing=True):
                self._pgconn.consume_input()

    async def _receive(self, patience: float) -> list[Result]:
        """Receive the results up to the next Sync.

        Raises:
            LostError: the connection was lost before.
        """
        pgconn = self._pgconn
        results: list[Result] = []
        while True:
            while pgconn.is_busy():
                await self._ready(patience)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:  # the end of one statement
                if not self.open:
                    raise OSError("the server closed the connection")
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            else:
                results.append(result)
                if result.status == pq.ExecStatus.FATAL_ERROR and not self.open:
                    return results

    async def _ready(self, patience: float | None = None, *, writing: bool = False) -> bool:
        """Wait until the socket can be read, or also written; return whether it can be read."""
        loop, socket, waited = asyncio.get_running_loop(), self._pgconn.socket, 0.0
        while True:
            ready: asyncio.Future[bool | None] = loop.create_future()
            timer = loop.call_later(patience, _set, ready, None) if patience is not None else None
            loop.add_reader(socket, _set, ready, True)
            if writing:
                loop.add_writer(socket, _set, ready, False)
            try:
                readable = await ready
            finally:
                loop.remove_reader(socket)
                if writing:
                    loop.remove_writer(socket)
                if timer is not None:
                    timer.cancel()
            if readable is not None:
                return readable
            waited += patience or 0
            if waited > self._longest or self.works is None or not await self.works():
                raise OSError(
                    f"no answer within {waited:g} seconds; perhaps another session has locked a"
                    " table"
                )

    def _note(self, notice: Result) -> None:
        if notice.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) == b"WARNING":
            code = notice.error_field(pq.DiagnosticField.SQLSTATE) or b""
            self.warnings.append(code.decode())


def _set(ready: asyncio.Future[bool | None], value: bool | None) -> None:  # noqa: FBT001
    if not ready.done():
        ready.set_result(value)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
