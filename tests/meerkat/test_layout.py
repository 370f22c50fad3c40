"""Databases of the reference are recognised by their list of tables."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from mobstore.meerkat import import_meerkat
from mobstore.meerkat.database import check_source

RUNS = "CREATE TABLE mob_runs (run_id TEXT PRIMARY KEY, run_json BLOB NOT NULL{})"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"


def change(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executescript(script)


def forge(path: Path, script: str) -> None:
    """Change the list of tables itself."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA writable_schema = ON")
        (version,) = file.execute("PRAGMA schema_version").fetchone()
        file.executescript(f"{script}; PRAGMA schema_version = {version + 1}")


def rejection(path: Path) -> str:
    """Import a file that is rejected for its tables alone; return the message."""

    async def attempt() -> str:
        async with mobstore.open_stores("memory:") as stores:
            with pytest.raises(mobstore.ReadFailedError) as caught:
                await import_meerkat(path, stores, skip_unreadable=True)
            assert not await stores.events.replay_all()
            return str(caught.value)

    before = path.read_bytes()
    said = asyncio.run(attempt())
    with pytest.raises(mobstore.ReadFailedError) as caught:
        check_source(path)
    assert str(caught.value) == said
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert len(said) < 600
    assert said.isprintable()
    return said


OTHERS = {
    "an endless view": (
        f"DROP TABLE mob_runs; CREATE VIEW mob_runs AS {ENDLESS} x AS run_id, x AS run_json FROM n",
        "view mob_runs",
    ),
    "an endless view of events": (
        "DROP TABLE mob_events; CREATE VIEW mob_events AS"
        f" {ENDLESS} x AS cursor, x AS event_json FROM n",
        "view mob_events",
    ),
    "a generated column": (
        "DROP TABLE mob_runs; CREATE TABLE mob_runs (run_id TEXT PRIMARY KEY, run_json BLOB"
        " GENERATED ALWAYS AS (zeroblob(900000000)) VIRTUAL)",
        "table mob_runs",
    ),
    "a virtual table": (
        "DROP TABLE mob_specs; CREATE VIRTUAL TABLE mob_specs USING fts4(mob_id, spec_json)",
        "mob_specs",
    ),
    "without rowid": (
        f"DROP TABLE mob_runs; {RUNS.format('')} WITHOUT ROWID",
        "table mob_runs",
    ),
    "a check": (
        f"DROP TABLE mob_runs; {RUNS.format(' CHECK (length(run_json) > 0)')}",
        "table mob_runs",
    ),
    "a collation": (
        "DROP TABLE mob_runs; CREATE TABLE mob_runs"
        " (run_id TEXT COLLATE NOCASE PRIMARY KEY, run_json BLOB NOT NULL)",
        "table mob_runs",
    ),
    "no key": (
        "DROP TABLE mob_runs; CREATE TABLE mob_runs (run_id TEXT, run_json BLOB NOT NULL)",
        "table mob_runs",
    ),
    "a default": (
        "DROP TABLE mob_specs; CREATE TABLE mob_specs"
        " (mob_id TEXT PRIMARY KEY, spec_json BLOB NOT NULL DEFAULT '{}')",
        "table mob_specs",
    ),
    "a column more": ("ALTER TABLE mob_runs ADD COLUMN more", "table mob_runs"),
    "a virtual table more": ("CREATE VIRTUAL TABLE notes USING fts4(x)", "table notes"),
    "a computed column": ("CREATE TABLE notes (x, y AS (zeroblob(900000000)))", "table notes"),
    "a computed column in full": (
        "CREATE TABLE notes (x, y GENERATED ALWAYS AS (x || x) VIRTUAL)",
        "table notes",
    ),
    "an index more": ("CREATE INDEX quicker ON mob_events (event_json)", "index quicker"),
    "an index of an expression": (
        "CREATE INDEX quicker ON mob_runs (length(run_json))",
        "index quicker",
    ),
    "a trigger": (
        "CREATE TRIGGER t AFTER INSERT ON mob_runs BEGIN DELETE FROM mob_runs; END",
        "trigger t",
    ),
    "a view more": ("CREATE VIEW v AS SELECT 1", "view v"),
    "a table less": ("DROP TABLE mob_runs", "table mob_runs is missing"),
    "a name with a newline": ('CREATE VIEW "a\nb\x1b[2J" AS SELECT 1', r"view a\nb\x1b[2J"),
    "another index of 0.8": (
        "CREATE INDEX mob_events_mob_cursor ON mob_runs (run_id)",
        "index mob_events_mob_cursor",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_foreign_entries_are_rejected_by_name(what: str, sample: Path) -> None:
    script, name = OTHERS[what]
    change(sample, script)
    said = rejection(sample)
    assert name in said
    assert "meerkat-mob 0.5.1 and 0.5.2" in said


FORGED = {
    "a name that is a BLOB": "UPDATE sqlite_master SET name = x'6d6f62' WHERE name = 'mob_specs'",
    "a name that is not UTF-8": (
        "UPDATE sqlite_master SET name = CAST(x'ff6d6f62' AS TEXT) WHERE name = 'mob_specs'"
    ),
    "SQL that is not UTF-8": (
        "UPDATE sqlite_master SET sql = CAST(CAST(sql AS BLOB) || x'2d2dff' AS TEXT)"
        " WHERE name = 'mob_specs'"
    ),
    "SQL that is a BLOB": (
        "UPDATE sqlite_master SET sql = CAST(sql AS BLOB) WHERE name = 'mob_specs'"
    ),
    "SQL of another table": (
        "UPDATE sqlite_master SET sql = replace(sql, 'mob_id', 'mob_ib') WHERE name = 'mob_specs'"
    ),
    "SQL that is none": "UPDATE sqlite_master SET sql = 'CREATE TABLE' WHERE name = 'mob_specs'",
    "a view as a table": (
        "INSERT INTO sqlite_master SELECT 'table', 'v', 'v', 999,"
        f" 'CREATE VIEW v AS {ENDLESS} x FROM n'"
    ),
    "statistics of another form": (
        "CREATE TABLE forged_stat1(tbl,idx,stat,more); UPDATE sqlite_master SET name ="
        " 'sqlite_stat1', tbl_name = 'sqlite_stat1', sql = replace(sql, 'forged', 'sqlite')"
        " WHERE name = 'forged_stat1'"
    ),
    "no index of a key": "DELETE FROM sqlite_master WHERE name = 'sqlite_autoindex_mob_runs_1'",
    "one page for two tables": (
        "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name ="
        " 'mob_runs') WHERE name = 'mob_specs'"
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_list_of_tables_is_rejected(what: str, sample: Path) -> None:
    forge(sample, FORGED[what])
    assert "tide-desk.db" in rejection(sample)


def dumped(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        script = "\n".join(file.iterdump())
    path.unlink()
    change(path, script)


def quoted(path: Path) -> None:
    change(
        path,
        "ALTER TABLE mob_runs RENAME TO old;"
        ' CREATE TABLE "mob_runs" ([run_id] text PRIMARY KEY, -- its key\n run_json BLOB NOT NULL);'
        "INSERT INTO mob_runs SELECT * FROM old; DROP TABLE old",
    )


HARMLESS: dict[str, Callable[[Path], None]] = {
    "ANALYZE": lambda path: change(path, "ANALYZE"),
    "VACUUM": lambda path: change(path, "VACUUM"),
    "larger pages": lambda path: change(
        path, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 65536; VACUUM"
    ),
    "dumped and read": dumped,
    "quoted names and comments": quoted,
    "a comment that does not end": lambda path: forge(  # in quadratic time it would take minutes
        path,
        "UPDATE sqlite_master SET sql = sql || replace(hex(zeroblob(100000)), '00', ' /*')"
        " WHERE name = 'mob_specs'",
    ),
    "0.5.1": lambda path: change(path, "DROP TABLE realm_profiles"),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_entries_of_sqlite_itself_are_accepted(what: str, sample: Path) -> None:
    HARMLESS[what](sample)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            report = await import_meerkat(sample, stores)
            assert (report.events, report.runs, report.specs) == (99, 8, 2)

    check_source(sample)
    asyncio.run(check())
