"""The rules that hold for every input.

A rejection is a MobStoreError with a readable message. The source stays unchanged, byte for byte,
and no file is left beside it. A target is untouched, or holds everything that was reported, without
a fault and readable. A write into a damaged store has exactly the requested effect, or is rejected.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import mobstore
from fuzz.bases import NOW
from mobstore import MobEvent, MobRun, MobStoreError, MobStores, Record
from mobstore.maintenance.transfer import Summary, export_stores, import_stores
from mobstore.model.kernel import KernelState
from mobstore.scripts.tables import TABLES
from mobstore.testing import samples
from support import golden

PACKAGE: Any = mobstore  # type checkers do not see its `__all__`

T = TypeVar("T")
Files: TypeAlias = Mapping[str, bytes]

LONGEST_MESSAGE = 4000  # characters; paths of test folders are long
LONGEST_TRACEBACK = 200_000
SECONDS = 18  # of a command; of a case see `pool`


class FaultError(AssertionError):
    """A violated rule."""


def require(holds: object, why: str) -> None:
    if not holds:
        raise FaultError(why)


# Parts -------------------------------------------------------------------------------------------


async def attempt(work: Awaitable[T]) -> T | MobStoreError:
    """Return the result of a call, or its error; any other exception is a fault."""
    try:
        return await work
    except MobStoreError as error:
        return checked(error)


def checked(error: MobStoreError) -> MobStoreError:
    """Check that an error has a readable message, with little else."""
    require(str(error).strip(), "a refusal without words")
    require(len(str(error)) <= LONGEST_MESSAGE, f"a message of {len(str(error)):,} characters")
    shown = sum(map(len, traceback.format_exception(error)))
    require(shown <= LONGEST_TRACEBACK, f"an error whose causes have {shown:,} characters")
    return error


def name_of(result: object) -> str:
    """Return the outcome of a call, for the statistics."""
    if not isinstance(result, MobStoreError):
        return "accepted"
    return next(kind.__name__ for kind in type(result).__mro__ if kind.__name__ in PACKAGE.__all__)


def files_in(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def unchanged(folder: Path, before: Files) -> None:
    """Check that a source is unchanged, and that there are no new files beside it."""
    after = files_in(folder)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if len(before) > 1:
        # Beside the files of a killed process, SQLite makes and removes empty ones: shared
        # memory, and an empty log.
        changed = {name for name in changed if before.get(name) or after.get(name)}
        changed = {name for name in changed if not name.endswith("-shm")}
    require(not changed, f"the source was changed, or something was left beside it: {changed}")


async def contents(stores: MobStores) -> list[Any]:
    """Return all that the interfaces tell of a store; each record is one that can be written."""
    events = await stores.events.replay_all()
    mobs = sorted({event.mob_id for event in events})
    specs = await stores.specs.list_specs()
    runs = [await stores.runs.list_runs(mob) for mob in sorted({*mobs, *specs})]
    for event in events:
        require(MobEvent.from_json(event.to_json()) == event, "an event is not as it is written")
    for run in chain(*runs):  # a state stored in another form is not the same
        MobRun.from_json(run.to_json())
    return [
        events,
        runs,
        [[await stores.runs.get_run_header(run.run_id) for run in of_mob] for of_mob in runs],
        [await stores.events.poll(0, limit=5, mob_id=mob) for mob in mobs],
        [(mob, await stores.specs.get_spec(mob)) for mob in specs],
        await stores.realm_profiles.list(),
        await stores.identity(),
        await stores.events.latest_cursor(),
    ]


async def exported(stores: MobStores) -> bytes:
    file = io.BytesIO()
    await export_stores(stores, file)
    return file.getvalue()


async def sound(stores: MobStores) -> Mapping[str, int]:
    """Check that a store has no fault, can be read, and comes back from an export as it is."""
    found = await mobstore.verify(stores)
    require(not found.problems, f"verify finds {found.problems[:3]}")
    await contents(stores)
    archive = await exported(stores)
    async with mobstore.open_stores("memory:") as copy:
        await import_stores(io.BytesIO(archive), copy)
        require(await exported(copy) == archive, "an export of its import differs")
    return found.rows


def at(path: Path, *, read_only: bool = False) -> mobstore.Opening[MobStores]:
    # Power failures are not tested here.
    return mobstore.open_stores(
        f"sqlite:{path}", create=not read_only, read_only=read_only, durability="normal",
        timeout=1, clock=lambda: NOW,
    )  # fmt: skip


# Imports -----------------------------------------------------------------------------------------


async def import_zip(source: Path, target: Path) -> str:
    """Import an archive; return how it ended."""
    with source.open("rb") as file:
        return await _imported(source, target, partial(import_stores, file))


async def import_reference(source: Path, target: Path, *, skip_unreadable: bool) -> str:
    """Import a database of the reference; return how it ended."""
    work = partial(mobstore.import_meerkat, source, skip_unreadable=skip_unreadable)
    return await _imported(source, target, work)


async def _imported(
    source: Path,
    target: Path,
    work: Callable[[MobStores], Awaitable[Summary | mobstore.ImportReport]],
) -> str:
    before = files_in(source.parent)
    async with at(target) as stores:
        empty = await exported(stores)
        result = await attempt(work(stores))
        unchanged(source.parent, before)
        if isinstance(result, MobStoreError):
            require(await exported(stores) == empty, "the import failed, and something is there")
        rows = await sound(stores)
    require([*files_in(target.parent)] == [target.name], "something was left beside the target")
    if isinstance(result, MobStoreError):
        return name_of(result)
    counts = [rows[name] for name in ("events", "runs", "specs", "realm_profiles")]
    require(counts == [*_counts(result)], f"{counts} rows are there, {result} was reported")
    if isinstance(result, mobstore.ImportReport):
        _nothing_passed_over(source, result)
        return "accepted" if not result.left_out else "accepted in part"
    return "accepted"


def _counts(report: Summary | mobstore.ImportReport) -> tuple[int, int, int, int]:
    return report.events, report.runs, report.specs, report.realm_profiles


_REFERENCE = ("mob_events", "mob_runs", "mob_specs", "realm_profiles")


def _nothing_passed_over(source: Path, report: mobstore.ImportReport) -> None:
    """Check that a database whose import succeeded is one without damage, and came over whole."""
    with closing(_copy(source)) as file:
        # An import reads tables without their indexes, whose keys `quick_check` does not compare.
        whole = _is_whole(file, "quick_check")
        require(whole, "SQLite finds damage in a database that was imported")
        for table, count in zip(_REFERENCE, _counts(report), strict=True):
            kinds = file.execute(
                "SELECT type FROM sqlite_master WHERE name = ?", (table,)
            ).fetchall()
            if not kinds:
                require(count == 0, f"{table} is not there, and {count} rows of it are")
                continue
            require(kinds == [("table",)], f"{table} is {kinds}, and was imported")
            (there,) = file.execute(f"SELECT count(*) FROM {table} NOT INDEXED").fetchone()
            left_out = sum(unreadable.table == table for unreadable in report.left_out)
            require(there == count + left_out, f"{there} rows in {table}, {count}+{left_out} told")


def _copy(path: Path) -> sqlite3.Connection:
    """Open a copy of a database with its side files: SQLite may change these."""
    folder = path.parent.with_name("copy")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(path.parent, folder)
    return sqlite3.connect(folder / path.name, isolation_level=None)


def _is_whole(file: sqlite3.Connection, check: str = "integrity_check") -> bool:
    try:
        return [*file.execute(f"PRAGMA {check}(1)")] == [("ok",)]
    except sqlite3.Error:
        return False


# Stores ------------------------------------------------------------------------------------------


async def use_store(path: Path) -> str:
    """Open a database as a store: read it, then write to it; return the outcome."""
    before = files_in(path.parent)
    reading = await attempt(_read(path))
    unchanged(path.parent, before)
    writing = await attempt(_write(path))
    if [*before] == [path.name] and isinstance(reading, MobStoreError):
        opened = await attempt(_open(path))
        if isinstance(opened, MobStoreError):
            unchanged(path.parent, before)
    if isinstance(reading, MobStoreError) or isinstance(writing, MobStoreError):
        return name_of(reading if isinstance(reading, MobStoreError) else writing)
    return "accepted" if reading else "damage named"


async def _open(path: Path) -> None:
    async with at(path):
        pass


async def _read(path: Path) -> bool:
    """Read a store in all ways; return whether it is sound."""
    async with at(path, read_only=True) as stores:
        found = await mobstore.verify(stores)
        read = await attempt(contents(stores))
        archive = await attempt(exported(stores))
        if found.problems:
            return False
        for result in (read, archive):
            require(not isinstance(result, MobStoreError), f"verify finds nothing, but {result!r}")
        await sound(stores)
    with closing(_copy(path)) as file:
        require(_is_whole(file), "SQLite finds damage, and verify does not")
        for table in TABLES:
            (there,) = file.execute(f"SELECT count(*) FROM {table.name} NOT INDEXED").fetchone()
            told = found.rows[table.name]
            require(there == told, f"{there} rows in {table.name}, {told} told")
    return True


async def _write(path: Path) -> None:
    """Append an event and add a run: exactly these are added."""
    async with at(path) as stores:
        sound_before = not (await mobstore.verify(stores)).problems
        before = await attempt(contents(stores))
        event = await attempt(stores.events.append(samples.event("mob")))
        run = samples.make_run(77, mob="mob")
        created = await attempt(stores.runs.create_run(run))
        if sound_before:
            found = await mobstore.verify(stores)
            require(not found.problems, f"after writing verify finds {found.problems[:3]}")
        # In damaged pages, which verify reports, added rows may not be found.
        if not sound_before or isinstance(before, MobStoreError):
            return
        after = await stores.events.replay_all()
        new = [] if isinstance(event, MobStoreError) else [event]
        require(after == [*before[0], *new], "an append did more, or less, than append")
        of_mob = [one for one in before[1] if one and one[0].mob_id == "mob"]
        many = sum(map(len, of_mob)) + (not isinstance(created, MobStoreError))
        if of_mob:
            there = len(await stores.runs.list_runs("mob"))
            require(there == many, f"{there} runs after one was made, not {many}")


# Documents ---------------------------------------------------------------------------------------


def read_document(kind: str, data: bytes) -> str:
    """Read one document as a model; return the outcome."""
    read = golden.READERS[kind]
    try:
        value = read(cast("str", data))  # each takes bytes, too
    except MobStoreError as error:
        return name_of(checked(error))
    _comes_back(value, read)
    return "accepted"


def _comes_back(value: Record | KernelState, read: Any) -> None:
    written = value.to_json()
    again = read(written)
    require(again == value, "a record differs from what it is read back as")
    require(again.to_json() == written, "a record that is read back is written otherwise")


def read_toml(text: str) -> str:
    """Read a definition; return the outcome."""
    try:
        definition = mobstore.MobDefinition.from_toml(text)
    except MobStoreError as error:
        return name_of(checked(error))
    _comes_back(definition, mobstore.MobDefinition.from_json)
    return "accepted"


# Commands ----------------------------------------------------------------------------------------


def command(*arguments: str) -> int:
    """Run the command line as a process; check that it ends with 0 or 1, and a readable message."""
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "mobstore", *arguments],
            capture_output=True, timeout=SECONDS, check=False,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise FaultError(f"mobstore {arguments} has not ended after {SECONDS} seconds") from error
    said = ran.stderr.decode(errors="replace")
    words = f"mobstore {' '.join(arguments)}"
    ended = f"{words} ended with {ran.returncode}: {said[-3000:]}"
    require(ran.returncode in {0, 1}, ended)
    require("Traceback" not in said and b"Traceback" not in ran.stdout, ended)
    require(ran.returncode == 0 or ran.stdout or said.startswith("Error: "), ended)
    return ran.returncode
