"""Rows decide which release wrote a file, whatever tables and columns it has."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from mobstore.meerkat import ImportReport, import_meerkat
from mobstore.meerkat.database import check_source
from mobstore.meerkat.report import add_table

RUN = "24ede6a4-6b4c-4242-8a23-d5962217bead"


def change(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executescript(script)


def imported(path: Path, *, check: bool = True, skip: bool = False) -> ImportReport:
    async def work() -> ImportReport:
        async with mobstore.open_stores("memory:") as stores:
            report = await import_meerkat(path, stores, check=check, skip_unreadable=skip)
            assert len(await stores.events.replay_all()) == report.events
            return report

    before = path.read_bytes()
    report = asyncio.run(work())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    return report


def rejection(path: Path) -> str:
    async def attempt() -> str:
        async with mobstore.open_stores("memory:") as stores:
            with pytest.raises(mobstore.ReadFailedError) as caught:
                await import_meerkat(path, stores, skip_unreadable=True)
            assert not await stores.events.replay_all()
            return str(caught.value)

    check_source(path)  # its tables are those of a file that a newer release opened
    return asyncio.run(attempt())


# Files of 0.5.2 that a newer release opened ------------------------------------------------------

RUNTIME = """
    CREATE TABLE mob_runtime_supervisors (mob_id TEXT PRIMARY KEY, authority_json BLOB NOT NULL);
    CREATE TABLE mob_runtime_binding_overlays (
        mob_id TEXT NOT NULL, member TEXT NOT NULL, overlay BLOB, PRIMARY KEY (mob_id, member));
"""
PLACED = """
    CREATE TABLE mob_run_remote_turn_intents (id INTEGER PRIMARY KEY AUTOINCREMENT, intent BLOB);
    CREATE TABLE mob_runtime_placed_spawns (
        id TEXT PRIMARY KEY, state TEXT CHECK (state IN ('a', 'b'))) WITHOUT ROWID;
    CREATE INDEX placed_by_state ON mob_runtime_placed_spawns (state);
    CREATE TABLE mob_identity_store_meta (one INTEGER PRIMARY KEY CHECK (one = 1), STAMP BLOB);
"""
COLUMN = """
    ALTER TABLE mob_events ADD COLUMN mob_id TEXT;
    CREATE INDEX mob_events_mob_cursor ON mob_events (mob_id, cursor);
"""
LEDGER = """
    CREATE TABLE meerkat_schema (domain TEXT PRIMARY KEY, version INTEGER NOT NULL);
    INSERT INTO meerkat_schema VALUES ('mob', 3);
