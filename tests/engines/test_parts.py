"""Reading in parts: the same answers on every engine, however long the log is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mobstore import MobStores, SerializationError, open_stores
from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.engines.sqlite import rows as sqlite_rows
from mobstore.scripts.tables import EVENTS, EVENTS_BY_MOB, EVENTS_BY_TIME
from mobstore.scripts.transaction import Commit, Parts, PartsScript, Put, Scan, in_whole
from mobstore.testing.samples import event, timestamp
from mobstore.testing.scripts import read_script, write_script

MANY = 2500
"""More events than a script reads on the event loop, and than a part has."""
BAD = 1700
COLUMNS = ("timestamp", "cursor")


@asynccontextmanager
async def filled(place: Path, kind: str) -> AsyncGenerator[MobStores]:
    """Open a store with a long log; of two mobs, the first has a third of it."""
    url = "memory:" if kind == "memory" else f"sqlite:{place / 'parts.db'}"
    async with await open_stores(url) as stores:
        await stores.events.append_batch(
            [event("ab"[n % 3 > 0], at=timestamp(n)) for n in range(MANY)]
        )
        yield stores


def parts_of(scan: Scan[Any], sizes: list[int]) -> PartsScript[list[Any]]:
    """Return some columns of a scan, and note the sizes of its parts."""

    def convert(rows: Sequence[Any]) -> list[Any]:
        sizes.append(len(rows))
        return list(rows)

    (parts,) = yield (Parts(scan, COLUMNS, convert),)
    return Commit([row for part in parts for row in part])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("scan", "most"),
    [
        (Scan(EVENTS), 1000),
        (Scan(EVENTS, after=3, before=9), 5),
        (Scan(EVENTS, limit=0), 0),
        (Scan(EVENTS, limit=1000), 1000),
        (Scan(EVENTS, limit=1001), 1000),
        (Scan(EVENTS, limit=2 * MANY, backwards=True), 1000),
        (Scan(EVENTS_BY_MOB, ("b",), limit=2 * MANY, backwards=True), 1000),
        (Scan(EVENTS_BY_MOB, ("a",), limit=2 * MANY), MANY // 3 + 1),
        (Scan(EVENTS_BY_TIME), 1000),
    ],
)
def test_the_parts_are_the_columns_of_the_rows(
    tmp_path: Path, kind: str, scan: Scan[Any], most: int
) -> None:
    async def check() -> None:
        async with filled(tmp_path, kind) as stores:
            sizes: list[int] = []
            rows = await stores.engine.read(read_script(scan))
            for engine in (stores.engine, ReadOnlyEngine(stores.engine)):
                sizes.clear()
                found = await engine.read_parts(partial(parts_of, scan, sizes))
                assert found == [(row.timestamp, row.cursor) for row in rows]
                if kind == "sqlite":
                    assert max(sizes, default=0) == most

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_long_page_ends_before_an_unreadable_event_or_skips_it(
    tmp_path: Path, kind: str, *, as_json: bool
) -> None:
    async def check() -> None:
        async with filled(tmp_path, kind) as stores:
            whole: list[Any] = list(await stores.events.replay_all())
            (row,) = await stores.engine.read(read_script(Scan(EVENTS, after=BAD - 1, limit=1)))
            bad = row._replace(kind='{"typ":"no"}')
            await stores.engine.write(write_script(Put(EVENTS, (bad,))))
            of_b = [one for one in whole if one.mob_id == "b" and one.cursor != BAD]
            poll: Any = stores.events.poll_json if as_json else stores.events.poll
            if as_json:
                whole, of_b = ([one.to_json() for one in some] for some in (whole, of_b))
            assert await poll(0, MANY) == whole[: BAD - 1]
            with pytest.raises(SerializationError, match=f"cursor {BAD} "):
                await poll(BAD - 1, MANY)
            skipped: list[int] = []

            def skip(cursor: int, _: SerializationError) -> None:
                skipped.append(cursor)

            assert await poll(0, MANY, on_unreadable=skip) == whole[: BAD - 1] + whole[BAD:]
            assert skipped == [BAD]
            assert await poll(0, MANY, mob_id="b", on_unreadable=skip) == of_b
            assert skipped == [BAD, BAD]

    asyncio.run(check())


def test_a_script_in_whole_is_closed_when_a_conversion_fails() -> None:
    ended: list[str] = []

    def script() -> PartsScript[None]:
        try:
            yield (Parts(Scan(EVENTS), COLUMNS, failing),)
        finally:
            ended.append("script")
        return Commit(None)

    def failing(_: Sequence[Any]) -> None:
        raise LookupError

    whole = in_whole(script())
    assert next(whole) == (Scan(EVENTS),)
    with pytest.raises(LookupError) as caught:
        whole.send(([],))
    assert ended == ["script"]  # now, and not when the traceback is released
    assert caught.tb is not None


def test_rows_that_repeat_after_a_part_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their keys; by an index, in which rows may tie, when they are more than the file."""
    monkeypatch.setattr(sqlite_rows, "_MANY", 2)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE events (cursor, mob_id, timestamp, type, run_id, kind)")
        for cursor in (1, 2, 2, 3):
            connection.execute(
                "INSERT INTO events VALUES (?, 'm', 't', 'x', '', 'kind')", (cursor,)
            )
        rows = sqlite_rows.Rows(connection)
        for scan in (Scan(EVENTS), Scan(EVENTS_BY_MOB, ("m",))):
            reads: tuple[Any, ...] = (scan, Parts(scan, COLUMNS, list))
            for read in reads:
                if scan.index is EVENTS:
                    with pytest.raises(sqlite_rows.DisorderError, match="not in the order"):
                        rows.answer(read)
                    continue
                assert rows.answer(read)
                with monkeypatch.context() as patched:

                    def five(_: sqlite3.Connection) -> int:
                        return 5

                    patched.setattr(sqlite_rows, "size_of_file", five)
                    with pytest.raises(sqlite_rows.DisorderError, match="more rows"):
                        rows.answer(read)
