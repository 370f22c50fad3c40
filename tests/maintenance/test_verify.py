"""`verify` finds damage by table and key, and repairs exactly what needs no guess."""

from __future__ import annotations

import asyncio
import gzip
import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

import mobstore
from maintenance.support import fill, load, rows_of, stores_of
from mobstore import InternalError, MobStores
from mobstore.engines.memory import MemoryEngine
from mobstore.maintenance.transfer import export_stores
from mobstore.maintenance.verification import Problem, Verification, verify
from mobstore.meerkat import import_meerkat
from mobstore.scripts.paging import page
from mobstore.scripts.tables import (
    EVENTS,
    FAILURE_LEDGER,
    META,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    FailureLedgerRow,
    RootStepOutputRow,
    RunStateRow,
    SpecRow,
)
from mobstore.scripts.transaction import Commit, Delete, Put, Scan, Script
from mobstore.testing import samples
from mobstore.testing.scripts import read_script

T = TypeVar("T")

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
ONE, TWO, NOBODY, FOUR = (str(samples.run_id(n)) for n in (1, 2, 3, 4))


class Damage(NamedTuple):
    """SQL that damages the sound store, with the table, key and message to be found."""

    sql: str
    table: str
    key: tuple[str | int, ...]
    words: str
    repairable: bool = False


def of(table: str, columns: str, where: str, key: tuple[Any, ...], words: str) -> Damage:
    return Damage(f"UPDATE {table} SET {columns} WHERE {where}", table, key, words)


def repairable(table: str, columns: str, where: str, key: tuple[Any, ...], words: str) -> Damage:
    return of(table, columns, where, key, words)._replace(repairable=True)


FIRST = f"run_id = '{ONE}'"
STORED = "is not in canonical form"
REPEATED = "does not match its kind"
NOT_TEXT = "must be text, not bytes"