"""
OPENED: dict[str, tuple[str, dict[str, int]]] = {
    "0.6": (RUNTIME, {}),
    "0.8.0": (RUNTIME + PLACED, {}),
    "0.8.2": (RUNTIME + PLACED + COLUMN, {}),
    "0.8.4": (RUNTIME + PLACED + COLUMN + LEDGER, {"meerkat_schema": 1}),
    "another program": (
        'CREATE TABLE "a ""b"" [c]" (x); INSERT INTO "a ""b"" [c]" VALUES (1), (2), (NULL)',
        {'a "b" [c]': 3},
    ),
}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("release", OPENED)
def test_a_file_that_another_release_opened(release: str, *, check: bool, sample: Path) -> None:
    script, other = OPENED[release]
    change(sample, script)
    report = imported(sample, check=check)
    assert (report.events, report.runs, report.specs, report.realm_profiles) == (99, 8, 2, 2)
    assert report.other_tables == other
    assert not report.left_out


def test_a_new_file_of_0_8_without_rows(sample: Path) -> None:
    change(
        sample,
        "DELETE FROM mob_runs; DROP TABLE mob_events; CREATE TABLE mob_events"
        " (cursor INTEGER PRIMARY KEY, mob_id TEXT, event_json BLOB NOT NULL)",
    )
    report = imported(sample)
    assert (report.events, report.runs, report.specs) == (0, 0, 2)


def test_conditions_of_other_tables_are_not_computed(sample: Path) -> None:
    """They could take hours; this one would fail."""
    change(
        sample,
        "PRAGMA ignore_check_constraints = ON;"
        " CREATE TABLE mob_identity_leases (x, CHECK (length(hex(x)) < 10));"
        " INSERT INTO mob_identity_leases VALUES (zeroblob(30000)), (zeroblob(30000));",
    )
    assert imported(sample).other_tables == {"mob_identity_leases": 2}


# Rows of newer releases --------------------------------------------------------------------------


def edited(table: str, old: str, new: str, where: str = "true") -> str:
    """Return SQL that replaces text in the JSON of a table."""
    column = {"mob_events": "event", "mob_runs": "run", "mob_specs": "spec"}.get(table, "profile")
    name = f"{column}_json"
    replaced = f"replace(CAST({name} AS TEXT), '{old}', '{new}')"
    return f"UPDATE {table} SET {name} = CAST({replaced} AS BLOB) WHERE {where}"


def enveloped(version: str) -> str:
    """Return SQL that wraps all events but the first six as newer releases do."""
    return (
        "UPDATE mob_events SET event_json ="
        f""" CAST('{{"event":{{}},"schema_version":{version}}}' AS BLOB) WHERE cursor > 6"""
    )


ONE = f"run_id = '{RUN}'"
NEWER = {
    "0.6": enveloped("6"),
    "0.7": enveloped("8"),
    "0.8": enveloped("9"),
    "0.6 ": edited("mob_runs", '"schema_version":4', '"schema_version":6', ONE),
    "0.7 or 0.8": edited("mob_runs", '"schema_version":4', '"schema_version":7', ONE),
    "0.6 or newer": edited("mob_runs", '"run_id"', '"flow_authority_inputs":[],"run_id"', ONE),
    "0.6 or newer ": edited("mob_runs", '"fields"', '"field"', ONE),
    "0.6 or newer  ": edited("mob_runs", '"meerkat_id"', '"agent_identity"', ONE),
    "0.6  ": edited(
        "mob_specs",
        '"is_implicit"',
        '"owner_bridge_session_id":null,"is_implicit"',
        "mob_id = 'night-desk'",
    ),
    "0.7 or 0.8 ": edited(
        "realm_profiles", '"skills"', '"provider":null,"skills"', "name = 'web-scout'"
    ),
}


@pytest.mark.parametrize("release", NEWER)
def test_the_release_of_a_row_is_reported(release: str, sample: Path) -> None:
    change(sample, f"{RUNTIME} {NEWER[release]};")
    report = imported(sample, skip=True)
    assert report.imported_from == release.strip()
    assert not report.other_tables


def test_the_first_row_of_a_later_release_is_named(sample: Path) -> None:
    change(sample, f"{RUNTIME} {enveloped('70')};")
    said = rejection(sample)
    row = "event 7 has schema_version 70"
    assert f"was written by meerkat-mob newer than 0.8 ({row});" in said
    assert "only rows of 0.5.1 to 0.8 can be imported" in said


def test_further_keys_of_an_event_of_0_5_2(sample: Path) -> None:
    """A row with a cursor of its own is not in the form of newer releases."""
    change(sample, edited("mob_events", '{"cursor"', '{"schema_version":9,"event":1,"cursor"'))
    assert imported(sample).events == 99


def test_the_list_of_other_tables_is_bounded() -> None:
    report = ImportReport()
    for number in range(1005):
        add_table(report, f"table {number}", 2)
    add_table(report, "table 3", 1)
    assert len(report.other_tables) == 1001
    assert (report.other_tables["table 3"], report.other_tables["others"]) == (3, 10)


def test_the_key_of_a_row_is_cut(sample: Path) -> None:
    later = edited("mob_runs", '"schema_version":4', '"schema_version":70', ONE)
    longer = f"UPDATE mob_runs SET run_id = printf('%.1000c', 'x') WHERE {ONE}"
    change(sample, f"{later}; {longer}")
    said = rejection(sample)
    assert len(said) < 400
    assert "newer than 0.8 (run xxx" in said
