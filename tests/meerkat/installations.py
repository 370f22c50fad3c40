"""Installations of the reference: a directory with a database for each mob, and one of profiles."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from mobstore.meerkat import ImportReport
from mobstore.meerkat.layout import SCHEMA
from mobstore.testing import samples


def change(path: Path, script: str) -> None:
    """Change a database by SQL."""
    with closing(sqlite3.connect(path)) as file:
        file.executescript(script)


def write_mob(
    path: Path,
    mob: str,
    cursors: Iterable[int] = (1, 2, 3),
    *,
    runs: Iterable[int] = (),
    specs: Iterable[str] = (),
    profiles: Iterable[str] = (),
    next_cursor: int | None = None,
    padding: str = "",
) -> Path:
    """Write a database as 0.5.2 does.

    Args:
        path: the file.
        mob: the mob of its events and runs.
        cursors: those of its events.
        runs: the numbers of its runs, as of `samples.run_id`.
        specs: the mobs of its specs.
        profiles: the names of its realm profiles.
        next_cursor: its counter; by default the one after its last event.
        padding: text in every event.
    """
    written = list(cursors)
    following = next_cursor or max(written, default=0) + 1
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = WAL").fetchone()
        for table, columns in SCHEMA.items():
            file.execute(f"CREATE TABLE {table} ({columns})")
        file.execute("INSERT INTO mob_event_meta VALUES ('next_cursor', ?)", (following,))
        file.executemany(
            "INSERT INTO mob_events VALUES (?, ?)",
            ((cursor, event_json(mob, cursor, padding)) for cursor in written),
        )
        for number in runs:
            run = samples.make_run(number, mob=mob, schema_version=4)
            document = run.to_json_bytes()
            file.execute("INSERT INTO mob_runs VALUES (?, ?)", (str(run.run_id), document))
        for spec in specs:
            definition = samples.definition(spec).to_json_bytes()
            document = b'{"definition":%b,"revision":1}' % definition
            file.execute("INSERT INTO mob_specs VALUES (?, ?)", (spec, document))
        for name in profiles:
            file.execute(
                "INSERT INTO realm_profiles VALUES (?, ?, 1, ?, ?)",
                (name, samples.profile().to_json_bytes(), *["2026-03-04T05:06:07+00:00"] * 2),
            )
        file.commit()
    return path


def event_json(mob: str, cursor: int, padding: str = "") -> bytes:
    """Return the JSON of an event that `samples.tag_of` names after its cursor in the file."""
    kind = samples.tagged_event(str(cursor), padding).kind
    return samples.stored_event(cursor, mob, at=cursor, kind=kind).to_json_bytes()


def installation(folder: Path) -> Path:
    """Write an installation of three mobs into a new directory."""
    folder.mkdir()
    write_mob(folder / "desk.db", "desk", (2, 3, 7), runs=(1, 2), specs=["desk"], next_cursor=12)
    write_mob(folder / "Attic.db", "Attic", (1, 2), runs=(3,), specs=["Attic"])
    write_mob(folder / "m%2Ft.db", "m/t", (5,), specs=["m/t"])
    write_mob(folder / "realm_profiles.db", "", (), profiles=["scout", "reader"])
    return folder


def numbers(report: ImportReport) -> tuple[int, int, int, int]:
    """Return how many events, runs, specs and realm profiles were imported."""
    return report.events, report.runs, report.specs, report.realm_profiles


def state(folder: Path) -> Mapping[str, tuple[bytes, int, int]]:
    """Return the content, time and mode of all files in a directory."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in folder.iterdir()
        if path.is_file()
    }


WITH_TEXT_KEYS = ("mob_runs", "mob_specs", "realm_profiles", "mob_event_meta")
"""The tables that have an index of their keys."""


def forge_duplicate(path: Path, table: str) -> str:
    """Write the first row of a table a second time, and return its key.

    The index of keys is hidden meanwhile, so it has only one of them.
    """
    index = f"sqlite_autoindex_{table}_1"
    with closing(sqlite3.connect(path)) as file:
        (made,) = file.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (root,) = file.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)
        ).fetchone()
        key: str
        key, *_ = file.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchone()
        (version,) = file.execute("PRAGMA schema_version").fetchone()
        file.execute("PRAGMA writable_schema = ON")
        file.executescript(
            f"DELETE FROM sqlite_master WHERE name = '{index}';"
            " UPDATE sqlite_master SET sql = replace(sql, ' PRIMARY KEY', '')"
            f" WHERE name = '{table}'; PRAGMA schema_version = {version + 1}"
        )
    change(path, f"INSERT INTO {table} SELECT * FROM {table} ORDER BY rowid LIMIT 1")
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (made, table))
        file.execute(
            "INSERT INTO sqlite_master VALUES ('index', ?, ?, ?, NULL)", (index, table, root)
        )
        file.execute("PRAGMA schema_version = 90")
        file.commit()
    return key
