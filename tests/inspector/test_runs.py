"""Runs with unusual ids, states and ledgers."""

from __future__ import annotations

import json
from typing import Any, cast
from uuid import uuid4

import pytest

from mobstore import (
    FrameId,
    FrameSnapshot,
    KernelInput,
    KernelMap,
    KernelSet,
    KernelState,
    LoopInstanceId,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    NamedVariant,
    RunId,
    StepId,
    StepLedgerEntry,
    StepRunStatus,
    Timestamp,
)
from mobstore.testing import samples
from support.pages import Page

MARKUP = '<script>alert("1")</script>'
RUN_ID = RunId(uuid4())


def make(page: Page, **parts: Any) -> dict[str, Any]:
    """Store a run with these parts, and return its details."""
    fields: dict[str, Any] = {"run_id": RUN_ID, "status": "running", **parts}
    run = samples.make_run(**fields)
    page.run(page.stores.runs.create_run(run))
    return cast("dict[str, Any]", page.ask("run", run_id=str(RUN_ID)))


def entry(
    step: str, member: str, status: StepRunStatus, second: int, output: Any = None
) -> StepLedgerEntry:
    return samples.step(step, member, status, output, second * 10**9)


def bars(run: dict[str, Any]) -> list[tuple[str, str, int, int | None, str]]:
    timeline = run["timeline"]
    begin = int(samples.timestamp(0).to_datetime().timestamp()) * 1000
    return [
        (
            bar["step_id"],
            timeline["members"][bar["lane"]],
            (bar["start_ms"] - begin) // 1000,
            None if bar["end_ms"] is None else (bar["end_ms"] - begin) // 1000,
            bar["status"],
        )
        for bar in timeline["bars"]
    ]


def frames(**states: KernelState) -> dict[FrameId, FrameSnapshot]:
    return {FrameId(key): FrameSnapshot(kernel_state=state) for key, state in states.items()}


def told(run: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(branch["depth"], branch["of"], branch["label"]) for branch in run["tree"]]


# Timeline --------------------------------------------------------------------------------------


def test_a_step_in_a_loop_has_a_bar_each_time(page: Page) -> None:
    run = make(
        page,
        step_ledger=(
            entry("draft", "w", "dispatched", 0), entry("draft", "w", "completed", 2),
            entry("draft", "w", "dispatched", 5), entry("draft", "w", "failed", 6),
        ),
    )  # fmt: skip
    assert bars(run) == [("draft", "w", 0, 2, "completed"), ("draft", "w", 5, 6, "failed")]
    assert [(bar["first"], bar["last"]) for bar in run["timeline"]["bars"]] == [(0, 1), (2, 3)]


def test_each_member_has_a_lane(page: Page) -> None:
    run = make(
        page,
        step_ledger=(
            entry("s", "a", "dispatched", 0), entry("s", "b", "dispatched", 1),
            entry("s", "b", "completed", 2), entry("s", "a", "canceled", 4),
        ),
    )  # fmt: skip
    assert bars(run) == [("s", "a", 0, 4, "canceled"), ("s", "b", 1, 2, "completed")]


def test_an_active_step_has_no_end(page: Page) -> None:
    run = make(page, step_ledger=(entry("s", "a", "dispatched", 3),))
    assert bars(run) == [("s", "a", 3, None, "dispatched")]
    assert run["timeline"]["start_ms"] == run["timeline"]["end_ms"]


def test_a_second_dispatch_ends_the_first(page: Page) -> None:
    run = make(
        page,
        step_ledger=(
            entry("s", "a", "dispatched", 0), entry("s", "a", "dispatched", 3),
            entry("s", "a", "completed", 4), entry("t", "a", "skipped", 9),
        ),
    )  # fmt: skip
    assert bars(run) == [
        ("s", "a", 0, 3, "dispatched"), ("s", "a", 3, 4, "completed"), ("t", "a", 9, 9, "skipped"),
    ]  # fmt: skip


def test_far_years_are_shown_without_milliseconds(page: Page) -> None:
    late = Timestamp("+12000-01-01T00:00:00Z")
    first = entry("s", "a", "dispatched", 0)
    run = make(
        page,
        created_at=late,
        step_ledger=(first, first.model_copy(update={"timestamp": late, "status": "completed"})),
    )
    assert (run["header"]["created_at"], run["header"]["created_ms"]) == (str(late), None)
    assert run["timeline"]["bars"][0]["end_ms"] is None
    assert run["timeline"]["bars"][0]["status"] == "completed"


