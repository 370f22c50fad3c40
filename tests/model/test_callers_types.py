"""Code of callers, without a cast: mypy and pyright check it, and it runs.

`assert_type` holds what is read back. An unneeded `type: ignore` fails mypy, so each one shows a
call that the checkers reject, as run time does.
"""

from __future__ import annotations

import asyncio
from typing import assert_type
from uuid import UUID, uuid4

import pytest
from pydantic import JsonValue, ValidationError

from mobstore import (
    BackendPeerMember,
    CollectQuorum,
    ConditionAnd,
    ConditionEq,
    ConditionIn,
    FlowContext,
    FlowSpec,
    FlowStarted,
    FlowStepSpec,
    FrameSnapshot,
    FrameSpec,
    FrameStepSpec,
    KernelMap,
    KernelSet,
    KernelState,
    KernelValue,
    LoopContextHistory,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    McpServerConfig,
    MeerkatSpawned,
    MobDefinition,
    MobEventKind,
    MobRun,
    NamedVariant,
    NewMobEvent,
    OrchestratorConfig,
    Profile,
    RepeatUntilSpec,
    RoleWiringRule,
    RunId,
    SerializationError,
    SessionId,
    SessionMember,
    StepCompleted,
    StepId,
    StepLedgerEntry,
    TaskCreated,
    TextBlock,
    Timestamp,
    ToolConfig,
    UsageError,
    WiringRules,
    open_stores,
    topological_steps,
)

RUN = "5f0c1a52-0e6b-4f0b-9a7a-1d2f3a4b5c6d"
NOW = Timestamp("2026-03-04T05:06:07Z")


def test_ids_are_text() -> None:
    params = {"topic": "tides", "lengths": "1"}  # dict[str, str], not dict[str, JsonValue]
    started = FlowStarted(run_id=RUN, flow_id="daily", params=params)
    assert_type(started.run_id, RunId)
    assert_type(started.params, JsonValue)
    assert started.run_id == UUID(RUN)
    assert StepCompleted(run_id=uuid4(), step_id="outline").step_id == "outline"
    member = SessionMember(session_id=RUN)
    assert_type(member.session_id, SessionId)
    peer = BackendPeerMember(peer_id="p", address="a", session_id=RUN)
    assert_type(peer.session_id, SessionId | None)
    assert peer.session_id == member.session_id
    assert BackendPeerMember(peer_id="p", address="a").session_id is None
    names = {"team": "news"}
    spawned = MeerkatSpawned(meerkat_id="w-1", role="writer", member_ref=member, labels=names)
    assert NewMobEvent(mob_id="desk", kind=spawned).kind == spawned
    entry = StepLedgerEntry(
        step_id="outline", meerkat_id="w-1", status="completed", output=[1, 2], timestamp=NOW
    )
    assert entry.output == [1, 2]


def run_of(kind: MobEventKind) -> RunId | None:
    """Return the run of an event, as a projector does."""
    match kind:
        case FlowStarted(run_id=run_id) | StepCompleted(run_id=run_id):
            assert_type(run_id, RunId)
            return run_id
        case _:
            return None


def test_a_match_reads_fields() -> None:
    assert run_of(StepCompleted(run_id=RUN, step_id="s")) == UUID(RUN)
    assert run_of(TaskCreated(task_id="t", subject="", description="", blocked_by=[])) is None


def test_lists_and_dicts_of_a_definition() -> None:
    after = ["outline"]
    steps = {
        "outline": FlowStepSpec(role="editor", message="Outline it"),
        "draft": FlowStepSpec(
            role="writer",
            message=[TextBlock(text="Draft it")],
            depends_on=after,
            collection_policy=CollectQuorum(n=2),
            condition=ConditionAnd(
                exprs=[
                    ConditionEq(path="params.go", value={"deep": [1, "x", None]}),
                    ConditionIn(path="params.lang", values=["en", 3, None]),
                ]
            ),
            allowed_tools=["search"],
        ),
    }
    body = FrameSpec(
        nodes={"n-draft": FrameStepSpec(step_id="draft", depends_on=[], depends_on_mode="all")}
    )
    root = FrameSpec(
        nodes={
            "n-polish": RepeatUntilSpec(
                loop_id="polish",
                depends_on=["n-outline"],
                depends_on_mode="all",
                body=body,
                until=ConditionEq(path="steps.draft.ok", value=True),
                max_iterations=3,
            )
        }
    )
    definition = MobDefinition(
        id="desk",
        orchestrator=OrchestratorConfig(profile="editor"),
        profiles={
            "editor": Profile(model="m", skills=["s"], tools=ToolConfig(mcp=["search"])),
            "writer": Profile(model="m", provider_params={"temperature": 0.4}),
        },
        mcp_servers={"search": McpServerConfig(command=["serve", "--quiet"])},
        wiring=WiringRules(role_wiring=[RoleWiringRule(a="editor", b="writer")]),
        flows={"daily": FlowSpec(steps=steps, root=root)},
    )
    draft = definition.flows["daily"].steps["draft"]
    assert_type(draft.depends_on, tuple[StepId, ...])
    assert_type(draft.allowed_tools, tuple[str, ...] | None)
    assert draft.depends_on == ("outline",)
    assert draft.message == (TextBlock(text="Draft it"),)
    after.append("later")
    assert draft.depends_on == ("outline",)
    assert topological_steps(steps) == ["outline", "draft"]
    assert MobDefinition.from_json(definition.to_json()) == definition