LEFT: list[Damage] = [
    # Rows that cannot be read.
    of("events", "kind = '{'", "cursor = 2", (2,), "kind: not a JSON document"),
    of("events", "kind = '{\"typ\":\"new\"}'", "cursor = 2", (2,), "type: an event has one text"),
    of("events", "kind = '{\"type\":\"new\",\"x\":{\"a\":1,\"a\":1}}'", "cursor = 2", (2,),
       "fields: x: a key occurs twice in one object"),
    of("events", "timestamp = 'noon'", "cursor = 2", (2,), STORED),
    of("events", "mob_id = x'00'", "cursor = 2", (2,), "valid string"),
    of("runs", "status = 'lost'", FIRST, (ONE,), "status must be one of"),
    of("runs", "activation_params = 'nan'", FIRST, (ONE,), "activation_params: not a JSON"),
    of("runs", "created_at = ''", FIRST, (ONE,), STORED),
    of("runs", "completed_at = 'x'", FIRST, (ONE,), STORED),
    of("runs", "schema_version = -1", FIRST, (ONE,), "schema_version -1 is negative"),
    of("runs", "schema_version = 'x'", FIRST, (ONE,), "must be a whole number, not str"),
    of("runs", "flow_id = x'ff'", FIRST, (ONE,), f"flow_id {NOT_TEXT}"),
    of("runs", "number = 0", FIRST, (ONE,), "number is 0"),
    of("run_states", "flow_state = '{}'", FIRST, (ONE,), "not a kernel state"),
    of("step_ledger", "status = 'x'", f"{FIRST} AND position = 1", (ONE, 1), "status:"),
    of("step_ledger", "output = ''", f"{FIRST} AND position = 1", (ONE, 1), "output: not a JSON"),
    of("failure_ledger", "timestamp = '2026'", f"{FIRST} AND position = 1", (ONE, 1), STORED),
    of("frames", "kernel_state = '[]'", f"{FIRST} AND frame_id = ''", (ONE, ""), "kernel state"),
    of("loops", "kernel_state = '7'", f"{FIRST} AND loop_instance_id = ''", (ONE, ""), "kernel"),
    of("loop_iterations", "iteration = 'x'", f"{FIRST} AND position = 1", (ONE, 1), STORED),
    of("root_step_outputs", "output = '{'", f"{FIRST} AND step_id = 'z'", (ONE, "z"), "output: "),
    of("loop_step_outputs", "output = 'x'", f"{FIRST} AND step_id = 'z'",
       (ONE, "loop", 1, "z"), "output: not a JSON"),
    of("specs", "definition = '{}'", "mob_id = 'mob'", ("mob",), "Field required"),
    of("specs", "revision = 0", "mob_id = 'mob'", ("mob",), "revision is 0"),
    of("realm_profiles", "profile = '[]'", "name = 'p'", ("p",), "valid"),
    of("realm_profiles", "revision = -1", "name = 'p'", ("p",), "revision -1 is negative"),
    of("realm_profiles", "updated_at = 'x'", "name = 'p'", ("p",), STORED),
    Damage("INSERT INTO counters VALUES ('x', 1)", "counters", ("x",), "name must be one of"),
    of("counters", "value = 'x'", "name = 'next_run'", ("next_run",), "must be a whole number"),
    of("event_keys", "key = x'00'", "cursor = 1", (b"\0",), f"key {NOT_TEXT}"),
    of("consumers", "cursor = -1", "name = 'new'", ("new",), "cursor -1 is negative"),
    of("consumers", "updated_at = ''", "name = 'new'", ("new",), f"updated_at {STORED}"),
    of("run_claims", "holder = x'00'", f"run_id = '{TWO}'", (TWO,), f"holder {NOT_TEXT}"),
    of("run_claims", "due_at = 'noon'", f"run_id = '{FOUR}'", (FOUR,), f"due_at {STORED}"),
    of("run_claims", "epoch = 0", f"run_id = '{TWO}'", (TWO,), "epoch is 0, but the claim is held"),
    of("run_claims", "epoch = -1", f"run_id = '{FOUR}'", (FOUR,), "epoch -1 is negative"),
    of("run_claims", "ttl = 0", f"run_id = '{TWO}'", (TWO,), "ttl is 0, but the claim is held"),
    of("claims", "ttl = 3153600000000001", "name = 'held'", ("held",), "ttl"),
    of("claims", "due_at = 'noon'", "name = 'held'", ("held",), f"due_at {STORED}"),
    of("claims", "epoch = 0", "name = 'held'", ("held",), "epoch is 0, but the claim is held"),
    of("claims", "name = ''", "name = 'held'", ("",), "name must not be empty"),
    of("claims", f"name = 'run/{ONE}'", "name = 'held'", (f"run/{ONE}",), "that of a run's claim"),
    of("claims", "name = 'run/x'", "name = 'held'", ("run/x",), ""),
    # JSON that would lose something in canonical form.
    of("run_states", "flow_state = '{\"phase\":\"a\",\"fields\":{},\"more\":1}'", FIRST,
       (ONE,), "flow_state"),
    # Rows that contradict others.
    of("step_ledger", "position = 7", f"{FIRST} AND position = 2", (ONE, 7), "is not 2"),
    Damage(f"DELETE FROM step_ledger WHERE {FIRST} AND position = 0", "step_ledger", (ONE, 1),
           "its position is not 0"),
    of("failure_ledger", "position = 2", f"{FIRST} AND position = 1", (ONE, 2), "is not 1"),
    of("loop_iterations", "position = 2", f"{FIRST} AND position = 1", (ONE, 2), "is not 1"),
    of("root_step_outputs", "position = 0", f"{FIRST} AND position = 2", (ONE, "m"), "duplicate"),
    of("loop_step_outputs", "position = 5", f"{FIRST} AND position = 1", (ONE, "loop", 1, "a"),
       "its position is not 1"),
    of("runs", "number = 2", FIRST, (TWO,), "duplicate or out-of-order row"),
    Damage(f"DELETE FROM run_states WHERE {FIRST}", "run_states", (ONE,), "it is missing"),
    Damage(f"INSERT INTO run_states SELECT '{NOBODY}', flow_state FROM run_states LIMIT 1",
           "run_states", (NOBODY,), "its row in runs is missing"),
    Damage(f"INSERT INTO frames SELECT '{NOBODY}', 'f', kernel_state FROM frames LIMIT 1",
           "frames", (NOBODY, "f"), "its row in runs is missing"),
    Damage(f"INSERT INTO loops SELECT '{NOBODY}', 'l', kernel_state FROM loops LIMIT 1",
           "loops", (NOBODY, "l"), "its row in runs is missing"),
    Damage(f"INSERT INTO loop_outputs VALUES ('{NOBODY}', 'l', 1)",
           "loop_outputs", (NOBODY, "l"), "its row in runs is missing"),
    Damage(f"INSERT INTO failure_ledger VALUES ('{NOBODY}', 0, 's', 'r',"
           " '2026-03-04T05:06:07.000000000Z')",
           "failure_ledger", (NOBODY, 0), "its row in runs is missing"),
    Damage(f"INSERT INTO root_step_outputs VALUES ('{NOBODY}', 's', 0, '1')",
           "root_step_outputs", (NOBODY, "s"), "its row in runs is missing"),
    Damage(f"INSERT INTO loop_step_outputs VALUES ('{ONE}', 'else', 0, 's', 0, '1')",
           "loop_step_outputs", (ONE, "else", 0, "s"), "its row in loop_outputs is missing"),
    Damage(f"INSERT INTO loop_step_outputs VALUES ('{ONE}', 'loop', 3, 's', 0, '1')",
           "loop_step_outputs", (ONE, "loop", 3, "s"), "its loop has no such iteration"),
    Damage(f"UPDATE loop_outputs SET iterations = 1057 WHERE {FIRST} AND loop_id = 'loop'",
           "runs", (ONE,), "its loops have more iterations than their outputs allow"),
    Damage(f"UPDATE loop_outputs SET iterations = 1054 WHERE {FIRST} AND loop_id = 'never'",
           "runs", (ONE,), "its loops have more iterations than their outputs allow"),
]  # fmt: skip