def test_a_run_without_anything(page: Page) -> None:
    run = make(page)
    assert run["timeline"] == {
        "members": [],
        "bars": [],
        "start_ms": None,
        "end_ms": None,
        "left_out": 0,
    }
    assert (run["tree"], run["outputs"], run["params_preview"]) == ([], 0, "null")


# Tree ------------------------------------------------------------------------------------------


def test_iterations_are_sorted_by_number(page: Page) -> None:
    ids = [f"r::n::iter-{number}" for number in (10, 2, 0)]
    run = make(
        page,
        frames=frames(**{"r": KernelState("Running"), **dict.fromkeys(ids, KernelState("Done"))}),
        loops={LoopInstanceId("r::n"): LoopSnapshot(kernel_state=KernelState("Running"))},
        loop_iteration_ledger=tuple(
            LoopIterationLedgerEntry(
                loop_instance_id=LoopInstanceId("r::n"),
                iteration=number,
                frame_id=FrameId(f"r::n::iter-{number}"),
            )
            for number in (10, 2, 0)
        ),
    )
    assert told(run) == [
        (0, "frame", "r"), (1, "loop", "n"),
        (2, "frame", "iter-0"), (2, "frame", "iter-2"), (2, "frame", "iter-10"),
    ]  # fmt: skip
    assert [branch["iteration"] for branch in run["tree"]] == [None, None, "0", "2", "10"]


def test_the_ledger_assigns_frames_to_loops(page: Page) -> None:
    huge = 2**64 - 1
    run = make(
        page,
        frames=frames(**{"r": KernelState("Running"), MARKUP: KernelState("Running")}),
        loops={LoopInstanceId("r::n"): LoopSnapshot(kernel_state=KernelState("Running"))},
        loop_iteration_ledger=(
            LoopIterationLedgerEntry(
                loop_instance_id=LoopInstanceId("r::n"), iteration=huge, frame_id=FrameId(MARKUP)
            ),
        ),
    )
    assert told(run) == [(0, "frame", "r"), (1, "loop", "n"), (2, "frame", MARKUP)]
    assert run["tree"][2]["iteration"] == str(huge)


def test_orphans_and_cycles_are_shown(page: Page) -> None:
    run = make(
        page,
        frames=frames(**dict.fromkeys(["a", "", "lost::n::iter-1"], KernelState("P"))),
        loops={
            LoopInstanceId("a::n"): LoopSnapshot(kernel_state=KernelState("P")),
            LoopInstanceId(""): LoopSnapshot(kernel_state=KernelState("P")),
            LoopInstanceId("x"): LoopSnapshot(kernel_state=KernelState("P")),
        },
        loop_iteration_ledger=(
            LoopIterationLedgerEntry(
                loop_instance_id=LoopInstanceId("a::n"), iteration=0, frame_id=FrameId("a")
            ),
        ),
    )
    ids = sorted(branch["id"] for branch in run["tree"])
    assert ids == ["", "", "a", "a::n", "lost::n::iter-1", "x"]
    assert {branch["depth"] for branch in run["tree"] if branch["id"] != "a::n"} == {0}


def test_a_deep_tree(page: Page) -> None:
    ids = ["r"]
    for depth in range(500):
        ids.append(f"{ids[-1]}::{'n' if depth % 2 else 'i'}")
    loops = {LoopInstanceId(key): LoopSnapshot(kernel_state=KernelState("P")) for key in ids[1::2]}
    run = make(page, frames=frames(**dict.fromkeys(ids[::2], KernelState("P"))), loops=loops)
    assert [branch["depth"] for branch in run["tree"]] == list(range(501))


# States ----------------------------------------------------------------------------------------


