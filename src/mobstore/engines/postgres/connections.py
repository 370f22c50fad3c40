"""Connections to the server of a store: opened, checked, and opened again after a loss."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mobstore.engines.postgres import layout
from mobstore.engines.postgres.driver_errors import (
    WRONG_SETTING,
    Kind,
    LostError,
    ServerError,
    wrong_conninfo,
)
from mobstore.engines.postgres.layout import ServerFacts
from mobstore.engines.postgres.sql import Sql
from mobstore.engines.postgres.values import scalar
from mobstore.engines.postgres.wire import Statement, Wire
from mobstore.errors import (
    MobStoreError,
    UsageError,
)
from mobstore.scripts.transaction import Durability, Isolation

_LEAST: Final = 1.0  # seconds of patience, because a new connection takes some time


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
        self.options: Options = options
        self.sql: Sql = Sql(options.schema)
        self._parameters = _parameters(options)
        self.where: str = self._where(self._parameters)
        self.facts: ServerFacts | None = None
        self.pooled: bool = False
        self.guard: str = ""
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

    async def connect(self, kind: Kind) -> Wire:
        """Connect again, and check that the store is still the one that was opened.

        Raises:
            LostError: there is no connection, or the server rejects the questions.
            MobStoreError: of this kind: the store was removed, or cannot be on this server.
        """
        wire: Wire | None = None
        try:
            wire = await self.connect_first()
            marker = await self.read_marker(wire)
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

    def found(self, marker: str, isolation: Isolation) -> None:
        """Record the store that was opened: the OID of its table `mobstore`, and its isolation."""
        self._marker, self.isolation = marker, isolation
        self.guard = layout.guard(self.sql, marker)
        self.sql = Sql(self.options.schema, self.guard, self.sql.clock)

    async def connect_first(self) -> Wire:
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
            facts = layout.facts_of((await wire.ask([layout.FACTS], self.silence))[0])
            layout.check_server(facts, self.where)
            self.pooled = facts.process != process  # a pooler announces a process of its own
            if not self.pooled:
                await wire.keep_session(self.silence)
        except BaseException:
            wire.close()
            raise
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
            wire = await self.connect_first()
            value = await self.value(wire, Statement(_WORKS, (scalar(process),)))
        except (LostError, ServerError, MobStoreError):
            return False
        finally:
            if wire is not None:
                wire.close()
        return value == "t"

    async def _psycopg_connection(self) -> psycopg.AsyncConnection[Any]:
        failure: LostError | UsageError | asyncio.CancelledError
        try:
            async with asyncio.timeout(self._longest_connecting):
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
            state = getattr(error, "sqlstate", None) or _state_of(error)
            failure = LostError(_reason(error), state)
        except asyncio.CancelledError:
            failure = asyncio.CancelledError()  # the traceback of the other keeps the socket open
        raise failure  # not above, where psycopg's error would be its context

    @property
    def _longest_connecting(self) -> float:
        """Seconds to make a connection: for names to be resolved, and for each host to answer."""
        hosts = str(self._parameters.get("host") or self._parameters.get("hostaddr") or "")
        one = self._parameters["connect_timeout"]
        each = float(one) if str(one).isdigit() else self.patience
        return self.patience + (hosts.count(",") + 1) * each

    def _where(self, parameters: Mapping[str, object]) -> str:
        """Return the store for messages, from the parameters of a connection."""
        options, defaults = self.options, _defaults()
        if (service := parameters.get("service")) and "host" not in parameters:
            return f"service {service}, schema {options.schema}"
        host = str(parameters.get("host") or parameters.get("hostaddr") or defaults.get("host"))
        port = parameters.get("port") or defaults.get("port")
        address = host if host.startswith("/") or "," in host else f"{host}:{port}"
        database = parameters.get("dbname") or defaults.get("dbname") or "(default database)"
        return f"{address}/{database}, schema {options.schema}"

    async def read_marker(self, wire: Wire) -> str:
        """Return the OID of the store's table `mobstore`, or "" if there is none."""
        name = scalar(self.sql.table(layout.MARKER))
        return await self.value(wire, Statement("SELECT to_regclass($1::text)::oid::text", (name,)))

    async def value(self, wire: Wire, statement: Statement) -> str:
        """Return the only value that a statement finds, or "" for null."""
        results = await wire.ask([statement], self.silence)
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


def _defaults() -> dict[str, str]:
    """Return libpq's defaults, also those of environment variables; the host has no other."""
    values = {one.keyword.decode(): one.val for one in pq.Conninfo.get_defaults()}
    return {"host": "localhost"} | {k: v.decode() for k, v in values.items() if v is not None}


def _state_of(error: BaseException) -> str:
    """Return the SQLSTATE of a failed connection, which libpq reports in words only."""
    for words, state in _WORDS.items():
        if re.search(words, str(error)):
            return state
    connection = getattr(error, "pgconn", None)
    if connection is not None and connection.needs_password:
        return "28P01"  # in whatever language
    return ""


_WORDS = {
    "password authentication failed|no password supplied": "28P01",
    "no pg_hba.conf entry|conf rejects|not permitted to log in|role .* does not exist": "28000",
    "database .* does not exist": "3D000",
    "too many (connections|clients)|connection slots": "53300",
    "is starting up|is shutting down|in recovery mode|not (yet )?accepting": "57P03",
    "certificate|SSL was required|does not support SSL|invalid value|unrecognized": WRONG_SETTING,
    "(?<!not )in hot standby mode|session is read-only": "25006",
}
"""Words of English messages; in other languages the message itself is shown."""


def _reason(error: BaseException) -> str:
    """Return what failed, without the list of all hosts that psycopg adds."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    return reason.removeprefix("connection failed: ")[:500]
