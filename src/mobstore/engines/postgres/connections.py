"""Connections to the server of a store: opened, checked, and opened again after a loss."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Final, TypeVar, cast, get_args

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mobstore.engines.postgres import layout
from mobstore.engines.postgres.driver_errors import (
    LASTING,
    Kind,
    LostError,
    ServerError,
    translate,
    wrong_conninfo,
)
from mobstore.engines.postgres.layout import ServerFacts
from mobstore.engines.postgres.sql import Sql
from mobstore.engines.postgres.values import scalar
from mobstore.engines.postgres.wire import Statement, Wire
from mobstore.errors import (
    MobStoreError,
    ReadFailedError,
    UsageError,
    WriteFailedError,
)
from mobstore.scripts.tables import FORMAT
from mobstore.scripts.transaction import Durability, Isolation

T = TypeVar("T")

_LEAST: Final = 1.0  # seconds of patience, because a new connection takes some time
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5  # seconds between attempts
_NOT_STARTED = "57P03"


@dataclass(frozen=True)
class Options:
    """The options of a store.

    Attributes:
        conninfo: the connection, as libpq accepts it; it may hold a password.
        schema: the name of the schema.
        durability: see `PostgresMobStores.open`.
        isolation: see `PostgresMobStores.open`.
        timeout: see `PostgresMobStores.open`.
        create: see `PostgresMobStores.open`.
        read_only: see `PostgresMobStores.open`.
    """

    conninfo: str = field(repr=False)
    schema: str
    durability: Durability
    isolation: Isolation | None
    timeout: float
    create: bool
    read_only: bool


class Server:
    """The server of one store.

    Attributes:
        sql: the store's statements.
        guard: a condition that fails, by a division by zero, in any other store of this name.
        options: the options of the store.
        where: the store in messages, without user and password.
        facts: the facts about the server of the latest connection.
        isolation: of the store, once it is open.
        pooled: whether a pooler is between this process and the server.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.sql = Sql(options.schema)
        self._parameters = _parameters(options)
        self.where = self._where(self._parameters)
        self.facts: ServerFacts | None = None
        self.pooled = False
        self.guard = ""
        self.isolation: Isolation = "read committed"
        self._marker = ""  # the OID of the store's table of that name

    @property
    def patience(self) -> float:
        """Seconds to wait for a connection, for locks, and until an outcome is known."""
        return max(self.options.timeout, _LEAST)

    @property
    def silence(self) -> float:
        """Seconds after which a server that neither answers nor works counts as lost."""
        return 2 * self.patience + 10  # two locks may be waited for

    async def open(self) -> Wire:
        """Connect for the first time; check or create the store.

        Raises:
            ReadFailedError: the server cannot be reached, is too old or not UTF8; the store is
                missing, foreign or of a newer format. Or it is a standby, and not `read_only`.
            WriteFailedError: the store cannot be created.
            UsageError: the connection's URL is wrong.
        """
        wire = await self.retrying(self._connect, ReadFailedError, known=False)
        try:
            if wire.pooled:
                await self._check_pooler(wire)
            await self._check_store(wire)
        except ServerError as error:
            wire.close()
            raise translate(error, self.where, ReadFailedError) from error
        except LostError as error:
            raise translate(error, self.where, ReadFailedError) from error
        except BaseException:
            wire.close()
            raise
        return wire

    async def connect(self, kind: Kind) -> Wire:
        """Connect again, and check that the store is still the one that was opened.

        Raises:
            LostError: there is no connection, or the server rejects the questions.
            MobStoreError: of this kind: the store was removed, or cannot be on this server.
        """
        wire: Wire | None = None
        try:
            wire = await self._connect()
            marker = await self._read_marker(wire)
        except BaseException as error:
            if wire is not None:
                wire.close()
            if isinstance(error, ServerError):  # such as a cancelled statement
                raise LostError(str(error), error.sqlstate) from None
            raise
        if marker != self._marker:
            wire.close()
            raise kind(
                f"{self.where} was removed while it was open, and perhaps created again; open it"
                " again"
            )
        return wire

    async def retrying(
        self,
        attempt: Callable[[], Awaitable[T]],
        kind: Kind,
        *,
        known: bool,
    ) -> T:
        """Repeat an attempt that loses its connection, for at most `patience` seconds.

        Args:
            attempt: raises `LostError` for a reason that may pass.
            kind: the kind of error to raise.
            known: whether the server is known to exist. Otherwise only one that starts is waited
                for, so that a wrong URL is noticed at once.

        Raises:
            MobStoreError: of this kind, when all attempts have failed.
        """
        deadline = monotonic() + self.patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return await attempt()
            except LostError as error:
                if (
                    error.sqlstate in LASTING
                    or not (known or error.sqlstate == _NOT_STARTED)
                    or monotonic() + pause > deadline
                ):
                    raise translate(error, self.where, kind) from error
            except ServerError as error:
                raise translate(error, self.where, kind) from error
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not for security
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _connect(self) -> Wire:
        """Connect, and learn about the server.

        Raises:
            LostError: there is no connection.
            MobStoreError: a store cannot be on this server.
        """
        connection = await self._psycopg_connection()
        info = connection.info
        self.where = self._where(
            {"host": info.host or info.hostaddr, "port": str(info.port), "dbname": info.dbname}
        )
        process = connection.pgconn.backend_pid
        wire = Wire(connection, pooled=True)
        try:
            facts = layout.facts_of((await wire.exchange([layout.FACTS], self.silence))[0])
            layout.check_server(facts, self.where)
        except BaseException:
            wire.close()
            raise
        # A pooler announces a process of its own.
        self.pooled = wire.pooled = facts.process != process
        self.facts = facts
        if facts.standby and not self.options.read_only:
            wire.close()
            raise LostError("the server is a standby", "25006")
        wire.works = partial(self._works, facts.process)
        return wire

    async def _works(self, process: int) -> bool:
        """Return whether a process of the server works, and does not wait for anything or anyone.

        Behind a pooler, the process that works is another one.
        """
        wire: Wire | None = None
        try:
            wire = await self._connect()
            value = await self._value(wire, Statement(_WORKS, (scalar(process),)))
        except (LostError, ServerError, MobStoreError):
            return False
        finally:
            if wire is not None:
                wire.close()
        return value == "t"

    async def _psycopg_connection(self) -> psycopg.AsyncConnection[Any]:
        failure: LostError | UsageError | asyncio.CancelledError
        try:
            async with asyncio.timeout(self.silence):
                return await psycopg.AsyncConnection.connect(
                    make_conninfo("", **self._parameters), autocommit=True
                )
        except TimeoutError:
            failure = LostError("no connection in time")
        except psycopg.errors.InterfaceError as error:
            failure = UsageError(
                f"psycopg cannot use this event loop: {error}; on Windows, use a selector loop"
            )
        except (psycopg.Error, OSError) as error:
            state = getattr(error, "sqlstate", None) or _state_in(str(error))
            failure = LostError(_reason(error), state)
        except asyncio.CancelledError:
            failure = asyncio.CancelledError()  # the traceback of the other keeps the socket open
        raise failure  # not above, where psycopg's error would be its context

    def _where(self, parameters: Mapping[str, object]) -> str:
        """Return the store for messages, from the parameters of a connection."""
        host, port = str(parameters.get("host") or "localhost"), parameters.get("port") or 5432
        address = host if host.startswith("/") or "," in host else f"{host}:{port}"
        database = parameters.get("dbname") or parameters.get("service") or "(default database)"
        return f"{address}/{database}, schema {self.options.schema}"

    async def _check_pooler(self, wire: Wire) -> None:
        """Raise unless a pooler keeps a connection to the server for a whole transaction.

        Raises:
            ReadFailedError: it does not.
        """
        try:
            for statement in ("BEGIN", "COMMIT"):
                await wire.exchange([Statement(statement)], self.silence)
        except (ServerError, LostError) as error:
            raise ReadFailedError(
                f"{self.where}: the pooler ended the connection within a transaction; its mode must"
                " be transaction or session pooling"
            ) from error

    async def _check_store(self, wire: Wire) -> None:
        """Check the store, or create it.

        Raises:
            MobStoreError: it is missing, foreign, damaged, or of a newer format.
        """
        options, sql = self.options, self.sql
        content = layout.content_of(options.schema)
        found = layout.found(await wire.exchange(content, self.silence))
        if found.foreign:
            raise ReadFailedError(
                f"{self.where} holds tables that are not mobstore's; use another schema"
            )
        if not found.store:
            if options.read_only or not options.create:
                raise ReadFailedError(f"{self.where}: there is no store; is the name right?")
            await self._create(wire)
            found = layout.found(await wire.exchange(content, self.silence))
        read_format, read_isolation = layout.read_marker(sql)
        version = await self._value(wire, read_format)
        if int(version or 0) > FORMAT:
            raise ReadFailedError(
                f"{self.where} has format {version}, and this version of mobstore reads up to"
                f" {FORMAT}; update mobstore"
            )
        if found.fault or int(version or 0) < 1:
            fault = found.fault or "its format is missing"
            raise ReadFailedError(f"{self.where} is damaged: {fault}; restore a backup")
        isolation = await self._value(wire, read_isolation)
        if isolation not in get_args(Isolation):
            raise ReadFailedError(
                f"{self.where} is damaged: its isolation is unknown; restore a backup"
            )
        self.isolation = cast("Isolation", isolation)
        if options.isolation not in {None, self.isolation}:
            raise UsageError(
                f"{self.where} was created with isolation={isolation!r}, which belongs to the store"
                " because the two kinds do not notice each other; leave isolation out"
            )
        self._marker = await self._read_marker(wire)
        self.guard = layout.guard(sql, self._marker)
        self.sql = Sql(options.schema, self.guard)

    async def _create(self, wire: Wire) -> None:
        """Create the store, unless another process has done so meanwhile.

        Raises:
            WriteFailedError: the role lacks a right.
            ReadFailedError: another program has created tables meanwhile.
        """
        lock = scalar(layout.creation_lock(self.options.schema))
        milliseconds = scalar(f"{math.ceil(self.patience * 1000)}ms")
        facts = self.facts
        assert facts is not None  # noqa: S101 - set by `_connect`
        try:
            results = await wire.exchange(
                [
                    Statement("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"),
                    Statement(
                        "SELECT set_config('lock_timeout', $1::text, true),"
                        " set_config('idle_in_transaction_session_timeout', $1::text, true)",
                        (milliseconds,),
                    ),
                    Statement("SELECT pg_advisory_xact_lock($1::bigint)", (lock,)),
                    *layout.content_of(self.options.schema),
                ],
                self.silence,
            )
            found = layout.found(results[3:])
            if found.foreign:
                raise ReadFailedError(
                    f"{self.where} holds tables that are not mobstore's; use another schema"
                )
            if not found.store:
                isolation = self.options.isolation or "read committed"
                create = layout.create(self.sql, isolation, schema=not found.exists, lz4=facts.lz4)
                await wire.exchange(list(create), self.silence)
            await wire.exchange([Statement("COMMIT")], self.silence)
        except ServerError as error:
            raise translate(error, self.where, WriteFailedError) from error

    async def _read_marker(self, wire: Wire) -> str:
        name = scalar(self.sql.table(layout.MARKER))
        return await self._value(
            wire, Statement("SELECT to_regclass($1::text)::oid::text", (name,))
        )

    async def _value(self, wire: Wire, statement: Statement) -> str:
        """Return the only value that a statement finds, or "" for null."""
        results = await wire.exchange([statement], self.silence)
        return (results[0].get_value(0, 0) or b"").decode()


