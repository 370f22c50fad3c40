"""`diff` reports exactly the differences between two stores, on any engines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import mobstore
from maintenance.support import TIME, fill_claims, load, stores_of
from mobstore.maintenance.comparison import Difference, diff
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    EVENT_KEYS,
    EVENTS,
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_CLAIMS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    TABLES,
    EventRow,
    Table,
)
from mobstore.scripts.transaction import Delete, Put, Scan
from mobstore.testing import samples
from mobstore.testing.scripts import read_script

RUN = str(samples.run_id(2))

# A change to the second row of a table, or the first of the second run, and its difference.
CHANGES: list[tuple[Table[Any], dict[str, Any], str, int | str, str]] = [
    (EVENTS, {"timestamp": "2026-01-01T00:00:00.000000000Z"}, "event", 2, "timestamp"),
    (EVENTS, {"kind": '{"type":"mob_reset"}'}, "event", 2, "kind"),
    (EVENTS, {"mob_id": "other"}, "event", 2, "mob_id"),
    (RUNS, {"mob_id": "other"}, "run", RUN, "mob_id"),
    (RUNS, {"flow_id": "other"}, "run", RUN, "flow_id"),
    (RUNS, {"status": "canceled"}, "run", RUN, "status"),
    (RUNS, {"activation_params": "1"}, "run", RUN, "activation_params"),
    (RUNS, {"created_at": "2026-01-01T00:00:00.000000000Z"}, "run", RUN, "created_at"),
    (RUNS, {"completed_at": ""}, "run", RUN, "completed_at"),
    (RUNS, {"schema_version": 3}, "run", RUN, "schema_version"),
    (RUN_STATES, {"flow_state": '{"phase":"X","fields":{}}'}, "run", RUN, "flow_state"),
    (STEP_LEDGER, {"output": "1"}, "run", RUN, "step_ledger"),
    (FAILURE_LEDGER, {"reason": "other"}, "run", RUN, "failure_ledger"),
    (FRAMES, {"kernel_state": '{"phase":"X","fields":{}}'}, "run", RUN, "frames"),
    (LOOPS, {"loop_instance_id": "more"}, "run", RUN, "loops"),
    (LOOP_ITERATIONS, {"iteration": "5"}, "run", RUN, "loop_iteration_ledger"),
    (ROOT_STEP_OUTPUTS, {"output": "7"}, "run", RUN, "root_step_outputs"),
    (LOOP_OUTPUTS, {"iterations": 9}, "run", RUN, "loop_iteration_outputs"),
    (LOOP_STEP_OUTPUTS, {"output": "7"}, "run", RUN, "loop_iteration_outputs"),
    (EVENT_KEYS, {"cursor": 3}, "event_key", "key 2", "cursor"),
    (CONSUMERS, {"cursor": 3}, "consumer", "projector", "cursor"),
    (CONSUMERS, {"updated_at": "2026"}, "consumer", "projector", "updated_at"),
    (RUN_CLAIMS, {"due_at": "2026"}, "run", RUN, "due_at"),
    (RUN_CLAIMS, {"holder": "x"}, "run", RUN, "holder"),
    (RUN_CLAIMS, {"epoch": 9}, "run", RUN, "epoch"),
    (RUN_CLAIMS, {"ttl": 9}, "run", RUN, "ttl"),
    (CLAIMS, {"due_at": "2026"}, "claim", "off", "due_at"),
    (CLAIMS, {"holder": "x"}, "claim", "off", "holder"),
    (CLAIMS, {"epoch": 9}, "claim", "off", "epoch"),
    (CLAIMS, {"ttl": 9}, "claim", "off", "ttl"),
    (SPECS, {"revision": 7}, "spec", "n", "revision"),
    (SPECS, {"definition": "{}"}, "spec", "n", "definition"),
    (REALM_PROFILES, {"revision": 7}, "realm_profile", "q", "revision"),
    (REALM_PROFILES, {"profile": "{}"}, "realm_profile", "q", "profile"),
    (REALM_PROFILES, {"created_at": "2026"}, "realm_profile", "q", "created_at"),
    (REALM_PROFILES, {"updated_at": "2026"}, "realm_profile", "q", "updated_at"),
]


async def fill(stores: mobstore.MobStores, runs: Sequence[int] = (1, 2, 3)) -> None:
    at = samples.timestamp(0)
    await stores.events.append_batch([samples.event(at=at) for _ in range(3)])
    for n in runs:
        await stores.runs.create_run(samples.full_run(n))
    for name in "mn":
        await stores.specs.put_spec(name, samples.definition())
    for name in "pq":
        await stores.realm_profiles.create(name, samples.profile())
    stores.engine.use_clock(lambda: TIME)
    await fill_claims(stores)


async def found(one: mobstore.MobStores, other: mobstore.MobStores) -> list[Difference]:
    return [difference async for difference in diff(one, other)]


def opened() -> mobstore.Opening[mobstore.MobStores]:
    return mobstore.open_stores("memory:", clock=lambda: samples.timestamp(0))


def test_equal_stores_do_not_differ(tmp_path: Path) -> None:
    async def check() -> None:
        async with opened() as one, stores_of("sqlite", tmp_path) as other:
            assert await found(one, other) == []
            await fill(one)
            for table in TABLES:
                await load(other, Put(table, await one.engine.read(read_script(Scan(table)))))
            assert await found(one, other) == []

    asyncio.run(check())


@pytest.mark.parametrize(
    ("table", "columns", "kind", "key", "field"),
    CHANGES,
    ids=[f"{table.name}-{'-'.join(columns)}" for table, columns, *_ in CHANGES],
)
def test_a_changed_row_differs(
    table: Table[Any], columns: dict[str, Any], kind: Any, key: int | str, field: str
) -> None:
    async def check() -> None:
        async with opened() as one, opened() as other:
            await fill(one)
            await fill(other)
            rows = await other.engine.read(read_script(Scan(table)))
            row = next((row for row in rows if row[0] == RUN), rows[len(rows) > 1])
            await load(other, Put(table, (row._replace(**columns),)))
            mob = {"event": "mob", "run": "mob", "spec": "n"}.get(kind, "")
            assert await found(one, other) == [Difference(kind, key, mob, None, (field,))]
            assert [d.fields for d in await found(other, one)] == [(field,)]

    asyncio.run(check())


def test_records_of_one_store_only() -> None:
    async def check() -> None:
        async with opened() as one, opened() as other:
            await fill(one)
            await fill(other)
            await one.events.append(samples.event("first"))
            await other.events.prune(samples.timestamp(1))
            await one.runs.create_run(samples.full_run(0, mob="zero"))
            await other.runs.delete_run(samples.run_id(2))
            await one.specs.delete_spec("m")
            await other.realm_profiles.delete("q", 1)
            assert await found(one, other) == [
                Difference("latest_cursor", 4, "", None, ("latest_cursor",)),
                *(Difference("event", n, "mob", "first") for n in (1, 2, 3)),
                Difference("event", 4, "first", "first"),
                *(Difference("event_key", f"key {n}", "", "first") for n in (1, 2)),
                Difference("run", str(samples.run_id(0)), "zero", "first"),
                Difference("run", RUN, "mob", "first"),
                Difference("spec", "m", "m", "second"),
                Difference("realm_profile", "q", "", "first"),
            ]
            sides = {"first": "second", "second": "first", None: None}
            assert [d.only_in for d in await found(other, one)] == [
                sides[d.only_in] for d in await found(one, other)
            ]

    asyncio.run(check())


def test_claims_and_consumers_of_one_store_only() -> None:
    async def check() -> None:
        async with opened() as one, opened() as other:
            for stores in (one, other):
                await stores.runs.create_run(samples.make_run(1))
                await stores.runs.create_run(samples.make_run(2))
                await fill(stores, runs=(3,))
            claim = await one.runs.claim_next("w", ttl=60)
            assert claim is not None
            await load(other, Delete(CONSUMERS, ("new",)), Delete(EVENT_KEYS, ("key 1",)))
            await load(one, Delete(CLAIMS, ("held",)))
            claims = (None, ("due_at", "holder", "epoch", "ttl"))
            assert await found(one, other) == [
                Difference("latest_epoch", 4, "", None, ("latest_epoch",)),
                Difference("event_key", "key 1", "", "first"),
                Difference("consumer", "new", "", "first"),
                Difference("run", str(claim.run_id), "mob", *claims),
                Difference("claim", "held", "", "second"),
            ]
            # The row of a run that has ended is not there; it is the same as a run not held.
            ended = await one.claims.release(claim)
            assert ended
            await other.runs.delete_run(samples.run_id(1))
            last = await found(one, other)
            assert Difference("run", str(samples.run_id(1)), "mob", "first") in last

    asyncio.run(check())


def test_a_held_run_differs_from_a_released_one() -> None:
    """Of a run that has ended, the row of its claim goes away with its release."""

    async def check() -> None:
        async with opened() as one, opened() as other:
            for stores in (one, other):
                await stores.runs.create_run(samples.make_run(1, status="running"))
                claim = await stores.runs.claim_next("w", ttl=60)
                assert claim is not None
                assert await stores.runs.cas_run_status(
                    claim.run.run_id, expected="running", next="completed"
                )
                if stores is one:
                    await stores.claims.release(claim)
            (difference,) = await found(one, other)
            assert difference.fields == ("due_at", "holder", "epoch", "ttl")

    asyncio.run(check())


def test_the_order_of_creation_is_not_compared() -> None:
    async def check() -> None:
        async with opened() as one, opened() as other:
            for n in (1, 2):
                await one.runs.create_run(samples.full_run(n))
                await other.runs.create_run(samples.full_run(3 - n))
            assert await found(one, other) == []

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_many_rows_over_many_pages(engine: str, tmp_path: Path) -> None:
    chance = random.Random(3)

    async def fill_in_part(stores: mobstore.MobStores, events: set[int], runs: set[int]) -> None:
        rows = [EventRow(n, "mob", "t", "mob_reset", "", '{"type":"mob_reset"}') for n in events]
        await load(stores, Put(EVENTS, rows))
        for n in runs:
            # More rows than a page has, in some runs only.
            entries = [samples.step(f"{place}") for place in range(600 * (n % 7 == 0))]
            await stores.runs.create_run(samples.make_run(n, step_ledger=entries))
            if n % 3 == 0:
                await stores.runs.append_step_entry(samples.run_id(n), samples.step("last"))

    async def check() -> None:
        events = [{n for n in range(1, 3000) if chance.random() < 0.9} for _ in range(2)]
        runs = [{n for n in range(60) if chance.random() < 0.8} for _ in range(2)]
        async with stores_of(engine, tmp_path) as one, stores_of("memory", tmp_path) as other:
            await fill_in_part(one, events[0], runs[0])
            await fill_in_part(other, events[1], runs[1])
            changed = sorted(runs[0] & runs[1])[::4]
            for n in changed:
                await other.runs.append_step_entry(samples.run_id(n), samples.step("more"))
            differences = await found(one, other)
            assert [d.key for d in differences if d.kind == "event"] == sorted(
                events[0] ^ events[1]
            )
            alone = [d.key for d in differences if d.kind == "run" and d.only_in]
            assert alone == [str(samples.run_id(n)) for n in sorted(runs[0] ^ runs[1])]
            assert [(d.key, d.fields) for d in differences if d.kind == "run" and d.fields] == [
                (str(samples.run_id(n)), ("step_ledger",)) for n in changed
            ]

    asyncio.run(check())
