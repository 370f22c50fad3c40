"""Stored text, arguments and file names reach a terminal only escaped."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import sqlite3
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from rich.console import Console

import mobstore
from cli.command_line import reading
from cli.hostile import (
    HOSTILE,
    MARKUP,
    forbidden,
    run_commands,
    run_commands_in_terminal,
    tables_read,
)
from mobstore import MobEvent, MobId, NewMobEvent, PeersWired, StepId, Timestamp
from mobstore.cli import display
from mobstore.cli.transfer import print_summary
from mobstore.maintenance.transfer import Summary
from mobstore.meerkat import Unreadable
from mobstore.model.ids import MeerkatId
from mobstore.scripts.tables import TABLES
from mobstore.testing.samples import definition, event, failure, frame, full_run, profile, step

RUN = "00000000-0000-0000-0000-000000000001"
VALUES = {
    "text": "?",
    "moment": "'2026' || ? || 'Z'",
    "bytes": "X'1b5b333133376d9bff00'",
    "number": "7",
    "not UTF-8": "CAST(X'1b5b3939396dff9b' AS TEXT)",
    "empty": "''",
}
COLUMNS = [
    (table.name, column)
    for table in TABLES
    for column, kind in zip(table.columns, table.types, strict=True)
    if kind is str
]
NUMBERS = [
    (table.name, column)
    for table in TABLES
    for column, kind in zip(table.columns, table.types, strict=True)
    if kind is int
]
NUMBER = count()


def slow(value: object) -> ParameterSet:
    return pytest.param(value, marks=pytest.mark.slow)


def commands(name: str) -> list[list[str]]:
    """Return the commands that show a store, with tables and with JSON."""
    url = f"sqlite:{name}"
    shown = [*reading(url, RUN)[:-1], ["events", url, "--skip-unreadable"]]
    shown.append(["diff", url, "sqlite:sound.db"])
    return shown + [[*command, "--json"] for command in shown]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")

    async def fill(name: str, text: str) -> None:
        async with mobstore.open_stores(f"sqlite:{folder / name}") as stores:
            run = full_run(
                1,
                mob=text,
                flow=text,
                frames={text: frame(1)},
                step_ledger=(step(text, text, "completed", {text: [text]}),),
                failure_ledger=(failure(text, text),),
                root_step_outputs={StepId(text): text},
                loop_iteration_outputs={text: ({text: text},)},
            )
            await stores.runs.create_run(run)
            kind = PeersWired(a=MeerkatId(text), b=MeerkatId("Café-日本-🦦"))
            wired = NewMobEvent(mob_id=MobId(text), kind=kind)
            await stores.events.append_batch([wired, event("m")])
            await stores.specs.put_spec(text, definition(text, text))
            await stores.realm_profiles.create(text, profile(text))

    asyncio.run(fill("sound.db", "sound"))
    asyncio.run(fill("hostile.db", HOSTILE))
    return folder


@pytest.fixture(scope="module")
def reads(folder: Path) -> list[set[str]]:
    """Return the tables that each of the commands reads."""
    return tables_read(folder, commands("sound.db"))


def test_each_table_is_read_by_commands(reads: list[set[str]]) -> None:
    """The tests below run only commands that read the damaged table."""
    for command, tables in zip(commands("sound.db"), reads, strict=True):
        if command[0] == "verify":
            assert tables >= {table.name for table in TABLES}
    for table in TABLES:
        assert sum(table.name in tables for tables in reads) >= 2, table.name


def damaged(folder: Path, table: str, column: str, value: str) -> str:
    name = f"{table}-{column}.db"
    shutil.copyfile(folder / "sound.db", folder / name)
    with closing(sqlite3.connect(folder / name)) as file:
        where = "" if table != "meta" else " WHERE name = 'identity'"
        given = [HOSTILE] if "?" in value else []
        with suppress(sqlite3.IntegrityError):  # a key of another type
            file.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}{where}", given)
        file.commit()
    return name


def concerned(reads: list[set[str]], table: str, name: str) -> list[list[str]]:
    """Return the commands for a store in whose table a value is damaged."""
    return [one for one, tables in zip(commands(name), reads, strict=True) if table in tables]


def every_second(jobs: list[list[str]], first: int) -> list[list[str]]:
    """Return half of the commands, since all take minutes; the other half for the next column."""
    return jobs[first % 2 :: 2]


def ends(out: str) -> set[str]:
    return {line.split()[-1] for line in out.splitlines() if line.startswith(":: ended")}


def expect_harmless(folder: Path, jobs: list[list[str]]) -> None:
    out, errors = run_commands(folder, jobs)
    assert "Traceback" not in errors
    assert (forbidden(out), forbidden(errors)) == ([], [])
    assert ends(out) <= {"0", "1", "2"}


@pytest.mark.slow
@pytest.mark.parametrize("value", VALUES)
def test_any_value_in_a_column(folder: Path, reads: list[set[str]], value: str) -> None:
    jobs: list[list[str]] = []
    for n, (table, column) in enumerate(COLUMNS):
        found = concerned(reads, table, damaged(folder, table, column, VALUES[value]))
        jobs += found if value in {"text", "bytes"} else every_second(found, n)
    expect_harmless(folder, jobs)


@pytest.mark.slow
def test_any_value_in_a_column_of_numbers(folder: Path, reads: list[set[str]]) -> None:
    jobs: list[list[str]] = []
    for table, column in NUMBERS:
        for value in (VALUES["text"], VALUES["bytes"], "-1", "1.5"):
            jobs += concerned(reads, table, damaged(folder, table, column, value))
    expect_harmless(folder, jobs)


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}, {"NO_COLOR": "1"}], ids=str)
def test_any_value_in_a_column_in_a_terminal(
    folder: Path, reads: list[set[str]], environment: dict[str, str]
) -> None:
    jobs: list[list[str]] = []
    for n, (table, column) in enumerate(COLUMNS):
        found = concerned(reads, table, damaged(folder, table, column, VALUES["text"]))
        jobs += every_second(found, n) if environment else found
    shown = run_commands_in_terminal(folder, jobs, environment)
    assert "Traceback" not in shown
    assert forbidden(shown, terminal=True) == []
    assert ends(shown) <= {"0", "1", "2"}


def moved(name: str) -> list[list[str]]:
    url = f"sqlite:{name}"
    return [
        ["export", url, "out.zip", "--force"],
        ["import", "out.zip", "sqlite:in.db"],
        ["copy", url, f"sqlite:copy{next(NUMBER)}.db"],
        ["diff", "out.zip", "sqlite:in.db"],
    ]


@pytest.mark.parametrize("width", [20, *map(slow, [1, 2, 80, 200])])
def test_hostile_text_in_a_terminal(folder: Path, width: int) -> None:
    """It is shown as escapes, in tables as wide as the terminal."""
    (folder / "in.db").unlink(missing_ok=True)
    jobs = [*commands("hostile.db"), *moved("hostile.db")]
    shown = run_commands_in_terminal(folder, jobs, width=width)
    assert "Traceback" not in shown
    assert forbidden(shown, terminal=True) == []
    assert ends(shown) <= {"0", "1"}
    joined = "".join(shown.split())
    assert joined.count("\\x1b") > 20
    assert joined.count(MARKUP) > 20


def test_hostile_text_in_a_pipe(folder: Path) -> None:
    (folder / "in.db").unlink(missing_ok=True)
    jobs = [*commands("hostile.db"), *moved("hostile.db")]
    expect_harmless(folder, jobs)
    out, _ = run_commands(folder, [["run", "sqlite:hostile.db", RUN]])
    joined = "".join(out.split())
    assert "\\x1b[999m" in joined
    assert "\\u202e" in joined
    assert MARKUP in joined


def test_single_lines() -> None:
    """The lines of `--follow`, and of rows that an import leaves out."""
    out = io.StringIO()
    console = Console(file=out, width=60, force_terminal=True, markup=False, emoji=False)
    kind = PeersWired(a=MeerkatId(HOSTILE), b=MeerkatId(HOSTILE * 500))
    at = Timestamp.from_sortable("2026-03-04T05:06:07.000000000Z")
    display.print_event(
        console, MobEvent(cursor=1, timestamp=at, mob_id=MobId(HOSTILE * 500), kind=kind)
    )
    left_out = Unreadable("runs", HOSTILE, HOSTILE)
    print_summary(console, "imported", Summary(1, 2, 3, 4), [left_out])
    assert forbidden(out.getvalue(), terminal=True) == []
    assert out.getvalue().count(MARKUP) > 1
    assert len(out.getvalue()) < 5_000


def test_json_is_harmless_and_exact(folder: Path) -> None:
    url = "sqlite:hostile.db"
    out, _ = run_commands(
        folder,
        [["run", url, RUN, "--json"], ["events", url, "--json"], ["profiles", url, "--json"]],
    )
    run, wired, _, stored = (json.loads(line) for line in out.splitlines() if line[0] == "{")
    assert forbidden(out) == []
    assert run["mob_id"] == run["step_ledger"][0]["step_id"] == HOSTILE
    assert run["root_step_outputs"] == {HOSTILE: HOSTILE}
    assert wired["mob_id"] == wired["kind"]["a"] == stored["name"] == HOSTILE
    assert "Café-日本-🦦" in out, "letters stay as they are"


ARGUMENTS = [
    ["?"],
    ["info", "?"],
    ["info", "sqlite:?"],
    ["info", "file:?"],
    ["info", "memory:", "?"],
    ["info", "--?"],
    ["info", "-?"],
    ["runs", "memory:", "--status", "?"],
    ["runs", "memory:", "--json=?"],
    ["runs", "memory:", "--mob", "?"],
    ["run", "memory:", "?"],
    ["events", "memory:", "--after", "?"],
    ["diff", "memory:", "?"],
    ["diff", "sqlite:sound.db", "?.zip"],
    ["diff", "sqlite:sound.db", "?.db"],
    ["diff", "sqlite:sound.db", "?.bad"],
    ["import", "?", "memory:"],
    ["import", "?.bad", "memory:"],
    ["import", "?.zip", "memory:"],
    ["copy", "memory:", "?"],
    ["export", "memory:", "?"],
    ["export", "memory:", "no/?"],
    ["export", "sqlite:sound.db", "x", "--format", "?"],
    ["completion", "?"],
]


@pytest.mark.parametrize("kind", ["text", *map(slow, ["bytes", "long"])])
def test_hostile_arguments_and_file_names(folder: Path, kind: str) -> None:
    """In messages of click and in progress bars, too."""
    text = re.sub("[\0/]", "", HOSTILE)
    name = {"text": text[:60], "bytes": f"a\udcff{text[:50]}\udc9b", "long": text * 200}[kind]
    if kind != "long":
        path = folder / os.fsdecode(name.encode("utf-8", "surrogateescape"))
        shutil.copyfile(folder / "sound.db", f"{path}.db")
        Path(f"{path}.bad").write_bytes(b"PK")
        run_commands(folder, [["export", "sqlite:sound.db", f"{name}.zip", "--force"]])
    jobs = [[one.replace("?", name) for one in arguments] for arguments in ARGUMENTS]
    expect_harmless(folder, jobs)
    shown = run_commands_in_terminal(folder, jobs)
    assert "Traceback" not in shown
    assert forbidden(shown, terminal=True) == []
    assert max(map(len, re.split(":: ended with.*", shown.partition("::")[2]))) < 10_000
