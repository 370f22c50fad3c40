"""Cases of an engine's own rules: answers to reads, all-or-nothing writes, order of scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mobstore.errors import InternalError
from mobstore.scripts.tables import (
    EVENTS,
    EVENTS_BY_MOB,
    EVENTS_BY_TIME,
    FRAMES,
    LOOP_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS_BY_POSITION,
    SPECS,
    STEP_LEDGER,
    STEP_LEDGER_BY_STEP,
    EventRow,
    FrameRow,
    Key,
    LoopStepOutputRow,
    Row,
    SpecRow,
    StepLedgerRow,
)
from mobstore.scripts.transaction import (
    Commit,
    Count,
    Delete,
    DeleteRange,
    Engine,
    Get,
    LoadingScript,
    Now,
    Put,
    Scan,
    Script,
    Write,
    fetch,
)
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import (
    BY_CODE_POINT,
    definition,
    event,
    make_run,
    profile,
    state,
    step,
    timestamp,
)
from mobstore.testing.scripts import load_script, read_script, write_script
from mobstore.testing.subject import Subject


def _event(cursor: int, mob: str = "mob", time: str = "t") -> EventRow:
    return EventRow(cursor, mob, time, "mob_reset", "", '{"type":"mob_reset"}')


def _step(run: str, position: int, step_id: str = "step") -> StepLedgerRow:
    return StepLedgerRow(run, position, step_id, "ann", "failed", "null", "t")


def _specs(*revisions: int) -> tuple[SpecRow, ...]:
    return tuple(SpecRow(f"mob {n}", revision, "{}") for n, revision in enumerate(revisions))


async def _rows(engine: Engine, scan: Scan[Any]) -> list[Row]:
    return list(await engine.read(read_script(scan)))


@case("engine.get.row")
async def gets_rows(subject: Subject) -> None:
    """A get returns the row of exactly this key, of its type, or None; a put replaces it."""
    engine = (await subject.open()).engine
    same(await engine.read(read_script(Get(SPECS, ("mob 0",)))), None, "a row of an empty table")
    await engine.write(write_script(Put(SPECS, _specs(1, 2))))
    await engine.write(write_script(Put(SPECS, _specs(3))))
    same(await engine.read(read_script(Get(SPECS, ("mob 0",)))), _specs(3)[0], "a row replaced")
    same(await engine.read(read_script(Get(SPECS, ("mob 1",)))), _specs(1, 2)[1], "a row beside it")
    same(await engine.read(read_script(Get(SPECS, ("MOB 0",)))), None, "a key in capitals")
    same(
        await engine.read(read_script(Get(FRAMES, ("mob 0", "")))), None, "the key in another table"
    )


@case("engine.scan.order")
async def scans_in_order(subject: Subject) -> None:
    """A scan orders integers by size and text by code point, in both directions."""
    engine = (await subject.open()).engine
    numbers = [10, 2, 1, 300, 0, 2**53, 2**63 - 1, 9]
    await engine.write(write_script(Put(STEP_LEDGER, [_step("b", n) for n in numbers])))
    await engine.write(write_script(Put(STEP_LEDGER, [_step("a", 5), _step("c", 5), _step("", 5)])))
    want = [_step("b", n) for n in sorted(numbers)]
    same(await _rows(engine, Scan(STEP_LEDGER, ("b",))), want, "rows by number")
    got = await _rows(engine, Scan(STEP_LEDGER, ("b",), backwards=True))
    same(got, want[::-1], "rows by number, backwards")
    frames = [FrameRow("b", name, "{}") for name in BY_CODE_POINT]
    await engine.write(write_script(Put(FRAMES, (*frames[1::2], *frames[::-2]))))
    same(await _rows(engine, Scan(FRAMES, ("b",))), frames, "rows by name")
    got = await _rows(engine, Scan(FRAMES, ("b",), backwards=True))
    same(got, frames[::-1], "rows by name, backwards")
    same(await _rows(engine, Scan(FRAMES, ("c",))), [], "rows of a prefix that none has")


@case("engine.scan.bounds")
async def scans_within_bounds(subject: Subject) -> None:
    """`after` and `before` exclude the value itself; a limit counts in the scan's direction."""
    engine = (await subject.open()).engine
    await engine.write(write_script(Put(EVENTS, [_event(n, time=f"t{n}") for n in range(1, 8)])))
    scans: tuple[tuple[dict[str, Any], list[int]], ...] = (
        ({"after": 2}, [3, 4, 5, 6, 7]), ({"before": 3}, [1, 2]), ({"after": 5, "before": 2}, []),
        ({"after": 4, "before": 5}, []), ({"after": 7}, []), ({"after": 2, "before": 5}, [3, 4]),
        ({"limit": 0}, []), ({"after": 0}, [1, 2, 3, 4, 5, 6, 7]),
        ({"limit": 2}, [1, 2]), ({"limit": 2, "backwards": True}, [7, 6]),
        ({"after": 2, "limit": 2}, [3, 4]), ({"before": 5, "limit": 1, "backwards": True}, [4]),
        ({"after": 2, "before": 6, "limit": 9, "backwards": True}, [5, 4, 3]),
    )  # fmt: skip
    for bounds, want in scans:
        cursors = [row[0] for row in await _rows(engine, Scan(EVENTS, **bounds))]
        same(cursors, want, f"cursors of a scan with {bounds}")
        if "limit" not in bounds:
            counted = await engine.read(read_script(Count(Scan(EVENTS, **bounds))))
            same(counted, len(want), f"count of a scan with {bounds}")
    got = await _rows(engine, Scan(EVENTS_BY_TIME, after="t2", before="t5"))
    same(got, [_event(3, time="t3"), _event(4, time="t4")], "rows by another index")


