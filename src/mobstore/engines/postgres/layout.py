"""The schema of a store: created once, checked when it is opened.

A store is a PostgreSQL schema. Beside the nineteen tables it holds `mobstore`, with the version of
the layout and the isolation of the store, and `writers`, by which a writer finds out whether its
last commit happened. The isolation belongs to the store, because transactions that take locks and
transactions that PostgreSQL checks do not notice each other.
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
from mobstore.scripts.transaction import Isolation

MARKER = "mobstore"
WRITERS = "writers"

_OLDEST = 140000
_KINDS = {str: "text C", int: "bigint"}
_COLUMNS = {
    table.name: {
        column: _KINDS[kind] for column, kind in zip(table.columns, table.types, strict=True)
    }
    for table in TABLES
} | {
    MARKER: {"format": "integer", "isolation": "text default"},
    WRITERS: {
        "writer": "text default", "epoch": "bigint", "batch": "bigint",
        "used": "timestamp with time zone",
    },
}  # fmt: skip
"""The type of each column, with its collation."""
_NULL = " null"  # ends the type of a column that may be null; such columns may be added
_KEYS = {table.name: table.key for table in TABLES} | {WRITERS: ("writer",)}
_INDEXES = {
    f"{name}_pkey": (name, f"unique btree ({', '.join(key)})") for name, key in _KEYS.items()
} | {
    f"{table.name}_{index.name}": (table.name, f"btree ({', '.join(index.sorted_by)})")
    for table in TABLES
    for index in table.indexes
}
"""The table of each index, and what the index is."""


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
    ((version, encoding, standby, process, lz4),) = _rows(result)
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


def content_of(schema: str) -> list[Statement]:
    """Return the statements that find out what is in a schema, for `found`."""
    name = scalar(schema)
    return [
        Statement("SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1::text", (name,)),
        Statement(
            # All names are quoted if the role has quote_all_identifiers.
            "SELECT c.relname, a.attname,"
            " concat_ws(' ', replace(format_type(a.atttypid, a.atttypmod), '\"', ''), l.collname,"
            " CASE WHEN a.attnotnull THEN NULL ELSE 'null' END)"
            " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            " AND NOT a.attisdropped LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation"
            " WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
            (name,),
        ),
        Statement(
            "SELECT c.relname, t.relname, concat(CASE WHEN i.indisunique THEN 'unique ' END,"
            " CASE WHEN i.indisvalid THEN NULL ELSE 'invalid ' END,"
            " substring(replace(pg_get_indexdef(i.indexrelid), '\"', '') from ' USING (btree .*)'))"
            " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_catalog.pg_class t ON t.oid = i.indrelid"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1::text",
            (name,),
        ),
        Statement(_CHANGES, (name,)),
    ]


_CHANGES = (
    "SELECT c.relname, 'is unlogged, so a crash of the server would empty it'"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1::text AND c.relkind = 'r' AND c.relpersistence <> 'p'"
    " UNION ALL SELECT c.relname, concat('has the rule ', r.rulename)"
    " FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1::text AND c.relkind = 'r'"
    " UNION ALL SELECT c.relname, concat('has the trigger ', t.tgname, ' before each row')"
    " FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1::text AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 3 = 3"
)
"""What may lose or change written rows; 3 is the type of triggers before each row."""


class Found(NamedTuple):
    """The content of a schema.

    Attributes:
        exists: whether there is such a schema.
        store: whether it holds a store, perhaps of another format.
        foreign: whether it holds tables, and no store.
        fault: a table, column or index that differs from those of a store; "" if none does.
    """

    exists: bool
    store: bool
    foreign: bool
    fault: str


def found(results: list[Result]) -> Found:
    """Return the content of a schema from the results of `content_of`."""
    exists = results[0].ntuples > 0
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in _rows(results[1]):
        tables.setdefault(table, {})[column] = kind
    indexes = {index: (table, kind) for index, table, kind in _rows(results[2])}
    store = tables.get(MARKER, {}).get("format") == _COLUMNS[MARKER]["format"]
    faults = [
        *_faults(tables, indexes),
        *(f"table {table} {what}" for table, what in _rows(results[3]) if table in _COLUMNS),
    ]
    return Found(exists, store, bool(tables) and not store, faults[0] if faults else "")


def _faults(
    tables: dict[str, dict[str, str]], indexes: dict[str, tuple[str, str]]
) -> Iterator[str]:
    """Yield what differs from a store, apart from additions that do no harm."""
    for table, columns in _COLUMNS.items():
        if table not in tables:
            yield f"table {table} is missing"
            continue
        for column in columns.keys() | tables[table].keys():
            kind = tables[table].get(column, "")
            if columns.get(column, f"{kind.removesuffix(_NULL)}{_NULL}") != kind:
                yield f"column {column} of table {table} is not one that mobstore created"
    for index, (table, kind) in _INDEXES.items():
        if indexes.get(index) != (table, kind):
            yield (
                f"index {index} of table {table} is not the one that mobstore created, which is"
                f" {kind}"
            )


def creation_lock(schema: str) -> int:
    """Return the number of the lock under which a store is created."""
    return Locks(schema).number(("create", ""))


def create(sql: Sql, isolation: Isolation, *, schema: bool, lz4: bool) -> Iterator[Statement]:
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
    yield Statement(
        f'CREATE TABLE {sql.table(MARKER)} ("format" integer NOT NULL, "isolation" text NOT NULL)'
    )
    yield Statement(
        f'INSERT INTO {sql.table(MARKER)} ("format", "isolation") VALUES ({FORMAT}, $1::text)',
        (scalar(isolation),),
    )
    yield Statement(
        f'INSERT INTO {sql.table(META.name)} ("name", "value") VALUES ($1::text, $2::text)',
        (scalar(IDENTITY), scalar(str(uuid4()))),
    )


def guard(sql: Sql, marker: str) -> str:
    """Return a condition that fails, by a division by zero, in any store but one.

    A name means another table once a schema was dropped and created again. The server resolves it
    when it plans a statement, and plans again after a drop, so that the condition costs nothing.

    Args:
        sql: the statements of the store.
        marker: the OID of the table `mobstore`.
    """
    escaped = sql.table(MARKER).replace("\\", "\\\\").replace("'", "''")
    return f"1 / (E'{escaped}'::regclass::oid = {marker})::int = 1"


def read_marker(sql: Sql) -> list[Statement]:
    """Return the statements that read the format, and then the isolation of a store."""
    table = sql.table(MARKER)
    return [
        Statement(f'SELECT max("format") FROM {table}'),
        Statement(f'SELECT max("isolation") FROM {table}'),
    ]


def _rows(result: Result) -> Iterator[list[str]]:
    for row in range(result.ntuples):
        yield [(result.get_value(row, n) or b"").decode() for n in range(result.nfields)]
