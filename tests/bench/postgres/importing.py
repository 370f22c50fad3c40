"""Copies and imports of whole stores."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

from bench.outcome import Check, Outcome, speed
from bench.postgres.stage import Stage, create_tables, open_mobstore
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from bench.works.moving import everything, fill
from mobstore import MobStores, copy, open_stores
from mobstore.maintenance.transfer import export_stores, import_stores

COPIED = "mobstore, copy from memory"
IMPORTED = "mobstore, import of a file"
INTO_MEMORY = "mobstore, import of a file into memory"
RAW = "raw COPY of the same rows"


def importing(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure copies from memory and imports of a file into a new schema."""
    size = 10_000 if settings.quick else 50_000
    rows = size + size // 200 * 107  # a run has a head, a state, 100 entries and 5 frames
    found = compete(
        [
            Contestant(COPIED, _copying(stage, size)),
            Contestant(IMPORTED, _importing(stage, size)),
            Contestant(INTO_MEMORY, _importing(None, size)),
            Contestant(RAW, _raw(stage, size)),
        ],
        settings,
        most=1,
        per_operation=rows,
    )
    yield Outcome(
        f"{size:,} events and {size // 200} runs of 100 entries and 5 frames into a new schema",
        "rows/s",
        list(found.values()),
        [
            Check(COPIED, found[COPIED].rate, 70_000, unit="rows/s"),
            speed(found[COPIED], found[RAW]),
            speed(found[IMPORTED], found[RAW]),
            speed(found[IMPORTED], found[INTO_MEMORY]),
        ],
        [
            "one transaction each, durable in the end; raw psycopg has its rows in a list",
            "an import also parses and checks the JSON of every row, as it does into memory",
        ],
    )


def _copying(stage: Stage, size: int) -> Opener:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        async with open_stores("memory:") as source:
            await fill(source, size)

            async def load(target: MobStores) -> None:
                await copy(source, target)

            yield _loading(stage, load)

    return opened


def _importing(stage: Stage | None, size: int) -> Opener:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        file = BytesIO()
        async with open_stores("memory:") as source:
            await fill(source, size)
            await export_stores(source, file)

        async def load(target: MobStores) -> None:
            file.seek(0)
            await import_stores(file, target)

        yield _loading(stage, load)

    return opened


def _loading(stage: Stage | None, load: Callable[[MobStores], Awaitable[None]]) -> Turn:
    """Return the turn that loads a new store, in memory without a stage."""

    async def turn(_: int) -> float:
        place = stage and stage.place()
        async with open_mobstore(place) if place else open_stores("memory:") as target:
            with Stopwatch() as watch:
                await load(target)
        if place:
            place.execute("DROP SCHEMA {s} CASCADE")
        return watch.seconds

    return turn


def _raw(stage: Stage, size: int) -> Opener:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        async with open_stores("memory:") as source:
            await fill(source, size)
            rows = await source.engine.read(everything)

        async def turn(_: int) -> float:
            place = stage.place()
            await create_tables(place)
            for table in rows:
                place.execute(f"TRUNCATE {{s}}.{table.name}")
            with place.connect() as connection, Stopwatch() as watch, connection.transaction():
                for table, of_table in rows.items():
                    columns = ", ".join(table.columns)
                    into = place.sql(f"COPY {{s}}.{table.name} ({columns}) FROM STDIN")
                    with connection.cursor().copy(into) as copying:
                        for row in of_table:
                            copying.write_row(row)
            place.execute("DROP SCHEMA {s} CASCADE")
            return watch.seconds

        yield turn

    return opened
