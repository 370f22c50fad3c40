"""Scans: the same rows in the same order on every engine, for any number of values."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

import mobstore
from mobstore.scripts.tables import (
    LOOP_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS_BY_POSITION,
    Index,
    LoopStepOutputRow as Output,
)
from mobstore.scripts.transaction import Count, DeleteRange, Put, Scan
from mobstore.testing.scripts import read_script, write_script

TEXTS = ("", "a", "b", "\uffff", "\U00010000")
ROWS = [
    Output(run, loop, iteration, step, position, "null")
    for run in TEXTS
    for loop in TEXTS[:3]
    for iteration in (0, 1, 2**53)
    for position, step in enumerate(reversed(TEXTS[1:]))
]
INDEXES: tuple[Index[Output], ...] = (LOOP_STEP_OUTPUTS, LOOP_STEP_OUTPUTS_BY_POSITION)


def scans(chance: random.Random) -> Scan[Output]:
    index = chance.choice(INDEXES)
    like = chance.choice(ROWS)
    columns = index.table.getter(index.sorted_by)(like)
    given = chance.randrange(len(columns) + 1)

    def bound() -> Any:
        if given == len(columns) or chance.random() < 0.5:
            return None
        return index.table.getter(index.sorted_by)(chance.choice(ROWS))[given]

    return Scan(
        index,
        columns[:given],
        after=bound(),
        before=bound(),
        limit=chance.choice((None, None, 1, 3, 50)),
        backwards=chance.random() < 0.4,
    )


def expected(scan: Scan[Output], rows: Sequence[Output]) -> list[Output]:
    """Return the rows by the contract, without any index."""
    columns = scan.index.table.getter(scan.index.sorted_by)
    given = len(scan.prefix)
    found = [
        row
        for row in sorted(rows, key=columns)
        if columns(row)[:given] == scan.prefix
        and (scan.after is None or cast("Any", columns(row)[given]) > scan.after)
        and (scan.before is None or cast("Any", columns(row)[given]) < scan.before)
    ]
    if scan.backwards:
        found.reverse()
    return found[: scan.limit]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory", "sqlite", "postgres"])
def test_any_number_of_values(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = "memory:" if engine == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"
    if engine == "postgres":
        url = request.getfixturevalue("postgres_url")
    chance = random.Random(11)

    async def check() -> None:
        async with mobstore.open_stores(url, durability="normal") as stores:
            rows: list[Output] = ROWS.copy()
            chance.shuffle(rows)
            await stores.engine.write(write_script(Put(LOOP_STEP_OUTPUTS, rows)))
            for _ in range(1000):
                scan = scans(chance)
                found = await stores.engine.read(read_script(scan))
                assert found == expected(scan, rows), scan
                scan.limit = None
                count = await stores.engine.read(read_script(Count(scan)))
                assert count == len(expected(scan, rows)), scan
            while rows:
                scan = scans(chance)
                scan.limit, scan.backwards = None, False
                await stores.engine.write(write_script(DeleteRange(scan)))
                rows = sorted(set(rows) - set(expected(scan, rows)))
                found = await stores.engine.read(read_script(Scan(LOOP_STEP_OUTPUTS)))
                assert found == rows
                if len(rows) < 20:
                    break

    asyncio.run(check())
