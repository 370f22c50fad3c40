"""Copies of whole stores into another engine, exports into a file, and verifications."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import ZIP_DEFLATED, ZipFile

from bench import samples
from bench.logs import connect, open_mobstore
from bench.outcome import Outcome, cost, speed
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore import MobStores, copy, open_stores
from mobstore.maintenance import verify
from mobstore.maintenance.transfer import export_stores
from mobstore.scripts.tables import TABLES, Row, Table
from mobstore.scripts.transaction import Commit, Scan, Script, fetch

RAW = "raw executemany of the same rows"
ZIPPING = "zipfile.writestr of the same entries"
POLLING = "mobstore, poll of 1,000 at a time"
RAW_READING = "raw sqlite3, dicts"

_BATCH = 10_000
_PAGE = 1_000
_SELECT = "SELECT * FROM events WHERE cursor > ? ORDER BY cursor LIMIT ?"

_Read: TypeAlias = Callable[[MobStores, Path], Awaitable[int]]


def copying(settings: Settings) -> Iterator[Outcome]:
    """Measure copies from memory into a new SQLite file."""
    size = _size(settings)
    found = compete(
        [
            Contestant("mobstore", _copying(size, from_file=False)),
            Contestant("mobstore, from another file", _copying(size, from_file=True)),
            Contestant(RAW, _raw(size)),
        ],
        settings,
        most=1,
    )
    yield Outcome(
        f"copy of {_told(size)} from memory into a new SQLite file",
        "copies/s",
        list(found.values()),
        [
            speed(found["mobstore"], found[RAW], 0.8),
            speed(found["mobstore, from another file"], found[RAW]),
        ],
        ["one transaction each, durable in the end; raw sqlite3 has its rows in a list"],
    )


def exporting(settings: Settings) -> Iterator[Outcome]:
    """Measure exports into a file on disk."""
    size = _size(settings)
    found = compete(
        [
            Contestant("mobstore, from memory", _exporting(size, from_file=False)),
            Contestant("mobstore, from SQLite", _exporting(size, from_file=True)),
            Contestant(ZIPPING, _zipping(size)),
        ],
        settings,
        most=1,
    )
    yield Outcome(
        f"export of {_told(size)}",
        "exports/s",
        list(found.values()),
        [
            speed(found["mobstore, from memory"], found[ZIPPING], 0.5),
            speed(found["mobstore, from SQLite"], found[ZIPPING], 0.5),
        ],
        ["zipfile has the bytes of each entry in memory, and deflates as mobstore does"],
    )


def verifying(settings: Settings) -> Iterator[Outcome]:
    """Measure verifications of a store of events, compared with reading all of them."""
    size = 20_000 if settings.quick else 1_000_000
    found = compete(
        [
            Contestant("mobstore, verify", _reading(size, _verify)),
            Contestant(POLLING, _reading(size, _poll)),
            Contestant(RAW_READING, _reading(size, _read_raw)),
        ],
        settings,
        most=1,
        per_operation=size,
    )
    yield Outcome(
        f"verify of {size:,} events",
        "events/s",
        list(found.values()),
        [
            cost(found["mobstore, verify"], found[POLLING], 2),
            cost(found["mobstore, verify"], found[RAW_READING]),
        ],
        [
            "each event must be decoded to be checked, as poll does; verify also encodes it again,"
            " checks SQLite's own pages and indexes, and keeps nothing",
            "raw sqlite3 reads pages of 1,000 rows, with json.loads: it finds no wrong event",
        ],
    )


def _size(settings: Settings) -> int:
    return 2_000 if settings.quick else 20_000


def _told(size: int) -> str:
    return f"{size:,} events and {size // 200} runs of 100 entries and 5 frames"


async def fill(stores: MobStores, size: int) -> None:
    await stores.events.append_batch(samples.events(size))
    for _ in range(size // 200):
        await stores.runs.create_run(samples.run(entries=100, frames=5))


@asynccontextmanager
async def _filled(path: Path, size: int, *, from_file: bool) -> AsyncGenerator[MobStores]:
    async with open_mobstore(path) if from_file else open_stores("memory:") as stores:
        await fill(stores, size)
        yield stores


def _copying(size: int, *, from_file: bool) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with _filled(path, size, from_file=from_file) as source:

            async def turn(_: int) -> float:
                target = path.with_name(f"{path.stem}-target.db")
                async with open_mobstore(target) as stores:
                    with Stopwatch() as watch:
                        summary = await copy(source, stores)
                assert summary.events == size
                target.unlink()
                return watch.seconds

            yield turn

    return opened


def everything() -> Script[dict[Table[Any], list[Row]]]:
    """Return all rows of a store, as plain tuples."""
    rows: dict[Table[Any], list[Row]] = {}
    for table in TABLES:
        rows[table] = list(map(tuple, (yield from fetch(Scan(table)))))
    return Commit(rows)


def _raw(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with _filled(path, size, from_file=False) as source:
            rows = await source.engine.read(everything)

        async def turn(_: int) -> float:
            with closing(connect(path)) as connection, Stopwatch() as watch:
                connection.execute("BEGIN IMMEDIATE")
                for table, of_table in rows.items():
                    places = ", ".join("?" * len(table.columns))
                    insert = f"INSERT INTO {table.name} VALUES ({places})"
                    connection.executemany(insert, of_table)
                connection.execute("COMMIT")
            path.unlink()  # noqa: ASYNC240 - nothing else is to go on meanwhile
            return watch.seconds

        yield turn

    return opened


def _exporting(size: int, *, from_file: bool) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with _filled(path, size, from_file=from_file) as source:

            async def turn(_: int) -> float:
                with path.with_suffix(".zip").open("wb") as file, Stopwatch() as watch:
                    summary = await export_stores(source, file)
                assert summary.events == size
                return watch.seconds

            yield turn

    return opened


def _zipping(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with _filled(path, size, from_file=False) as source:
            exported = BytesIO()
            await export_stores(source, exported)
        with ZipFile(exported) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}

        async def turn(_: int) -> float:
            with Stopwatch() as watch, ZipFile(path, "w", ZIP_DEFLATED) as archive:
                for name, content in entries.items():
                    archive.writestr(name, content)
            return watch.seconds

        yield turn

    return opened


def _reading(size: int, read: _Read) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            for start in range(0, size, _BATCH):
                await stores.events.append_batch(samples.events(_BATCH)[: size - start])

            async def turn(_: int) -> float:
                with Stopwatch() as watch:
                    assert await read(stores, path) == size
                return watch.seconds

            yield turn

    return opened


async def _verify(stores: MobStores, _: Path) -> int:
    found = await verify(stores)
    assert not found.problems
    return found.rows["events"]


async def _poll(stores: MobStores, _: Path) -> int:
    count = last = 0
    while events := await stores.events.poll(last, _PAGE):
        count, last = count + len(events), events[-1].cursor
    return count


async def _read_raw(_: MobStores, path: Path) -> int:
    count = last = 0
    with closing(connect(path)) as connection:
        while rows := connection.execute(_SELECT, (last, _PAGE)).fetchall():
            events = [(*columns, json.loads(kind)) for *columns, kind in rows]
            count, last = count + len(events), rows[-1][0]
    return count