@case("engine.scan.values")
async def scans_by_any_values(subject: Subject) -> None:
    """A scan may have fewer values than its index's prefix, none at all, or more."""
    engine = (await subject.open()).engine
    outputs = [
        LoopStepOutputRow(run, loop, iteration, "step", 0, "null")
        for run in ("", "a", "\uffff")
        for loop in ("", "b")
        for iteration in (0, 2, 10)
    ]
    await engine.write(write_script(Put(LOOP_STEP_OUTPUTS, (*outputs[1::2], *outputs[::2]))))
    scans: tuple[tuple[Key, dict[str, Any], slice], ...] = (
        ((), {}, slice(18)), ((), {"after": ""}, slice(6, 18)), ((), {"before": "a"}, slice(6)),
        ((), {"after": "", "limit": 7}, slice(6, 13)), (("a", "b"), {}, slice(9, 12)),
        (("a", "b"), {"after": 0}, slice(10, 12)), (("a", "b"), {"before": 10}, slice(9, 11)),
        (("a", "b", 2), {}, slice(10, 11)), (("a", "b", 2), {"after": "r"}, slice(10, 11)),
        (("a", "b", 2, "step"), {}, slice(10, 11)), (("a", "b", 3), {}, slice(0)),
    )  # fmt: skip
    for values, bounds, want in scans:
        for index in (LOOP_STEP_OUTPUTS, LOOP_STEP_OUTPUTS_BY_POSITION):
            if index is LOOP_STEP_OUTPUTS_BY_POSITION and len(values) > 2:
                continue  # the rest of the key is a position, not a step
            got = await _rows(engine, Scan(index, values, **bounds))
            same(got, outputs[want], f"rows of {index.name} with {values} and {bounds}")
    got = await _rows(engine, Scan(LOOP_STEP_OUTPUTS, limit=7, backwards=True))
    same(got, outputs[:-8:-1], "the last rows of the table, backwards")
    same(await engine.read(read_script(Count(Scan(LOOP_STEP_OUTPUTS)))), 18, "count of the table")
    await engine.write(write_script(Put(EVENTS, [_event(1), _event(2)])))
    same(await _rows(engine, Scan(EVENTS, (2,))), [_event(2)], "the row of a whole key")
    await engine.write(write_script(DeleteRange(Scan(LOOP_STEP_OUTPUTS, before="\uffff"))))
    got = await _rows(engine, Scan(LOOP_STEP_OUTPUTS))
    same(got, outputs[12:], "rows left after a deletion by fewer values")


