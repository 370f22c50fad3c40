"""Claims, consumers and event keys in archives, copies and repairs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import mobstore
from maintenance.support import (
    TIME,
    Document,
    edited,
    entries,
    exported,
    fill_claims,
    imported,
    load,
    rejection,
    rows_of,
    stores_of,
    zipped,
)
from mobstore.maintenance import repair
from mobstore.maintenance.transfer import copy
from mobstore.maintenance.verification import verify
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    RUN_CLAIMS,
    RUNS,
    ClaimRow,
    ConsumerRow,
    CounterRow,
    EventKeyRow,
    RunClaimRow,
)
from mobstore.scripts.transaction import Add, Delete, Get, Put, Scan
from mobstore.stores.claims import run_claim_name
from mobstore.testing import samples
from mobstore.testing.scripts import read_script

FORMAT_1 = (Path(__file__).parent / "format-1.zip").read_bytes()
"""Of a store with five runs, one in each status, and a pending one created in the year 9000."""

NEW = ("event_keys", "consumers", "run_claims", "run_extras", "claims")
CLOCK = "2026-12-24T18:00:00.000000000Z"

engines = pytest.mark.parametrize("engine", ["memory", "sqlite"])
E2 = samples.run_id(2)


def key_of(number: int) -> str:
    return str(samples.run_id(number))


# Archives of version 1 --------------------------------------------------------------------------


@engines
def test_an_archive_of_version_1(engine: str, tmp_path: Path) -> None:
    """Its runs can be claimed if they have not ended, also one that was created in the future."""

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            stores.engine.use_clock(lambda: CLOCK)
            summary = await imported(FORMAT_1, stores)
            assert summary == (2, 6, 1, 1)
            rows = rows_of(stores)
            assert [rows[name] for name in NEW if name != "run_claims"] == [[], [], [], []]
            due = "2026-03-04T05:06:0{}.000000000Z".format
            expected = [(2, "pending", due(2)), (3, "running", due(3)), (6, "pending", CLOCK)]
            assert rows["run_claims"] == [
                (key_of(n), n, "mob", "flow", status, due_at, "", 0, 0)
                for n, status, due_at in expected
            ]
            assert (await verify(stores)).problems == ()
            found = [await stores.runs.claim_next("w", ttl=60) for _ in range(4)]
            assert [one and one.run_id for one in found] == [
                *(samples.run_id(n) for n in (2, 3, 6)), None
            ]  # fmt: skip
            assert [one.epoch for one in found if one] == [1, 2, 3]
            async with stores_of(engine, tmp_path) as again:
                await imported(await exported(stores), again)
                assert rows_of(again) == rows_of(stores)

    asyncio.run(check())


def test_many_runs_of_version_1(tmp_path: Path) -> None:
    """Runs of several pages, and progress up to the last one."""
    reports: list[tuple[int, int]] = []

    async def check() -> None:
        async with stores_of("memory", tmp_path) as one, stores_of("sqlite", tmp_path) as other:
            for n in range(700):
                status = "completed" if n % 7 == 0 else "pending"
                await one.runs.create_run(samples.make_run(n, status=status))
            parts = entries(await exported(one))
            expected = rows_of(one)["run_claims"]
            manifest = json.loads(parts["manifest.json"])
            manifest["version"] = 1
            for name in NEW:
                del parts[f"{name}.jsonl"], manifest["tables"][name]
            parts["manifest.json"] = json.dumps(manifest).encode()
            (tmp_path / "old.zip").write_bytes(zipped(parts))
            with (tmp_path / "old.zip").open("rb") as file:
                await mobstore.import_stores(
                    file, other, progress=lambda done, total: reports.append((done, total))
                )
            assert rows_of(other)["run_claims"] == expected
            assert len(expected) == 600

    asyncio.run(check())
    assert reports[-1] == (reports[-1][1],) * 2
    assert reports == sorted(reports)


@pytest.mark.parametrize("version", [0, 1, 3])
def test_tables_of_another_version(good: bytes, version: int, tmp_path: Path) -> None:
    """A manifest names the tables of its version, no fewer and no more."""

    def with_version(data: bytes) -> bytes:
        parts = entries(data)
        manifest = {**json.loads(parts["manifest.json"]), "version": version}
        return zipped({**parts, "manifest.json": json.dumps(manifest).encode()})

    words = {0: "does not exist", 1: "does not name each table", 3: "mobstore format 3"}

    async def check() -> None:
        async with stores_of("memory", tmp_path) as stores:
            message = await rejection(with_version(good), stores, mobstore.ReadFailedError)
            assert words[version] in message
            parts = entries(FORMAT_1)
            manifest = {**json.loads(parts["manifest.json"]), "version": 2}
            new = zipped({**parts, "manifest.json": json.dumps(manifest).encode()})
            message = await rejection(new, stores, mobstore.ReadFailedError)
            assert "does not name each table" in message

    asyncio.run(check())


# Transfers --------------------------------------------------------------------------------------


@engines
@pytest.mark.parametrize("by", ["archive", "copy"])
@pytest.mark.parametrize("released", [True, False])
def test_epochs_survive(engine: str, by: str, released: bool, tmp_path: Path) -> None:
    """No epoch is assigned twice, even if every claim was released before."""

    async def check() -> None:
        async with stores_of(engine, tmp_path) as one, stores_of("memory", tmp_path) as other:
            await one.runs.create_run(samples.make_run(2))
            held = [await one.claims.acquire(name, "w", 3600) for name in ("a", run_claim_name(E2))]
            if released:
                assert all([await one.claims.release(claim) for claim in held if claim])
                await one.runs.delete_run(E2)
                rows = rows_of(one)
                assert not rows["claims"]
                assert not rows["run_claims"]
            if by == "copy":
                await copy(one, other)
            else:
                await imported(await exported(one), other)
            assert rows_of(other) == rows_of(one)
            if not released:
                for claim in held:
                    assert claim is not None
                    assert await other.claims.acquire(claim.name, "x", 1) is None
                    assert (await other.claims.renew(claim)).epoch == claim.epoch
            more = await other.claims.acquire("b", "w", 1)
            assert more is not None
            assert more.epoch == 3

    asyncio.run(check())


@engines
@pytest.mark.parametrize("held", ["claim", "released", "consumer"])
def test_stores_that_are_not_empty(engine: str, held: str, good: bytes, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            if held == "consumer":
                await load(stores, Put(CONSUMERS, (ConsumerRow("c", 0, TIME),)))
            else:
                claim = await stores.claims.acquire("a", "w", 60)
                assert claim is not None
                if held == "released":
                    await stores.claims.release(claim)
            before = rows_of(stores)
            with pytest.raises(mobstore.InternalError, match="not empty"):
                await imported(good, stores)
            assert rows_of(stores) == before

    asyncio.run(check())


Edit = Callable[[list[Document]], object]


def row(place: int, **columns: object) -> Edit:
    return lambda rows: rows[place].update(columns)


def without(place: int) -> Edit:
    return lambda rows: rows.pop(place)


@pytest.mark.parametrize(
    ("table", "edit", "words"),
    [
        ("event_keys", row(0, key=5), "event_keys, line 1: key must be text"),
        ("event_keys", row(0, cursor=0), "event_keys, line 1: cursor is 0"),
        ("event_keys", row(0, cursor=9), "event_keys, line 1: its row in events is missing"),
        ("event_keys", row(1, timestamp=TIME), "line 2: its time differs from its event's"),
        ("event_keys", row(1, key="key 1"), "line 2: duplicate or out-of-order row"),
        ("consumers", row(1, name=None), "consumers, line 2: name must be text"),
        ("consumers", row(1, cursor=4), "line 2: the counter next_cursor is not above it"),
        ("consumers", row(1, cursor=-1), "consumers, line 2: cursor -1 is negative"),
        ("consumers", row(1, updated_at=""), "consumers, line 2: updated_at is not in"),
        ("run_claims", row(0, run_id=key_of(9)), "run_claims, line 1: its row in runs is missing"),
        ("run_claims", row(0, number=1), "run_claims, line 1: it differs from its run"),
        ("run_claims", row(0, mob_id="m"), "run_claims, line 1: it differs from its run"),
        ("run_claims", row(0, flow_id="f"), "run_claims, line 1: it differs from its run"),
        ("run_claims", row(0, status="running"), "run_claims, line 1: it differs from its run"),
        ("run_claims", row(0, holder=""), "line 1: its run has ended, and is not held"),
        ("run_claims", row(0, epoch=4), "line 1: the counter next_epoch is not above it"),
        ("run_claims", row(0, epoch=0), "line 1: epoch is 0, but the claim is held"),
        ("run_claims", row(0, ttl=0), "line 1: ttl is 0, but the claim is held"),
        ("run_claims", row(0, ttl=2**62), "run_claims, line 1: ttl"),
        ("run_claims", row(0, due_at=""), "run_claims, line 1: due_at is not in"),
        ("claims", row(0, epoch=4), "claims, line 1: the counter next_epoch is not above it"),
        ("claims", row(0, name=""), "claims, line 1: name must not be empty"),
        ("claims", row(0, name="run/x"), "claims, line 1: "),
        ("claims", row(0, name=f"run/{key_of(1)}"), "claims, line 1: name is that of a run's"),
        ("claims", list[Document].reverse, "claims, line 2: duplicate or out-of-order row"),
        ("counters", without(1), "run_claims, line 1: the counter next_epoch"),
        ("claims", row(0), None),
    ],
)
def test_wrong_rows_are_named(
    good: bytes, table: str, edit: Edit, words: str | None, tmp_path: Path
) -> None:
    async def check() -> None:
        async with stores_of("memory", tmp_path) as stores:
            data = edited(good, table, edit)
            if words is None:
                await imported(data, stores)
            else:
                assert words in await rejection(data, stores, mobstore.SerializationError)

    asyncio.run(check())


def test_a_run_that_cannot_be_claimed_is_rejected(tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("memory", tmp_path) as one, stores_of("memory", tmp_path) as other:
            await one.runs.create_run(samples.make_run(1))
            await one.runs.create_run(samples.make_run(2))
            data = edited(await exported(one), "run_claims", list[Document].pop)
            message = await rejection(data, other, mobstore.SerializationError)
            assert "table run_claims: a run that has not ended is not there" in message
            await load(one, Delete(RUN_CLAIMS, (key_of(1),)))
            for move in (exported(one), copy(one, other)):
                with pytest.raises(mobstore.SerializationError, match="has not ended is not there"):
                    await move

    asyncio.run(check())


# Verification and repair ------------------------------------------------------------------------


@engines
def test_every_repair(engine: str, tmp_path: Path) -> None:
    """Each fault is listed by its row; a repaired store is sound, and epochs go on above all."""

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            stores.engine.use_clock(lambda: CLOCK)
            await stores.events.append_batch([samples.event()] * 3)
            for n in (1, 2, 3, 4):
                status = "completed" if n == 2 else "pending"
                time = "9000-01-01T00:00:00Z" if n == 4 else "2026-03-04T05:06:07Z"
                run = samples.make_run(n, status=status, created_at=mobstore.Timestamp(time))
                await stores.runs.create_run(run)
            await fill_claims(stores)
            one = RunClaimRow(key_of(1), 9, "", "f", "running", TIME, "w", 70, 60)
            ended = RunClaimRow(key_of(2), 2, "mob", "flow", "completed", TIME, "", 0, 0)
            gone = RunClaimRow(key_of(8), 8, "mob", "flow", "pending", TIME, "w", 80, 60)
            await load(
                stores,
                Put(RUN_CLAIMS, (one, ended, gone)),
                Delete(RUN_CLAIMS, (key_of(3),)),
                Delete(RUN_CLAIMS, (key_of(4),)),
                Put(CLAIMS, (ClaimRow("held", TIME, "w", 90, 60),)),
                Put(CONSUMERS, (ConsumerRow("ahead", 7, TIME),)),
                Put(EVENT_KEYS, (EventKeyRow("gone", 50, TIME), EventKeyRow("key 1", 1, TIME))),
                Put(COUNTERS, (CounterRow("next_epoch", 5),)),
            )
            found = await verify(stores, repair=True)
            assert [(p.table, p.key, p.what) for p in found.problems] == [
                ("counters", ("next_cursor",), "it is not above the last cursor"),
                ("counters", ("next_epoch",), "it is not above the last epoch"),
                ("event_keys", ("gone",), "its row in events is missing"),
                ("event_keys", ("key 1",), "its time differs from its event's"),
                *(
                    ("run_claims", (key_of(n),),
                     "a run that has not ended is not there, so that no worker finds it")
                    for n in (3, 4)
                ),
                ("run_claims", (key_of(1),), "it differs from its run"),
                ("run_claims", (key_of(2),), "its run has ended, and is not held"),
                ("run_claims", (key_of(8),), "its row in runs is missing"),
            ]  # fmt: skip
            assert found.left == ()
            assert (await verify(stores)).problems == ()
            rows = rows_of(stores)
            assert rows["run_claims"] == [
                (key_of(1), 1, "mob", "flow", "pending", TIME, "w", 70, 60),
                (key_of(3), 3, "mob", "flow", "pending", TIME, "", 0, 0),
                (key_of(4), 4, "mob", "flow", "pending", CLOCK, "", 0, 0),
            ]
            (event, *_) = await stores.engine.read(read_script(Scan(EVENTS)))
            key = await stores.engine.read(read_script(Get(EVENT_KEYS, ("key 1",))))
            assert key == EventKeyRow("key 1", 1, event.timestamp)
            assert await stores.engine.read(read_script(Get(EVENT_KEYS, ("gone",)))) is None
            assert (await stores.events.append(samples.event())).cursor == 8
            claim = await stores.claims.acquire("more", "w", 1)
            assert claim is not None
            assert claim.epoch == 91

    asyncio.run(check())


@engines
@pytest.mark.parametrize("place", [0, 299])
@pytest.mark.parametrize("table", [CLAIMS, RUN_CLAIMS])
def test_the_largest_epoch_may_be_anywhere(
    engine: str, place: int, table: Any, tmp_path: Path
) -> None:
    """The counter is repaired from rows over several pages, whatever their order."""

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            for n in range(300):
                await stores.runs.create_run(samples.make_run(n))
                assert await stores.claims.acquire(f"{n:03}", "w", 60)
            rows = await stores.engine.read(read_script(Scan(table)))
            await load(stores, Put(table, (rows[place]._replace(holder="w", epoch=5000, ttl=1),)))
            found = await verify(stores, repair=True)
            assert [p.key for p in found.problems] == [("next_epoch",)]
            claim = await stores.claims.acquire("more", "w", 60)
            assert claim is not None
            assert claim.epoch == 5001

    asyncio.run(check())


@engines
def test_repairs_wait_for_a_run_that_can_be_read(engine: str, tmp_path: Path) -> None:
    """Nothing is copied from a run or an event that is itself wrong."""

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.events.append(samples.event())
            for n in (1, 2):
                await stores.runs.create_run(samples.make_run(n))
            runs = await stores.engine.read(read_script(Scan(RUNS)))
            (event,) = await stores.engine.read(read_script(Scan(EVENTS)))
            await load(
                stores,
                Put(RUNS, [row._replace(status="lost") for row in runs]),
                Delete(RUN_CLAIMS, (key_of(2),)),
                Put(EVENTS, (event._replace(timestamp="noon"),)),
                Put(EVENT_KEYS, (EventKeyRow("k", 1, event.timestamp),)),
            )
            before = rows_of(stores)
            found = await verify(stores, repair=True)
            assert [(p.table, p.repaired) for p in found.problems] == [
                ("events", False), ("runs", False), ("runs", False),
            ]  # fmt: skip
            assert rows_of(stores) == before
            await load(stores, Put(RUNS, runs), Put(EVENTS, (event,)))
            assert [p.key for p in (await verify(stores, repair=True)).problems] == [(key_of(2),)]
            assert (await verify(stores)).problems == ()

    asyncio.run(check())


@engines
def test_repairs_read_again(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that others corrected or removed since the check are left alone."""
    real = repair.repair_rows

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.events.append(samples.event())
            for n in (1, 2, 3):
                await stores.runs.create_run(samples.make_run(n))
            claims = await stores.engine.read(read_script(Scan(RUN_CLAIMS)))
            await load(
                stores,
                Put(RUN_CLAIMS, [row._replace(mob_id="m") for row in claims[:1]]),
                *(Delete(RUN_CLAIMS, (key_of(n),)) for n in (2, 3)),
                Put(EVENT_KEYS, (EventKeyRow("k", 9, TIME),)),
            )

            async def late(engine: Any, rows: Any) -> None:
                assert len(rows) == 4
                held = claims[0]._replace(holder="w", epoch=1, ttl=1)
                await load(stores, Put(RUN_CLAIMS, (held,)), Delete(EVENT_KEYS, ("k",)))
                await load(stores, Add(COUNTERS, (CounterRow("next_epoch", 2),)))
                await stores.runs.delete_run(samples.run_id(2))
                await real(engine, rows)
                assert await stores.engine.read(read_script(Scan(RUN_CLAIMS))) == [held, claims[2]]

            monkeypatch.setattr("mobstore.maintenance.verification.repair_rows", late)
            await verify(stores, repair=True)
            assert (await verify(stores)).problems == ()

    asyncio.run(check())


def test_the_overview_counts_what_is_held(tmp_path: Path) -> None:
    async def check() -> None:
        for engine in ("memory", "sqlite"):
            async with stores_of(engine, tmp_path) as stores:
                await stores.runs.create_run(samples.make_run(1))
                await stores.runs.create_run(samples.make_run(2))
                assert await stores.runs.claim_next("w", ttl=60)
                for n in range(1001):
                    claim = await stores.claims.acquire(f"{n:04}", "w", 1e-6)
                    assert claim is not None
                    if n % 2:
                        await stores.claims.release(claim, timedelta(days=1))
                await load(stores, Add(CONSUMERS, [ConsumerRow(n, 0, TIME) for n in "ba"]))
                found = await stores.overview()
                assert found.claims == 1 + 501, "expired ones, too; not those put off"
                assert [(c.name, c.cursor) for c in found.consumers] == [("a", 0), ("b", 0)]

    asyncio.run(check())