def test_nodes_with_their_kinds_and_dependencies(page: Page) -> None:
    fields: dict[str, KernelInput] = {
        "ordered_nodes": ("b", "a"),
        "node_status": {
            "a": NamedVariant("NodeRunStatus", "Pending"),
            "b": NamedVariant("NodeRunStatus", "Running"),
        },
        "node_kind": {"b": NamedVariant("FlowNodeKind", "Loop")},
        "node_dependencies": {"a": ("b",)},
    }
    make(page, frames=frames(r=KernelState("Running", fields)))
    (found,) = page.ask("nodes", run_id=str(RUN_ID), frame_ids=["r"])["frames"]
    assert found["nodes"] == [
        {"node_id": "b", "kind": "Loop", "status": "Running", "depends_on": []},
        {"node_id": "a", "kind": "", "status": "Pending", "depends_on": ["b"]},
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"node_status": "Running", "ordered_nodes": {"a": 1}},
        {"node_status": NamedVariant("E", "v"), "ordered_nodes": NamedVariant("a", "b")},
        {"node_status": {1: 2, None: "x"}, "node_kind": None},
    ],
)
def test_a_frame_of_another_machine_has_no_nodes(page: Page, fields: dict[str, Any]) -> None:
    make(page, frames=frames(r=KernelState("Running", fields)))
    (found,) = page.ask("nodes", run_id=str(RUN_ID), frame_ids=["r"])["frames"]
    assert found["nodes"] == []


def test_all_kernel_values_can_be_read(page: Page) -> None:
    fields: dict[str, KernelInput] = {
        "big": 2**64 - 1,
        "flag": True,
        "none": None,
        "set": KernelSet([True, 1]),
        "map": KernelMap([(1, "one"), ("two", 2)]),
        "words": {MARKUP: NamedVariant("E", "v")},
    }
    run = make(page, flow_state=KernelState(MARKUP, fields))
    assert run["flow_phase"] == MARKUP
    document = page.ask("document", ref=run["flow_state"])
    assert json.loads(document["text"]) == {
        "phase": MARKUP,
        "fields": {
            "big": 2**64 - 1,
            "flag": True,
            "none": None,
            "set": [True, 1],
            "map": [[1, "one"], ["two", 2]],
            "words": {MARKUP: "E::v"},
        },
    }
    assert document["stored"] == KernelState(MARKUP, fields).to_json()


# Ledgers and outputs ---------------------------------------------------------------------------


def test_untrusted_text_stays_text(page: Page) -> None:
    run = make(
        page,
        step_ledger=(entry(MARKUP, MARKUP, "completed", 1, {MARKUP: MARKUP}),),
        failure_ledger=(samples.failure(MARKUP, MARKUP),),
        root_step_outputs={StepId(MARKUP): MARKUP},
    )
    assert run["timeline"]["members"] == [MARKUP]
    (step,) = page.ask("ledger", run_id=str(RUN_ID), which="step")["entries"]
    assert json.loads(step["preview"]) == {MARKUP: MARKUP}
    (told_failure,) = page.ask("ledger", run_id=str(RUN_ID), which="failure")["entries"]
    assert told_failure["reason"] == MARKUP
    (output,) = page.ask("outputs", run_id=str(RUN_ID))["outputs"]
    assert json.loads(page.ask("document", ref=output["output"])["stored"]) == MARKUP


def test_long_outputs_are_cut_in_pages_and_whole_in_documents(page: Page) -> None:
    make(page, step_ledger=(entry("s", "a", "completed", 1, "x" * 100_000),))
    (step,) = page.ask("ledger", run_id=str(RUN_ID), which="step")["entries"]
    assert len(step["preview"]) == 200
    assert len(page.ask("document", ref=step["entry"])["stored"]) == 100_002


def test_outputs_of_loops_come_by_loop_iteration_and_recording(page: Page) -> None:
    make(
        page,
        loop_iteration_outputs={
            "b": ({StepId("z"): 1, StepId("a"): 2},),
            "a": ({}, {StepId("s"): 3}),
        },
    )
    outputs = page.ask("outputs", run_id=str(RUN_ID))["outputs"]
    found = [(each["loop_id"], each["iteration"], each["step_id"]) for each in outputs]
    assert found == [("a", 1, "s"), ("b", 0, "z"), ("b", 0, "a")]
    assert page.ask("document", ref=outputs[0]["output"])["text"] == "3"


@pytest.mark.parametrize("which", ["step", "failure", "iteration"])
def test_an_empty_ledger(page: Page, which: str) -> None:
    make(page)
    found = page.ask("ledger", run_id=str(RUN_ID), which=which)
    assert (found["total"], found["entries"]) == (0, [])