REPAIRED: list[Damage] = [
    repairable("events", "type = 'mob_reset'", "cursor = 1", (1,), f"type {REPEATED}"),
    repairable("events", f"run_id = '{ONE}'", "cursor = 1", (1,), f"run_id {REPEATED}"),
    repairable("events", "run_id = ''", "cursor = 14", (14,), f"run_id {REPEATED}"),
    repairable("events", "kind = ' ' || kind", "cursor = 14", (14,), f"kind {STORED}"),
    repairable("events", "kind = CAST(kind AS BLOB)", "cursor = 14", (14,), f"kind {STORED}"),
    repairable("runs", "activation_params = '{\"b\":{ },\"a\":[1,1.00,true,null,\"\\u0000\"]}'",
             FIRST, (ONE,), f"activation_params {STORED}"),
    repairable("run_states", "flow_state = json_object('fields', json(flow_state -> '$.fields'),"
             " 'phase', flow_state ->> '$.phase')", FIRST, (ONE,), f"flow_state {STORED}"),
    repairable("step_ledger", "output = '[1 ]'", f"{FIRST} AND position = 1", (ONE, 1),
             f"output {STORED}"),
    repairable("frames", "kernel_state = kernel_state || char(10)", f"{FIRST} AND frame_id = ''",
             (ONE, ""), f"kernel_state {STORED}"),
    repairable("loops", "kernel_state = kernel_state || ' '", f"{FIRST} AND loop_instance_id = ''",
             (ONE, ""), f"kernel_state {STORED}"),
    repairable("loop_iterations", "iteration = '00'", f"{FIRST} AND position = 1", (ONE, 1),
             f"iteration {STORED}"),
    repairable("root_step_outputs", "output = output || ' '", f"{FIRST} AND step_id = 'z'",
             (ONE, "z"), f"output {STORED}"),
    repairable("loop_step_outputs", "output = ' ' || output", f"{FIRST} AND step_id = 'z'",
             (ONE, "loop", 1, "z"), f"output {STORED}"),
    repairable("specs", "definition = definition || ' '", "mob_id = 'mob'", ("mob",),
             f"definition {STORED}"),
    repairable("realm_profiles", "profile = ' ' || profile", "name = 'p'", ("p",),
             f"profile {STORED}"),
    repairable("counters", "value = 3", "name = 'next_cursor'", ("next_cursor",),
             "it is not above the last cursor"),
    repairable("counters", "value = 1", "name = 'next_run'", ("next_run",),
             "it is not above the last number"),
    Damage("DELETE FROM counters WHERE name = 'next_run'", "counters", ("next_run",),
           "it is not above the last number", repairable=True),
    repairable("counters", "value = 3", "name = 'next_epoch'", ("next_epoch",),
             "it is not above the last epoch"),  # that of a run's claim
    Damage("DELETE FROM counters WHERE name = 'next_epoch'", "counters", ("next_epoch",),
           "it is not above the last epoch", repairable=True),
    *(
        repairable("run_claims", f"{column} = {wrong}", f"run_id = '{run_id}'", (run_id,),
                 "it differs from its run")
        for run_id in (TWO, FOUR)
        for column, wrong in (
            ("number", "7"), ("mob_id", "'m'"), ("flow_id", "''"), ("status", "'running'"),
            ("status", "'lost'"),
        )
    ),
    Damage(f"INSERT INTO run_claims SELECT run_id, number, mob_id, flow_id, status, created_at,"
           f" '', 0, 0 FROM runs WHERE {FIRST}",
           "run_claims", (ONE,), "its run has ended, and is not held", repairable=True),
    Damage(f"INSERT INTO run_claims SELECT '{NOBODY}', number, mob_id, flow_id, status, created_at,"
           f" 'w', 2, 1 FROM runs WHERE {FIRST}",
           "run_claims", (NOBODY,), "its row in runs is missing", repairable=True),
    Damage(f"DELETE FROM run_claims WHERE run_id = '{FOUR}'", "run_claims", (FOUR,),
           "a run that has not ended is not there, so that no worker finds it", repairable=True),
    repairable("event_keys", "timestamp = '2026-01-01T00:00:00.000000000Z'", "cursor = 2",
             ("key 2",), "its time differs from its event's"),
    repairable("event_keys", "timestamp = ''", "cursor = 2", ("key 2",),
             "its time differs from its event's"),
    Damage("INSERT INTO event_keys VALUES ('gone', 99, '2026-01-01T00:00:00.000000000Z')",
           "event_keys", ("gone",), "its row in events is missing", repairable=True),
]  # fmt: skip