def _parameters(options: Options) -> dict[str, str]:
    """Return the parameters of connections.

    Raises:
        UsageError: libpq cannot parse them.
    """
    parameters: dict[str, Any] | None = None
    with suppress(psycopg.Error):  # its message may quote a password
        parameters = conninfo_to_dict(
            options.conninfo, client_encoding="utf8", fallback_application_name="mobstore"
        )
    if parameters is None:
        raise wrong_conninfo()
    seconds = max(2, math.ceil(max(options.timeout, _LEAST)))
    return {"connect_timeout": str(seconds)} | _KEEPALIVE | parameters


_WORKS = (
    "SELECT count(*) > 0 FROM pg_catalog.pg_stat_activity WHERE pid = $1::int AND state = 'active'"
    " AND coalesce(wait_event_type, '') NOT IN ('Client', 'Lock')"
    " AND coalesce(wait_event, '') <> 'SyncRep'"
)
_KEEPALIVE = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""Seconds, and milliseconds, after which the system notices that a server's machine is gone."""


def _state_in(message: str) -> str:
    """Return the SQLSTATE of a failed connection, which libpq reports in words only."""
    return next((state for words, state in _WORDS.items() if re.search(words, message)), "")


_WORDS = {
    "password authentication failed|no password supplied": "28P01",
    "no pg_hba.conf entry|not permitted to log in|role .* does not exist": "28000",
    "database .* does not exist": "3D000",
    "too many (connections|clients)|connection slots": "53300",
    "is starting up|is shutting down|in recovery mode|not yet accepting": "57P03",
    "(?<!not )in hot standby mode|session is read-only": "25006",
}
"""Words of English messages; in other languages the message itself is shown."""


def _reason(error: BaseException) -> str:
    """Return what failed, without the list of all hosts that psycopg adds."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:500]
