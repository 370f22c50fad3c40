"""Hardened connections: a file may be forged."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from engines.support import RUN, plain, rich_run
from mobstore import ReadFailedError, SqliteMobStores, open_stores
from mobstore.codec.arguments import LARGEST_DOCUMENT, LONGEST_NAME
from mobstore.engines.sqlite.connections import Mode, connect
from mobstore.engines.sqlite.rows import LONGEST
from mobstore.scripts.tables import TABLES
from mobstore.testing.samples import tagged_event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(plain(tmp_path / "any.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("CREATE VIEW v AS SELECT 1 AS x")
        connection.execute("CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END")
    return tmp_path / "any.db"


MODES: list[Mode] = ["rwc", "rw", "query", "ro", "immutable"]


@pytest.mark.parametrize("mode", MODES)
def test_settings(path: Path, mode: Mode) -> None:
    with closing(connect(path, mode)) as connection:
        settings = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("trusted_schema", "cell_size_check", "mmap_size", "wal_autocheckpoint")
        }
        assert settings == {
            "trusted_schema": 0,
            "cell_size_check": 1,
            "mmap_size": 0,
            "wal_autocheckpoint": 0,
        }
        attached = 0
        with suppress(sqlite3.OperationalError):
            for attached in range(3):
                connection.execute(f"ATTACH ':memory:' AS a{attached}")
        assert attached == (mode in {"rwc", "rw"}), "VACUUM needs one"
        with pytest.raises(sqlite3.Error, match="Expression tree is too large"):
            connection.execute(f"SELECT 1{' + 1' * 500}")
        with pytest.raises(sqlite3.DataError, match="query string is too large"):
            connection.execute(f"SELECT 1 -- {'x' * 2**21}")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python offers it from 3.12 on")
@pytest.mark.parametrize("mode", MODES)
def test_neither_views_nor_triggers_nor_the_list_of_tables(path: Path, mode: Mode) -> None:
    with closing(connect(path, mode)) as connection:
        with pytest.raises(sqlite3.Error, match="access to view"):
            connection.execute("SELECT * FROM v")
        if mode in {"rwc", "rw"}:
            connection.execute("INSERT INTO t VALUES (1)")
            assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
            connection.execute("PRAGMA writable_schema = ON")
            with pytest.raises(sqlite3.Error, match="may not be modified"):
                connection.execute("DELETE FROM sqlite_master")


def test_a_row_may_hold_a_document_and_names() -> None:
    assert max(len(table.columns) for table in TABLES) < 12
    assert LARGEST_DOCUMENT + 12 * LONGEST_NAME <= LONGEST


@pytest.mark.slow
def test_a_value_that_mobstore_never_writes(tmp_path: Path) -> None:
    """It is rejected by its length, before it is read."""
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with SqliteMobStores.open(path) as stores:
            await stores.runs.create_run(rich_run())
            await stores.events.append(tagged_event("e"))
        with closing(plain(path)) as connection:
            size = LARGEST_DOCUMENT + 2**21
            connection.execute(
                "UPDATE run_states SET flow_state = CAST(zeroblob(?) AS TEXT)", (size,)
            )
        for read_only in (False, True):
            async with open_stores(f"sqlite:{path}", read_only=read_only) as stores:
                with pytest.raises(ReadFailedError, match=r"more than 81 MiB.*; restore a backup"):
                    await stores.runs.get_run(RUN)
                assert len(await stores.events.replay_all()) == 1

    asyncio.run(main())
