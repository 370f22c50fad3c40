"""The schema of a store: created once, checked when it is opened.

A store is a PostgreSQL schema. Beside the fifteen tables it holds `mobstore`, with the version of
the layout, and `writers`, by which a writer finds out whether its last commit happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

from mobstore.engines.postgres.locks import Locks
from mobstore.engines.postgres.sql import Sql
from mobstore.engines.postgres.values import scalar
from mobstore.engines.postgres.wire import Result, Statement
from mobstore.errors import ReadFailedError
from mobstore.scripts.tables import FORMAT, IDENTITY, META, TABLES

MARKER = "mobstore"
WRITERS = "writers"

_OLDEST = 140000
_KINDS = {str: "text", int: "bigint"}
_EXPECTED = {
    table.name: {
        column: _KINDS[kind] for column, kind in zip(table.columns, table.types, strict=True)
    }
    for table in TABLES
} | {
    MARKER: {"format": "integer"},
    WRITERS: {
        "writer": "text", "epoch": "bigint", "batch": "bigint", "used": "timestamp with time zone"
    },
}  # fmt: skip


class ServerFacts(NamedTuple):
    """Facts about a server.

    Attributes:
        version: such as 150018.
        encoding: the database's.
        standby: whether it only replays another server.
        process: the number of the server's process.
        lz4: whether values can be compressed by lz4.
    """

    version: int
    encoding: str
    standby: bool
    process: int
    lz4: bool


FACTS = Statement(
    "SELECT current_setting('server_version_num'), getdatabaseencoding(), pg_is_in_recovery(),"
    " pg_backend_pid(), EXISTS (SELECT FROM pg_catalog.pg_settings"
    " WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals))"
)


def facts_of(result: Result) -> ServerFacts:
    """Return the facts in the result of `FACTS`."""
    version, encoding, standby, process, lz4 = _row(result, 0)
    return ServerFacts(int(version), encoding, standby == "t", int(process), lz4 == "t")


def check_server(facts: ServerFacts, where: str) -> None:
    """Raise unless a store can be on this server.

    Raises:
        ReadFailedError: it is too old, or its encoding is not UTF8.
    """
    if facts.version < _OLDEST:
        version = f"{facts.version // 10000}"
        raise ReadFailedError(f"{where}: PostgreSQL {version} is too old; use 14 or newer")
    if facts.encoding != "UTF8":
        raise ReadFailedError(
            f"{where}: the encoding of the database is {facts.encoding}; create one with UTF8"
        )


def columns_of(schema: str) -> list[Statement]:
    """Return the statements that find the tables of a schema: whether it exists, and columns."""
    name = scalar(schema)
    return [
        Statement("SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1::text", (name,)),
        Statement(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull"
            " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            " AND NOT a.attisdropped WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p', 'v')",
            (name,),
        ),
    ]


class Found(NamedTuple):
    """The content of a schema.

    Attributes:
        exists: whether there is such a schema.
        store: whether it holds a store, perhaps of another format.
        foreign: whether it holds tables, and no store.
        fault: a table or column that differs from those of a store, or "".
    """

    exists: bool
    store: bool
    foreign: bool
    fault: str


def found(results: list[Result]) -> Found:
    """Return the content of a schema from the results of `columns_of`."""
    exists = results[0].ntuples > 0
    tables: dict[str, dict[str, str]] = {}
    for place in range(results[1].ntuples):
        table, column, kind, required = _row(results[1], place)
        tables.setdefault(table, {})[column] = kind if required == "t" else f"{kind} null"
    store = MARKER in tables and "format" in tables[MARKER]
    return Found(exists, store, bool(tables) and not store, "" if not store else _fault(tables))


def _fault(tables: dict[str, dict[str, str]]) -> str:
    for table, columns in _EXPECTED.items():
        if table not in tables:
            return f"table {table} is missing"
        for column in columns.keys() | tables[table].keys():
            if columns.get(column) != tables[table].get(column):
                return f"column {column} of table {table} is not the one that mobstore created"
    return ""


def creation_lock(schema: str) -> int:
    """Return the number of the lock under which a store is created."""
    return Locks(schema).number(("create", ""))


def create(sql: Sql, *, schema: bool, lz4: bool) -> Iterator[Statement]:
    """Yield the statements that create a store, and its schema if it does not exist."""
    if schema:
        yield Statement(f"CREATE SCHEMA {sql.schema}")
    for statement in sql.create(" COMPRESSION lz4" if lz4 else ""):
        yield Statement(statement)
    yield Statement(
        f"CREATE TABLE {sql.table(WRITERS)} ("
        '"writer" text NOT NULL PRIMARY KEY, "epoch" bigint NOT NULL, "batch" bigint NOT NULL,'
        ' "used" timestamptz NOT NULL)'
    )
    yield Statement(f'CREATE TABLE {sql.table(MARKER)} ("format" integer NOT NULL)')
    yield Statement(f'INSERT INTO {sql.table(MARKER)} ("format") VALUES ({FORMAT})')
    yield Statement(
        f'INSERT INTO {sql.table(META.name)} ("name", "value") VALUES ($1::text, $2::text)',
        (scalar(IDENTITY), scalar(str(uuid4()))),
    )


def read_format(sql: Sql) -> Statement:
    """Return the statement that reads the format of a store."""
    return Statement(f'SELECT max("format") FROM {sql.table(MARKER)}')


def _row(result: Result, place: int) -> list[str]:
    return [(result.get_value(place, n) or b"").decode() for n in range(result.nfields)]