def test_a_run_and_its_outputs() -> None:
    run = MobRun.pending("desk", "daily", MobRun.flow_state_for_steps(["a", "b"]), {"n": 1})
    assert_type(run.run_id, RunId)
    assert_type(run.step_ledger, tuple[StepLedgerEntry, ...])
    entry = StepLedgerEntry(step_id="a", meerkat_id="m", status="completed", timestamp=NOW)
    whole = MobRun(
        run_id=RUN,
        mob_id="desk",
        flow_id="daily",
        status="running",
        flow_state=run.flow_state,
        activation_params=None,
        created_at=NOW,
        step_ledger=[entry],
        failure_ledger=[],
        frames={"root": FrameSnapshot(kernel_state=KernelState("Running"))},
        loops={"root::n": LoopSnapshot(kernel_state=KernelState("Running"))},
        loop_iteration_ledger=[
            LoopIterationLedgerEntry(loop_instance_id="root::n", iteration=0, frame_id="f")
        ],
        root_step_outputs={"a": {"score": 0.5}},
        loop_iteration_outputs={"polish": [{"b": [1]}, {}]},
    )
    assert whole.step_ledger == (entry,)
    context = FlowContext.from_run_aggregate(whole, whole.run_id, {"n": [1]})
    assert context.loop_outputs == {"polish": LoopContextHistory(iterations=[{"b": [1]}, {}])}
    assert MobRun.from_json(whole.to_json()) == whole


def test_kernel_states() -> None:
    ready = ["root", "body"]
    counts = {"outline": 0}
    state = KernelState(
        "Running",
        {
            "owner": "w-1", "epoch": 3, "held": True, "stage": NamedVariant("Stage", "Idle"),
            "ready": ready, "seen": {"a", "b"}, "counts": counts, "numbered": {1: "one"},
            "active": None,
        },
    )  # fmt: skip
    assert_type(state.text("owner"), str)
    assert_type(state.number("epoch"), int)
    assert_type(state.flag("held"), bool)
    assert_type(state.variant("stage"), NamedVariant)
    assert_type(state.text("active", None), str | None)
    assert_type(state.number("tries", 0), int)
    assert_type(state.items("ready"), tuple[KernelValue, ...])
    assert_type(state.texts("ready"), tuple[str, ...])
    assert_type(state.members("seen"), KernelSet)
    assert_type(state.entries("counts"), KernelMap)
    taken = state.replace("Done", owner="w-2", epoch=state.number("epoch") + 1, counts=counts)
    assert taken.texts("ready") == ("root", "body")
    grown = taken.replace(counts={**taken.entries("counts"), "draft": 1})
    assert grown.entries("counts")["draft"] == 1


async def accepts_ids_everywhere() -> MobRun | None:
    async with await open_stores("memory:") as stores:
        run = MobRun.pending("desk", "daily", KernelState("Pending", {"try": 1}))
        await stores.runs.create_run(run)
        entry = StepLedgerEntry(step_id="a", meerkat_id="m", status="completed", timestamp=NOW)
        await stores.runs.append_step_entry(str(run.run_id), entry)
        outputs = {"draft": {"score": 1}}  # dict[str, dict[str, int]]
        await stores.runs.put_step_output(str(run.run_id), "a", outputs)
        return await stores.runs.get_run(str(run.run_id))


def test_stores_accept_what_models_accept() -> None:
    run = asyncio.run(accepts_ids_everywhere())
    assert run is not None
    assert run.step_ledger[0].output == {"draft": {"score": 1}}


def test_what_checkers_reject_run_time_rejects() -> None:
    with pytest.raises(ValidationError):
        FlowStarted(run_id=5, flow_id="f", params=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValidationError):
        FlowStarted(run_id=RUN, flow_id=RUN.encode(), params=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValidationError):
        ToolConfig(mcp=[1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValidationError):
        FlowStarted(run_id=RUN, flow_id="f", params=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(SerializationError):
        KernelState("P", {"x": 0.5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError):
        KernelState("P", {"x": 1}).text(1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