def damaged(sound: bytes, folder: Path, sql: str) -> Path:
    path = folder / "mobs.db"
    path.write_bytes(sound)
    with closing(sqlite3.connect(path)) as file:
        file.execute(sql)
        assert file.total_changes == 1
        file.commit()
    return path


async def verified(path: Path, *, repair: bool = False) -> Verification:
    async with mobstore.open_stores(f"sqlite:{path}", durability="normal") as stores:
        return await verify(stores, repair=repair)


async def rows(path: Path) -> dict[str, list[tuple[str | int, ...]]]:
    async with mobstore.open_stores(f"sqlite:{path}", durability="normal") as stores:
        return rows_of(stores)


@pytest.mark.slow
@pytest.mark.parametrize("damage", LEFT, ids=lambda damage: damage.sql)
def test_damage_that_needs_a_guess_is_reported(
    sound: bytes, damage: Damage, tmp_path: Path
) -> None:
    async def check() -> None:
        path = damaged(sound, tmp_path, damage.sql)
        before = await rows(path)
        (problem,) = (await verified(path)).problems
        assert (problem.table, problem.key) == (damage.table, damage.key)
        assert damage.words in problem.what
        assert not problem.repairable
        assert (await verified(path, repair=True)).left == (problem,)
        assert await rows(path) == before

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("damage", REPAIRED, ids=lambda damage: damage.sql)
def test_repairs_restore_the_row(sound: bytes, damage: Damage, tmp_path: Path) -> None:
    async def check() -> None:
        whole = damaged(
            sound, tmp_path, "UPDATE counters SET value = value WHERE name = 'next_run'"
        )
        before = await rows(whole)
        path = damaged(sound, tmp_path, damage.sql)
        assert await rows(path) != before
        expected = Problem(damage.table, damage.key, damage.words, repairable=True)
        found = await verified(path)
        assert found.problems == found.left == (expected,)
        repaired = await verified(path, repair=True)
        assert repaired.problems == (replace(expected, repaired=True),)
        assert repaired.left == ()
        assert await rows(path) == before
        assert (await verified(path)).problems == ()

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_a_written_store_is_sound(engine: str, tmp_path: Path) -> None:
    sample = tmp_path / "tide-desk.db"
    sample.write_bytes(gzip.decompress(SAMPLE.read_bytes()))

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            assert (await verify(stores)).problems == ()
            await import_meerkat(sample, stores)
            found = await verify(stores)
            assert found.problems == ()
            assert (found.rows["events"], found.rows["runs"]) == (99, 8)
        async with stores_of(engine, tmp_path) as stores:
            await fill(stores)  # with hostile values
            assert (await verify(stores)).problems == ()
            await stores.events.clear()
            for header in await stores.runs.run_headers():
                await stores.runs.delete_run(header.run_id)
            assert (await verify(stores)).problems == ()

    asyncio.run(check())


