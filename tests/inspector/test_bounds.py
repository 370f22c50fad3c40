"""Stores with more and longer data than the page can show: results are cut and say so."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from inspector.eventlog import Slice
from inspector.roster import RosterFold
from mobstore import FlowId, KernelState, MobId, MobRun, RunId, Timestamp
from mobstore.scripts.tables import (
    EVENTS,
    FAILURE_LEDGER,
    FRAMES,
    LOOP_STEP_OUTPUTS,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    EventRow,
    FailureLedgerRow,
    FrameRow,
    LoopStepOutputRow,
    RealmProfileRow,
    RootStepOutputRow,
    RunStateRow,
    SpecRow,
    StepLedgerRow,
    Table,
)
from mobstore.scripts.transaction import Add, Commit, Get, Put, Script
from mobstore.testing.samples import run_id
from support.pages import Page

pytestmark = pytest.mark.slow

RUN = str(run_id(1))
AT = Timestamp("2026-01-01T00:00:00Z")
MOMENT = AT.sortable
HUGE = 80 * 2**20
"""The longest text that a store accepts, in characters."""
MANY = 30_000


def add(page: Page, table: Table[Any], rows: Sequence[Any]) -> None:
    """Add rows to the store without any checks."""

    def script() -> Script[None]:
        yield ()
        return Commit(None, (Add(table, rows),))

    page.run(page.stores.engine.write(script))


def make_run(page: Page) -> None:
    run = MobRun(
        run_id=RunId(run_id(1)),
        mob_id=MobId("m"),
        flow_id=FlowId("f"),
        status="running",
        flow_state=KernelState("Running"),
        activation_params=None,
        created_at=AT,
        step_ledger=(),
        failure_ledger=(),
    )
    page.run(page.stores.runs.create_run(run))


@contextmanager
def little_memory(most: int = 30_000_000) -> Generator[None]:
    """Check that the block allocates at most so many bytes at a time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most


# Documents -------------------------------------------------------------------------------------


def test_a_huge_value_is_cut(page: Page) -> None:
    make_run(page)
    value = json.dumps("x" * (HUGE - 2))
    add(page, STEP_LEDGER, [StepLedgerRow(RUN, 0, "s", "m", "completed", value, MOMENT)])
    with little_memory():
        (entry,) = page.ask("ledger", run_id=RUN, which="step")["entries"]
        assert len(entry["preview"]) == 200
        document = page.ask("document", ref=entry["entry"])
        assert len(page.ask("run", run_id=RUN)["timeline"]["bars"]) == 1
    assert document["text"].startswith('"xxx')
    assert document["text"].endswith(f"… ({HUGE - 200_000:,} more characters)")
    assert "too many to decode here" in document["note"]
    assert len(document["text"]) + len(document["stored"]) < 401_000


def test_deep_indentation_is_bounded(page: Page) -> None:
    """Check 600 kB of JSON with an indented form of 75 MB."""
    make_run(page)
    deep = "[" * 120 + ",".join(["1"] * 300_000) + "]" * 120
    add(page, ROOT_STEP_OUTPUTS, [RootStepOutputRow(RUN, "s", 0, deep)])
    (output,) = page.ask("outputs", run_id=RUN)["outputs"]
    with little_memory():
        document = page.ask("document", ref=output["output"])
    assert len(document["text"]) == 200_000
    assert document["note"] == "Only the beginning is shown. Export the store to get all of it."


def test_a_moderate_value_is_whole(page: Page) -> None:
    make_run(page)
    add(page, ROOT_STEP_OUTPUTS, [RootStepOutputRow(RUN, "s", 0, json.dumps("x" * 100_000))])
    (output,) = page.ask("outputs", run_id=RUN)["outputs"]
    document = page.ask("document", ref=output["output"])
    assert document["note"] == ""
    assert json.loads(document["text"]) == json.loads(document["stored"]) == "x" * 100_000


# Runs ------------------------------------------------------------------------------------------