@case("engine.scan.indexes")
async def keeps_indexes(subject: Subject) -> None:
    """Replaced and deleted rows are found at once under their new keys, and only there."""
    engine = (await subject.open()).engine
    rows = [_step("r", n, f"{n % 2}") for n in range(6)]
    await engine.write(write_script(Put(STEP_LEDGER, rows)))
    moved = _step("r", 2, "1")
    await engine.write(write_script(Put(STEP_LEDGER, (moved,)), Delete(STEP_LEDGER, ("r", 3))))
    got = await _rows(engine, Scan(STEP_LEDGER_BY_STEP, ("r", "1")))
    same(got, [rows[1], moved, rows[5]], "rows of the step that one moved to")
    got = await _rows(engine, Scan(STEP_LEDGER_BY_STEP, ("r", "0")))
    same(got, [rows[0], rows[4]], "rows of the step that one moved from")
    await engine.write(write_script(Put(EVENTS, [_event(1, "a", "t2"), _event(2, "b", "t1")])))
    await engine.write(write_script(DeleteRange(Scan(EVENTS_BY_TIME, before="t2"))))
    same(await _rows(engine, Scan(EVENTS_BY_MOB, ("b",))), [], "a removed row, by its mob")
    same(await _rows(engine, Scan(EVENTS)), [_event(1, "a", "t2")], "the rows that are left")


@case("engine.write.in-order")
async def writes_in_order(subject: Subject) -> None:
    """All writes of a script are made, in order; the last write of a key counts."""
    engine = (await subject.open()).engine
    one, two, three = _specs(1, 2, 3)
    await engine.write(write_script(
        Put(SPECS, (one, two)), Delete(SPECS, (one.mob_id,)), Put(SPECS, (three,)),
        Delete(SPECS, ("never there",)), Put(SPECS, (one._replace(revision=9),)),
        Put(SPECS, (two._replace(revision=7), two._replace(revision=8))),
        Put(EVENTS, (_event(1),)), DeleteRange(Scan(EVENTS)), Put(EVENTS, (_event(2),)),
    ))  # fmt: skip
    want = [one._replace(revision=9), two._replace(revision=8), three]
    same(await _rows(engine, Scan(SPECS)), want, "the specs")
    same(await _rows(engine, Scan(EVENTS)), [_event(2)], "the events")