def test_in_memory() -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.runs.create_run(samples.full_run(1))
            await stores.events.append_batch([samples.event()] * 3)
            (event, *_) = await stores.engine.read(read_script(Scan(EVENTS)))
            await load(
                stores,
                Put(EVENTS, (event._replace(cursor=9, type="mob_reset"),)),
                Delete(STEP_LEDGER, (ONE, 1)),
                Put(RUN_STATES, (RunStateRow(TWO, "{}"),)),
            )
            found = await verify(stores, repair=True)
            assert [(p.table, p.key, p.repairable, p.repaired) for p in found.problems] == [
                ("counters", ("next_cursor",), True, True),
                ("events", (9,), True, True),
                ("run_states", (TWO,), False, False),
                ("run_states", (TWO,), False, False),
                ("step_ledger", (ONE, 2), False, False),
            ]
            assert await stores.events.latest_cursor() == 9
            assert (await verify(stores)).problems == found.left

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_damage_far_in(engine: str, tmp_path: Path) -> None:
    """Faults are found beyond the first page, and do not hide or cause others."""
    reports: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        reports.append((done, total))

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.events.append_batch([samples.event()] * 3000)
            outputs = {f"{n}": n for n in range(1500)}
            steps = [samples.step(f"{n}") for n in range(1500)]
            for n in (1, 2):
                run = samples.make_run(n, step_ledger=steps, root_step_outputs=outputs)
                await stores.runs.create_run(run)
            events = await stores.engine.read(read_script(Scan(EVENTS)))
            outs = await stores.engine.read(read_script(Scan(ROOT_STEP_OUTPUTS, (ONE,))))
            moved = [row._replace(position=700) for row in outs if row.position > 700]
            await load(
                stores,
                Put(EVENTS, [row._replace(kind="{}") for row in events[::500]]),
                Delete(STEP_LEDGER, (ONE, 1000)),
                Put(ROOT_STEP_OUTPUTS, moved),
            )
            found = await verify(stores, progress=tell)
            by_table = {
                table: [p.key[-1] for p in found.problems if p.table == table]
                for table in {p.table for p in found.problems}
            }
            assert by_table == {
                "events": [1, 501, 1001, 1501, 2001, 2501],
                "step_ledger": [1001],
                "root_step_outputs": by_table["root_step_outputs"],
            }
            assert len(by_table["root_step_outputs"]) == len(moved) == 799
            assert all("duplicate" in p.what for p in found.problems if "root" in p.table)

    asyncio.run(check())
    assert reports[-1] == (reports[-1][1],) * 2 == (3000 + 2 * 3002 + 2 + 2 - 1 + 1,) * 2


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_more_problems_than_are_listed(engine: str, tmp_path: Path) -> None:
    """Ten thousand problems are listed, then counted; the store is never called sound."""

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.runs.create_run(samples.make_run(1))
            step = FailureLedgerRow(ONE, 0, "s", "r", "noon")
            await load(
                stores,
                Put(FAILURE_LEDGER, [step._replace(position=n) for n in range(10_100)]),
                Delete(META, ("identity",)),
            )
            found = await verify(stores)
            assert len(found.problems) == 10_001
            assert found.problems[0].table == "meta"
            last = found.problems[-1]
            assert (last.table, last.key) == ("", ())
            assert last.what == "there are 101 more problems than are listed"
            repaired = await verify(stores, repair=True)
            assert len(repaired.left) == 10_000, "one was repaired"

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_long_keys_are_not_all_listed(engine: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            rows = [SpecRow(f"{n}{'k' * 2**20}", 0, "{}") for n in range(40)]
            await load(stores, Put(SPECS, rows))
            found = await verify(stores)
            assert [len(p.key) for p in found.problems] == [*[1] * 15, 0]
            assert found.problems[-1].what == "there are 25 more problems than are listed"

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_rows_at_one_position_are_not_all_read(engine: str, tmp_path: Path) -> None:
    """Of thousands of rows at one position, some are read and reported."""

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.runs.create_run(samples.make_run(1))
            await stores.runs.create_run(samples.make_run(2, root_step_outputs={"s": 1}))
            rows = [RootStepOutputRow(ONE, f"{n}", 0, "1") for n in range(5000)]
            await load(stores, Put(ROOT_STEP_OUTPUTS, [*rows, rows[0]._replace(position=1)]))
            pages: list[int] = []
            after = None

            def script() -> Script[list[RootStepOutputRow]]:
                return Commit((yield from page(ROOT_STEP_OUTPUTS_BY_POSITION, after, 4)))

            while some := await stores.engine.read(script):
                pages.append(len(some))
                after = (some[-1].run_id, some[-1].position)
            assert pages == [1024, 2]
            found = await verify(stores)
            assert {p.table for p in found.problems} == {"root_step_outputs"}
            assert 1000 < len(found.problems) <= 1024
            with pytest.raises(mobstore.SerializationError, match="duplicate or out-of-order row"):
                await export_stores(stores, io.BytesIO())

    asyncio.run(check())


def test_a_row_that_lacks_a_part_of_its_key(tmp_path: Path) -> None:
    """SQLite reads the missing columns of a truncated record as NULL."""
    path = tmp_path / "mobs.db"

    async def fill() -> None:
        async with mobstore.open_stores(path) as stores:
            await stores.runs.create_run(samples.make_run(1, root_step_outputs={"s": 1}))
            await stores.runs.create_run(samples.make_run(2))

    async def check() -> None:
        async with mobstore.open_stores(path) as stores:
            with pytest.raises(mobstore.SerializationError, match="lacks a part of its key"):
                await verify(stores)
            with pytest.raises(mobstore.SerializationError, match="its number is not a number"):
                await export_stores(stores, io.BytesIO())
            with pytest.raises(mobstore.SerializationError, match=f"run {TWO} cannot be read"):
                await stores.runs.run_headers(after=TWO)

    asyncio.run(fill())
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        kept = dict(file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        file.execute("PRAGMA writable_schema = ON")
        for table in ("root_step_outputs", "runs"):
            file.execute(
                "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = ?",
                (table,),
            )
        file.execute("PRAGMA writable_schema = RESET")
        file.execute("UPDATE root_step_outputs SET position = NULL")
        file.execute("UPDATE runs SET number = NULL WHERE run_id = ?", (TWO,))
        file.execute("PRAGMA writable_schema = ON")
        for name, sql in kept.items():
            file.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, name))
    asyncio.run(asyncio.wait_for(check(), 20))