def test_a_run_with_a_long_ledger(page: Page) -> None:
    make_run(page)
    rows = [
        StepLedgerRow(
            RUN, n, f"s-{n // 2}", "m", "completed" if n % 2 else "dispatched", "1", MOMENT
        )
        for n in range(MANY)
    ]
    add(page, STEP_LEDGER, rows)
    run = page.ask("run", run_id=RUN)
    assert run["header"]["steps"] == MANY
    assert len(run["timeline"]["bars"]) == 10_000
    assert run["timeline"]["left_out"] == MANY - 20_000
    last = page.ask("ledger", run_id=RUN, which="step", offset=MANY - 1)
    assert [entry["step_id"] for entry in last["entries"]] == [f"s-{MANY // 2 - 1}"]


def test_a_run_with_long_outputs_and_names(page: Page) -> None:
    """Check a ledger that takes 100 MB if it is read at once."""
    make_run(page)
    long = "x" * 1_000_000
    rows = [StepLedgerRow(RUN, n, f"s{n}", f"m{n}", "dispatched", long, MOMENT) for n in range(100)]
    add(page, STEP_LEDGER, rows)
    with little_memory():
        run = page.ask("run", run_id=RUN)
        assert len(page.ask("ledger", run_id=RUN, which="step")["entries"]) == 100
    assert len(run["timeline"]["bars"]) == 100

    name = "n" * 60_000
    add(
        page,
        STEP_LEDGER,
        [
            StepLedgerRow(RUN, n, f"{n}{name}", f"{n}{name}", "dispatched", "1", MOMENT)
            for n in range(100, 1000)
        ],
    )
    run = page.ask("run", run_id=RUN)
    assert 200 < len(run["timeline"]["bars"]) == 1000 - run["timeline"]["left_out"] < 1000
    assert len(json.dumps(run)) < 1_000_000


def test_a_run_with_many_frames_of_long_states(page: Page) -> None:
    make_run(page)
    state = KernelState("Running", {"ordered_nodes": ("n",)}).to_json()
    add(page, FRAMES, [FrameRow(RUN, f"f-{n:05}", state) for n in range(10_500)])
    many = KernelState("Running", {"ordered_nodes": tuple(f"n{n}" for n in range(600))}).to_json()
    huge = f'{{"phase":"Running","x":"{"x" * 5_000_000}"}}'
    add(page, FRAMES, [FrameRow(RUN, "a-huge", huge), FrameRow(RUN, "a-many", many)])
    run = page.ask("run", run_id=RUN)
    assert len(run["tree"]) == 10_000
    assert run["tree_left_out"] == 502
    asked = [branch["id"] for branch in run["tree"]]
    frames = page.ask("nodes", run_id=RUN, frame_ids=asked)["frames"]
    assert [len(frame["nodes"]) for frame in frames] == [0, 500, *[1] * 498]


def test_a_run_with_many_outputs(page: Page) -> None:
    make_run(page)
    add(page, ROOT_STEP_OUTPUTS, [RootStepOutputRow(RUN, f"s{n}", n, "1") for n in range(3000)])
    loops = [LoopStepOutputRow(RUN, "l", n, "s", 0, "1") for n in range(2500)]
    add(page, LOOP_STEP_OUTPUTS, loops)
    found = page.ask("outputs", run_id=RUN)
    assert (len(found["outputs"]), found["left_out"]) == (5000, 500)
    assert [each["iteration"] for each in found["outputs"][-2000:]] == list(range(2000))


def test_a_long_reason(page: Page) -> None:
    make_run(page)
    add(page, FAILURE_LEDGER, [FailureLedgerRow(RUN, 0, "s", "r" * 1_000_000, MOMENT)])
    (entry,) = page.ask("ledger", run_id=RUN, which="failure")["entries"]
    assert entry["reason"] == f"{'r' * 10_000}… (990,000 more characters)"


def racing(*winners: str | int) -> KernelState:
    """Return the state of a race."""
    return KernelState("Racing", {"winners": winners, "epochs": tuple(range(len(winners)))})