@case("engine.write.refused")
async def writes_nothing_after_an_error(subject: Subject) -> None:
    """A failing script writes nothing and raises its error; scripts beside it write."""
    engine = (await subject.open()).engine

    def failing() -> Script[None]:
        yield from fetch(Get(SPECS, ("mob 0",)))
        raise InternalError("raised by the script")

    calls = [
        engine.write(failing if n % 3 == 1 else write_script(Put(EVENTS, (_event(n),))))
        for n in range(20)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for n, result in enumerate(results):
        want = "Internal error: raised by the script" if n % 3 == 1 else "None"
        same(str(result), want, f"the outcome of script {n}")
    got = [row[0] for row in await _rows(engine, Scan(EVENTS))]
    same(got, [n for n in range(20) if n % 3 != 1], "the rows of the others")


@case("engine.write.one-by-one")
async def runs_scripts_one_by_one(subject: Subject) -> None:
    """A script sees all earlier writes, and nothing changes between its reads."""
    engine = (await subject.open()).engine
    (row,) = _specs(0)

    def adding() -> Script[bool]:
        first = yield from fetch(Get(SPECS, (row.mob_id,)))
        again, events = yield from fetch(Get(SPECS, (row.mob_id,)), Count(Scan(EVENTS)))
        revision = 0 if first is None else first.revision
        writes: tuple[Write, ...] = (
            Put(SPECS, (row._replace(revision=revision + 1),)),
            Put(EVENTS, (_event(revision + 1),)),
        )
        return Commit(first == again and events == revision, writes)

    steady = await asyncio.gather(*(engine.write(adding) for _ in range(40)))
    same(list(steady), [True] * 40, "whether a script's reads agree")
    same(await engine.read(read_script(Count(Scan(EVENTS)))), 40, "rows, one for each script")
    same(await _rows(engine, Scan(SPECS)), [row._replace(revision=40)], "the counting row")


@case("engine.load.all-or-none")
async def loads_all_or_none(subject: Subject) -> None:
    """A load sees its own writes; if it raises, exactly these are rolled back."""
    engine = (await subject.open()).engine
    before = _specs(1, 1, 1)
    await engine.write(write_script(Put(SPECS, before), Put(EVENTS, (_event(1),))))
    writes: tuple[Write, ...] = (
        Put(SPECS, _specs(5, 5)), Delete(SPECS, ("mob 2",)), DeleteRange(Scan(EVENTS)),
        Put(EVENTS, [_event(n) for n in range(2, 50)]),
    )  # fmt: skip
    failing = load_script(*writes, error=InternalError("raised by the script"))
    call = engine.load(failing)
    await expect_error(InternalError, call, "a load that fails at its end")
    same(await _rows(engine, Scan(SPECS)), list(before), "the specs after it")
    same(await _rows(engine, Scan(EVENTS)), [_event(1)], "the events after it")

    def counting() -> LoadingScript[int]:
        for write in writes:
            yield (write,)
        (count,) = yield (Count(Scan(EVENTS)),)
        return Commit(count, (Put(SPECS, (SpecRow("last", 1, "{}"),)),))

    counted = await engine.load(counting)
    same(counted, 48, "rows that the load itself counts")
    want = [SpecRow("last", 1, "{}"), *_specs(5, 5)]
    same(await _rows(engine, Scan(SPECS)), want, "the specs after a load")
    same(len(await _rows(engine, Scan(EVENTS))), 48, "the events after a load")


@case("engine.now.clock")
async def reads_the_clock(subject: Subject) -> None:
    """`Now` is the time of the store's clock as sortable text, when the script runs."""
    engine = (await subject.open()).engine

    def timed(*writes: Write) -> Script[list[str]]:
        (alone,) = yield (Now(),)
        before, _, after = yield (Now(), Get(SPECS, ("spec",)), Now())
        return Commit([alone, before, after], writes)

    def loading() -> LoadingScript[list[str]]:
        first, _ = yield (Now(), Put(SPECS, (SpecRow("loaded", 1, "{}"),)))
        second, third = yield (Now(), Now())
        return Commit([first, second, third])

    for subject.clock.now in (timestamp(1), timestamp(10**9), timestamp(-1)):
        expected = [subject.clock.now.sortable] * 3
        read = await engine.read(timed)
        same(read, expected, "the time while reading")
        written = await engine.write(lambda: timed(Put(SPECS, (SpecRow("spec", 1, "{}"),))))
        same(written, expected, "the time while writing")
        loaded = await engine.load(loading)
        same(loaded, expected, "the time while loading")


@case("engine.listen.tells")
async def notifies_of_commits(subject: Subject) -> None:
    """Listeners are called after every commit, of a write or of a load."""
    engine = (await subject.open()).engine
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(told.set)

    stop = engine.listen(wake)
    await engine.write(write_script(Put(SPECS, _specs(1))))
    await told.wait()
    told.clear()
    await engine.load(load_script(Put(SPECS, _specs(2))))
    await told.wait()
    stop()


@case("engine.close.refuses")
async def rejects_after_close(subject: Subject) -> None:
    """A closed store rejects every call with `InternalError`; closing it twice is allowed."""
    stores = await subject.open()
    run = make_run()
    await stores.close()
    await stores.close()
    run_key = run.run_id
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "read": lambda: stores.engine.read(read_script(Get(SPECS, ("mob",)))),
        "write": lambda: stores.engine.write(write_script(Put(SPECS, _specs(1)))),
        "load": lambda: stores.engine.load(load_script(Put(SPECS, _specs(1)))),
        "append": lambda: stores.events.append(event()),
        "replay_all": stores.events.replay_all,
        "poll": stores.events.poll,
        "get_run": lambda: stores.runs.get_run(run_key),
        "create_run": lambda: stores.runs.create_run(run),
        "append_step_entry": lambda: stores.runs.append_step_entry(run_key, step()),
        "cas_flow_state": lambda: stores.runs.cas_flow_state(
            run_key, expected=state(0), next=state(1)
        ),
        "put_spec": lambda: stores.specs.put_spec("mob", definition()),
        "profiles.create": lambda: stores.realm_profiles.create("name", profile()),
    }
    for what, call in calls.items():
        await expect_error(InternalError, call(), f"{what} after close")


@case("engine.close.waits")
async def close_waits(subject: Subject) -> None:
    """Closing waits for calls that have started, and each of them ends normally."""
    stores = await subject.open()
    calls = [asyncio.create_task(stores.events.append(event())) for _ in range(20)]
    await asyncio.sleep(0)
    await stores.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    cursors = sorted(getattr(result, "cursor", 0) for result in results)
    same(cursors, list(range(1, 21)), "cursors of calls that started before closing")
