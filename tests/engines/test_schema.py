"""The declared tables are in the file, and an index answers every query."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from engines.support import plain, query
from mobstore import SqliteMobStores
from mobstore.engines.sqlite.rows import Rows
from mobstore.scripts.tables import FORMAT, TABLES, Index, Key, Table, Value
from mobstore.scripts.transaction import Count, Delete, DeleteRange, Get, Put, Read, Scan, Write

INDEXES: list[Index[Any]] = [index for table in TABLES for index in (table, *table.indexes)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    async def create() -> None:
        async with SqliteMobStores.open(tmp_path / "mobs.db"):
            pass

    asyncio.run(create())
    return tmp_path / "mobs.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(plain(path)) as opened:
        yield opened


def test_tables_and_columns(path: Path) -> None:
    found = query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    assert sorted(name for (name,) in found) == sorted(table.name for table in TABLES)
    for table in TABLES:
        columns = query(
            path, f"SELECT name, \"notnull\", pk FROM pragma_table_info('{table.name}')"
        )
        assert tuple(name for name, _, _ in columns) == table.columns
        keys = sorted((place, name) for name, _, place in columns if place)
        assert tuple(name for _, name in keys) == table.key
        assert all(not_null for _, not_null, _ in columns)


def test_indexes(path: Path) -> None:
    for table in TABLES:
        for index in table.indexes:
            name = f"{table.name}_{index.name}"
            columns = query(path, f"SELECT name FROM pragma_index_info('{name}') ORDER BY seqno")
            assert tuple(column for (column,) in columns) == index.prefix + index.order
            ((unique,),) = query(
                path,
                f"SELECT \"unique\" FROM pragma_index_list('{table.name}') WHERE name = '{name}'",
            )
            assert not unique


def test_marks(path: Path) -> None:
    assert query(path, "PRAGMA application_id") == [(int.from_bytes(b"mobs", "big"),)]
    assert query(path, "PRAGMA user_version") == [(FORMAT,)]
    assert query(path, "PRAGMA journal_mode") == [("wal",)]
    assert query(path, "PRAGMA encoding") == [("UTF-8",)]
    header = path.read_bytes()[:100]
    assert header[68:72] == b"mobs"  # where `file` and other tools expect it
    assert header[18:20] == b"\2\2", "the file itself says WAL"


# Plans -----------------------------------------------------------------------------------------


def _plans(connection: sqlite3.Connection, ask: Read | Write) -> list[str]:
    """Collect SQLite's query plans of the engine's statements."""
    statements: list[str] = []
    connection.execute("BEGIN")
    connection.set_trace_callback(statements.append)
    Rows(connection).answer_or_write(ask)
    connection.set_trace_callback(None)
    connection.execute("ROLLBACK")
    assert statements
    return [
        detail
        for statement in statements
        for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


def _value(table: Table[Any], column: str) -> Value:
    return 1 if get_type_hints(table.row)[column] is int else "x"


def _values(table: Table[Any], columns: tuple[str, ...]) -> Key:
    return tuple(_value(table, column) for column in columns)


def _name(index: Index[Any]) -> str:
    return f"{index.table.name}.{index.name}"


@pytest.mark.parametrize("index", INDEXES, ids=_name)
def test_scans_use_their_index(connection: sqlite3.Connection, index: Index[Any]) -> None:
    """Return every possible scan, and so every scan of an operation."""
    bound = _value(index.table, index.order[0])
    for after, before, limit, backwards in product(
        (None, bound), (None, bound), (None, 5), (False, True)
    ):
        scan = Scan(
            index,
            _values(index.table, index.prefix),
            after=after,
            before=before,
            limit=limit,
            backwards=backwards,
        )
        bounded = bool(index.prefix) or after is not None or before is not None
        whole = replace(scan, limit=None)
        for ask in (scan, Count(whole), DeleteRange(whole)):
            plan = " / ".join(_plans(connection, ask))
            assert "TEMP B-TREE" not in plan, f"{ask}: {plan}"
            if bounded:
                assert "SEARCH" in plan, f"{ask}: {plan}"
                assert "SCAN" not in plan, f"{ask}: {plan}"
                assert "INDEX" in plan or "PRIMARY KEY" in plan, f"{ask}: {plan}"
            if bounded and index.name not in {table.name for table in TABLES}:
                # Not by a worse index.
                ordered = ask is scan or after is not None or before is not None
                columns = index.prefix + index.order[:ordered]
                fitting = [
                    f"{index.table.name}_{other.name}"
                    for other in index.table.indexes
                    if (other.prefix + other.order)[: len(columns)] == columns
                ]
                assert any(name in plan for name in fitting), f"{ask}: {plan}"


@pytest.mark.parametrize("table", TABLES, ids=_name)
def test_keys_use_an_index(connection: sqlite3.Connection, table: Table[Any]) -> None:
    key = _values(table, table.key)
    for ask in (Get(table, key), Delete(table, key)):
        (plan,) = _plans(connection, ask)
        assert plan.startswith("SEARCH"), plan
        assert "INDEX" in plan or "PRIMARY KEY" in plan, plan


def test_a_put_replaces_and_answers_nothing(connection: sqlite3.Connection) -> None:
    """`Rows` answers in SQL, which the query plans above assume."""
    rows = Rows(connection)
    connection.execute("DELETE FROM meta")
    for table in TABLES:
        row = table.row(*_values(table, table.columns))
        assert rows.answer_or_write(Put(table, (row,))) is None
        assert rows.answer_or_write(Put(table, (row, row))) is None
        assert rows.answer(Scan(table, _values(table, table.prefix))) == [row]
        assert rows.answer(Get(table, _values(table, table.key))) == row