@pytest.mark.parametrize(
    ("params", "state"),
    [
        ('{"rounds":1e400}', racing()),
        ('{"rounds":1001}', racing()),
        ('{"rounds":2}', racing("a", "b", "c")),
        ('{"rounds":2}', racing(1)),
        ('{"rounds":2}', KernelState("Racing", {"winners": "ab", "epochs": (1, 2)})),
        ('{"rounds":2}', KernelState("Racing", {"winners": ("a",), "epochs": ()})),
        ('{"rounds":2}', KernelState("Racing", {"winners": ("a",), "epochs": ("1",)})),
        ('{"rounds":2}', KernelState("Racing")),
        ("[]", racing()),
        ("null", racing(*["x" * 200] * 1000)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_corrupt_race(page: Page, params: str, state: KernelState) -> None:
    race = page.ask("race_open", rounds=2)["run_id"]

    def script() -> Script[None]:
        (row,) = yield (Get(RUNS, (race,)),)
        states = Put(RUN_STATES, [RunStateRow(race, state.to_json())])
        return Commit(None, (Put(RUNS, [row._replace(activation_params=params)]), states))

    page.run(page.stores.engine.write(script))
    failure = page.failure("race_state", run_id=race)
    assert failure["kind"] == "data"
    assert page.failure("race", run_id=race, who="me")["kind"] == "data"


def test_a_foreign_run_of_the_demo_flow(page: Page) -> None:
    run = page.ask("demo_start")["run_id"]
    rows = [FrameRow(run, f"f-{n}", "x" * 1_000_000) for n in range(100)]
    add(page, FRAMES, rows)
    with little_memory(5_000_000):
        assert page.ask("demo_state")["run_id"] is None
        assert "another version" in page.failure("demo_move", run_id=run, who="a")["message"]


# Events ----------------------------------------------------------------------------------------


def test_events_come_in_pages_of_bounded_size(page: Page) -> None:
    kind = json.dumps({"type": "mob_reset", "meerkat_id": "m", "x": "x" * 1_000_000})
    add(page, EVENTS, [EventRow(n, "m", MOMENT, "mob_reset", "", kind) for n in range(1, 101)])
    cursors: list[int] = []
    with little_memory(60_000_000):
        while True:
            found = page.ask("events", after_cursor=cursors[-1] if cursors else 0, limit=70)
            assert 0 < len(found["events"]) <= 70
            cursors += [event["cursor"] for event in found["events"]]
            if found["next"] is None:
                break
    assert cursors == list(range(1, 101))
    assert page.ask("roster", mob_id="m")["as_of_cursor"] == 100


def test_a_huge_event(page: Page) -> None:
    kind = json.dumps({"type": "peers_wired", "a": "a", "b": "b", "x": "x" * HUGE})
    add(page, EVENTS, [EventRow(1, "m", MOMENT, "peers_wired", "", kind)])
    with little_memory():
        (line,) = page.ask("events")["events"]
        assert page.ask("roster", mob_id="m")["members"] == []
    assert (line["type"], line["members"]) == ("peers_wired", [])
    assert line["preview"].startswith('{"type": "peers_wired"')
    assert len(line["preview"]) == 1000


# Mobs ------------------------------------------------------------------------------------------


def test_huge_definitions_and_profiles(page: Page) -> None:
    long = json.dumps({"profiles": {"r": 1}, "flows": {}, "x": "x" * 5_000_000})
    names = json.dumps({"profiles": {f"r{n}": 1 for n in range(1000)}, "flows": {}})
    add(page, SPECS, [SpecRow("huge", 1, long), SpecRow("many", 1, names)])
    profile = json.dumps({"model": "m" * 1000, "peer_description": "d" * 100_000})
    add(page, REALM_PROFILES, [RealmProfileRow("p", 1, profile, MOMENT, MOMENT)])
    add(page, REALM_PROFILES, [RealmProfileRow("q", 1, long, MOMENT, MOMENT)])
    overview = page.ask("overview")
    huge, many = overview["mobs"]
    assert (huge["spec_revision"], huge["roles"]) == (1, [])
    assert many["roles"] == [f"r{n}" for n in range(50)]
    first, second = overview["profiles"]
    assert len(first["model"]) == 200
    assert first["description"].endswith("… (99,000 more characters)")
    assert second["model"] == second["description"] == ""


def spawned(member: str) -> dict[str, Any]:
    ref = {"kind": "session", "session_id": "s"}
    labels = {f"l{n}": "x" * 1000 for n in range(100)} if member == "hub" else {}
    return {
        "type": "meerkat_spawned", "meerkat_id": member, "role": "r", "runtime_mode": "m",
        "member_ref": ref, "labels": labels,
    }  # fmt: skip


def slice_of(kinds: Sequence[dict[str, Any]]) -> Slice:
    """Make a log of one mob."""
    rows = [
        EventRow(n, "m", MOMENT, kind["type"], "", json.dumps(kind))
        for n, kind in enumerate(kinds, 1)
    ]
    return Slice(0, rows[0], rows, len(rows))


def star(members: int) -> list[dict[str, Any]]:
    """Wire all members to one, and unwire half of them."""
    names = [f"m{n}" for n in range(members)]
    wires = [{"type": "peers_wired", "a": name, "b": "hub"} for name in names]
    away = [{"type": "peers_unwired", "a": name, "b": "hub"} for name in reversed(names)]
    return [*map(spawned, ["hub", *names]), *wires, *away[: members // 2]]


def resets(members: int) -> list[dict[str, Any]]:
    """Reset a mob as often as it has members."""
    return [*(spawned(f"m{n}") for n in range(members)), *[{"type": "mob_reset"}] * members]


@pytest.mark.parametrize("log", [star, resets])
def test_the_time_is_linear_in_the_log(log: Callable[[int], list[dict[str, Any]]]) -> None:
    def seconds(members: int) -> float:
        found = slice_of(log(members))
        began = time.process_time()
        RosterFold().add(found)
        return time.process_time() - began

    short, long = (min(seconds(members) for _ in range(2)) for members in (2_000, 8_000))
    assert long < 9 * short  # 4 times as many; the square of that is 16


def test_a_roster_of_many(page: Page) -> None:
    tasks = [
        {"type": "task_created", "task_id": f"t{n}", "subject": "s" * 1000,
         "description": "d" * 10_000, "blocked_by": [f"t{m}" for m in range(n)][:60]}
        for n in range(600)
    ]  # fmt: skip
    owned = [
        {"type": "task_updated", "task_id": f"t{n}", "status": "open", "owner": "hub"}
        for n in range(600)
    ]
    add(page, EVENTS, slice_of([*star(1000), *tasks, *owned]).rows)
    roster = page.ask("roster", mob_id="m")
    assert (len(roster["members"]), roster["members_left_out"]) == (500, 501)
    assert (len(roster["tasks"]), roster["tasks_left_out"]) == (500, 100)
    hub = roster["members"][0]
    assert hub["wired_to"] == [*(f"m{n}" for n in range(50)), "and 450 more"]
    assert hub["tasks"] == [*(f"t{n}" for n in range(50)), "and 550 more"]
    assert len(hub["labels"]) == 50
    assert len(json.dumps(hub["labels"])) < 12_000
    assert roster["tasks"][99]["blocked_by"][-1] == "and 10 more"
    assert roster["tasks"][0]["description"].endswith("… (8,000 more characters)")
    assert len(roster["tasks"][0]["subject"]) == 200


# Messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("run", {"run_id": "x" * 100_000}),
        ("ledger", {"run_id": "x" * 100_000, "which": "step"}),
        ("race_state", {"run_id": "x" * 100_000}),
        ("demo_move", {"run_id": "x" * 100_000, "who": "a"}),
        ("document", {"ref": {"of": "spec", "id": "x" * 100_000}}),
        ("document", {"ref": {"of": "x" * 100_000}}),
        ("open", {"url": "x" * 100_000}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_messages_are_short(page: Page, method: str, params: dict[str, Any]) -> None:
    assert len(page.failure(method, **params)["message"]) < 1200
    page.ask("open", url="memory:")