@pytest.mark.parametrize(
    "time", ["\x1b[31mred\x1b[0m 00:00:00.000000000Z", "[/nope]", "9" * 30, ""]
)
def test_an_invalid_time_is_never_returned(time: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            await stores.events.append(samples.event())
            await stores.runs.create_run(samples.full_run(1))
            await stores.realm_profiles.create("p", samples.profile())
            events = await stores.engine.read(read_script(Scan(EVENTS)))
            runs = await stores.engine.read(read_script(Scan(RUNS)))
            profiles = await stores.engine.read(read_script(Scan(REALM_PROFILES)))
            await load(
                stores,
                Put(EVENTS, [row._replace(timestamp=time) for row in events]),
                Put(RUNS, [row._replace(created_at=time) for row in runs]),
                Put(REALM_PROFILES, [row._replace(updated_at=time) for row in profiles]),
            )
            for call, name in (
                (stores.events.replay_all(), "table events, cursor 1"),
                (stores.runs.get_run(ONE), f"run {ONE}"),
                (stores.runs.run_headers("mob"), f"run {ONE}"),
                (stores.realm_profiles.get("p"), "table realm_profiles, name p"),
            ):
                with pytest.raises(mobstore.SerializationError, match=f"{name} cannot be read"):
                    await call
            found = {(p.table, p.what) for p in (await verify(stores)).problems}
            assert found == {
                ("events", f"timestamp {STORED}"),
                ("runs", f"created_at {STORED}"),
                ("realm_profiles", f"updated_at {STORED}"),
            }

    asyncio.run(check())


def test_others_may_write_during_a_verification(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    path.write_bytes(sound)

    async def check() -> None:
        async with mobstore.open_stores(f"sqlite:{path}", durability="normal") as stores:
            await stores.events.append_batch([samples.event()] * 3000)
            looking = asyncio.create_task(verify(stores, repair=True))
            written = 0
            while not looking.done():
                await stores.events.append(samples.event())
                await stores.runs.append_step_entry(samples.run_id(1), samples.step(f"{written}"))
                written += 1
            assert (await looking).problems == ()
            assert written > 3

    asyncio.run(check())


@pytest.mark.slow
def test_a_file_with_bytes_overwritten(sound: bytes, tmp_path: Path) -> None:
    """The file is rejected on opening, or the damage is reported; it never passes for sound."""
    path = tmp_path / "mobs.db"
    rejected = reported = 0

    async def check() -> None:
        nonlocal rejected, reported
        for place in range(4096, len(sound), 4096):
            path.write_bytes(sound[:place] + b"\xa5" * 64 + sound[place + 64 :])
            try:
                assert (await verified(path)).left, place
                reported += 1
            except mobstore.MobStoreError:
                rejected += 1

    asyncio.run(check())
    assert reported > 10


class Paged(MemoryEngine):
    """An engine with a check of its own, which ends once rows are read, or is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.cancelled = asyncio.Event(), False

    async def faults(self) -> list[str]:
        try:
            await self.reading.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return ["page 7 is damaged"]

    async def read(self, make: Callable[[], Script[T]]) -> T:
        self.reading.set()
        return await super().read(make)


def test_pages_and_rows_are_checked_at_the_same_time() -> None:
    async def check() -> None:
        found = await verify(MobStores(Paged()))
        assert [one.what for one in found.problems] == ["page 7 is damaged"]

    asyncio.run(asyncio.wait_for(check(), 60))


def test_the_check_of_pages_ends_with_that_of_rows() -> None:
    class Failing(Paged):
        async def read(self, make: Callable[[], Script[T]]) -> T:  # noqa: ARG002 - fails first
            await asyncio.sleep(0)
            raise InternalError("a row")

    async def check() -> None:
        engine = Failing()
        with pytest.raises(InternalError, match="a row"):
            await verify(MobStores(engine))
        assert engine.cancelled

    asyncio.run(asyncio.wait_for(check(), 60))
