"""Values computed from definitions and runs: flow states, orders of steps, contexts."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from mobstore import (
    FlowContext,
    FlowRunConfig,
    FlowSpec,
    FlowStepSpec,
    InternalError,
    KernelSet,
    KernelState,
    MobDefinition,
    MobRun,
    NotFoundError,
    Timestamp,
    is_terminal,
    topological_steps,
)
from support import golden

RUN = UUID("5f0c1a52-0e6b-4f0b-9a7a-1d2f3a4b5c6d")


def steps(**depends_on: list[str]) -> dict[Any, FlowStepSpec]:
    return {
        name: FlowStepSpec(role="r", message="x", depends_on=cast("Any", after))
        for name, after in depends_on.items()
    }


def names(*texts: str) -> Any:
    return texts


# Configuration -----------------------------------------------------------------------------------

WEEKLY = json.loads(
    """{"id": "paper-desk", "orchestrator": {"profile": "editor"},
    "flows": {"weekly": {"steps": {
      "outline": {"role": "editor", "message": "x", "dispatch_mode": "one_to_one"},
      "draft": {"role": "scout", "message": "y", "depends_on": ["outline"],
        "collection_policy": {"type": "quorum", "n": 2},
        "condition": {"op": "eq", "path": "params.go", "value": true},
        "branch": "long", "depends_on_mode": "any"}}}},
    "topology": {"mode": "strict", "rules": []},
    "supervisor": {"role": "editor", "escalation_threshold": 3},
    "limits": {"max_step_retries": 2, "max_active_nodes": 4, "max_frame_depth": 2}}"""
)


def definition(**changes: Any) -> MobDefinition:
    return MobDefinition.from_json(json.dumps({**WEEKLY, **changes}))


def config(**changes: Any) -> FlowRunConfig:
    return FlowRunConfig.from_definition("weekly", definition(**changes))


def test_config_takes_what_concerns_the_flow() -> None:
    whole = definition()
    taken = config()
    assert taken.flow_spec == whole.flows["weekly"]
    assert taken.topology == whole.topology
    assert taken.supervisor == whole.supervisor
    assert taken.limits == whole.limits
    assert taken.orchestrator_role == "editor"
    assert FlowRunConfig.from_json(taken.to_json()) == taken
    bare = config(topology=None, orchestrator=None, supervisor=None, limits=None)
    assert json.loads(bare.to_json())["orchestrator_role"] is None
    assert list(json.loads(bare.to_json())) == [
        "flow_id",
        "flow_spec",
        "topology",
        "supervisor",
        "limits",
        "orchestrator_role",
    ]


def test_config_of_a_missing_flow() -> None:
    # The flow is looked up before the topology is checked.
    with pytest.raises(NotFoundError) as caught:
        FlowRunConfig.from_definition("daily", definition(orchestrator=None))
    assert caught.value.detail == "flow not found: daily"


def test_a_topology_needs_an_orchestrator() -> None:
    with pytest.raises(InternalError) as caught:
        config(orchestrator=None)
    assert caught.value.detail == "topology requires an orchestrator profile"


# Order of steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_steps", "order"),
    [
        ({}, []),
        ({"z": [], "m": ["z"], "a": [], "k": ["a", "z"]}, ["z", "a", "m", "k"]),
        ({"b": ["a"], "a": []}, ["a", "b"]),
        ({"c": ["a", "a"], "b": ["a"], "a": []}, ["a", "c", "b"]),
        ({"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": []}, ["a", "c", "b", "d"]),
    ],
)
def test_order(given_steps: dict[str, list[str]], order: list[str]) -> None:
    assert topological_steps(steps(**given_steps)) == order


@pytest.mark.parametrize(
    ("given_steps", "text"),
    [
        ({"a": ["x"]}, "step 'a' depends on unknown step 'x'"),
        ({"b": [], "a": ["b", "y", "x"]}, "step 'a' depends on unknown step 'y'"),
        ({"b": ["q"], "a": ["a"]}, "step 'b' depends on unknown step 'q'"),
        ({"a": ["a"]}, "flow contains a cycle; cannot compute topological order"),
        (
            {"a": ["b"], "b": ["a"], "c": []},
            "flow contains a cycle; cannot compute topological order",
        ),
    ],
)
def test_no_order(given_steps: dict[str, list[str]], text: str) -> None:
    for compute in (
        lambda: topological_steps(steps(**given_steps)),
        lambda: MobRun.flow_state_for_config(
            FlowRunConfig(flow_id="f", flow_spec=FlowSpec(steps=steps(**given_steps)))
        ),
    ):
        with pytest.raises(InternalError) as caught:
            compute()
        assert caught.value.detail == text


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=10),
    st.randoms(use_true_random=False),
)
def test_an_order_respects_dependencies(edges: list[list[int]], random: Any) -> None:
    graph = {f"s{n}": [f"s{d}" for d in after if d < n] for n, after in enumerate(edges)}
    order = list(graph)
    random.shuffle(order)
    result = topological_steps(steps(**{step: graph[step] for step in order}))
    assert sorted(result) == sorted(graph)
    place = {step: n for n, step in enumerate(result)}
    assert all(place[dependency] < place[step] for step in graph for dependency in graph[step])
    # Steps that wait for nothing keep the order in which they were written.
    free = [step for step in order if not graph[step]]
    assert all(place[one] < place[other] for one, other in pairwise(free))


# First flow states -------------------------------------------------------------------------------


def text(value: str) -> dict[str, Any]:
    return {"type": "string", "value": value}


def count(value: int) -> dict[str, Any]:
    return {"type": "u64", "value": value}


def flag(value: bool) -> dict[str, Any]:
    return {"type": "bool", "value": value}


def variant(enum: str, name: str) -> dict[str, Any]:
    return {"type": "named_variant", "enum_name": enum, "variant": name}


def seq(*items: str) -> dict[str, Any]:
    return {"type": "seq", "items": [text(item) for item in items]}


def members(*items: str) -> dict[str, Any]:
    return {"type": "set", "items": [text(item) for item in items]}


def each(**values: Any) -> dict[str, Any]:
    return {"type": "map", "entries": [[text(name), value] for name, value in values.items()]}


NONE = {"type": "none"}


def zero(*names: str) -> dict[str, Any]:
    return each(**{name: count(0) for name in names})


def test_the_first_state_of_a_flow() -> None:
    both = ("draft", "outline")
    fields = {
        "active_frame_count": count(0),
        "active_node_count": count(0),
        "consecutive_failure_count": count(0),
        "escalation_threshold": count(3),
        "failure_count": count(0),
        "last_granted_frame": text(""),
        "last_granted_loop": text(""),
        "max_active_frames": count(0),
        "max_active_nodes": count(4),
        "max_frame_depth": count(2),
        "max_step_retries": count(2),
        "ordered_steps": seq("outline", "draft"),
        "output_recorded": each(draft=flag(False), outline=flag(False)),
        "pending_body_frame_loop_membership": members(),
        "pending_body_frame_loops": seq(),
        "ready_frame_membership": members(),
        "ready_frames": seq(),
        "step_branches": each(draft=text("long"), outline=NONE),
        "step_collection_policies": each(
            draft=variant("CollectionPolicyKind", "Quorum"),
            outline=variant("CollectionPolicyKind", "All"),
        ),
        "step_condition_results": each(draft=NONE, outline=NONE),
        "step_dependencies": each(draft=seq("outline"), outline=seq()),
        "step_dependency_modes": each(
            draft=variant("DependencyMode", "Any"), outline=variant("DependencyMode", "All")
        ),
        "step_has_conditions": each(draft=flag(True), outline=flag(False)),
        "step_quorum_thresholds": each(draft=count(2), outline=count(0)),
        "step_status": each(draft=NONE, outline=NONE),
        "step_target_counts": zero(*both),
        "step_target_success_counts": zero(*both),
        "step_target_terminal_failure_counts": zero(*both),
        "target_retry_counts": each(),
        "tracked_steps": members(*both),
    }
    state = MobRun.flow_state_for_config(config())
    expected = {"phase": "Pending", "fields": fields}
    assert len(fields) == 30
    assert state.to_json() == json.dumps(expected, separators=(",", ":"))


def test_the_first_state_of_plain_steps() -> None:
    state = MobRun.flow_state_for_steps(names("b", "a", "b", "c"))
    plain = FlowSpec(steps=steps(b=[], a=[], c=[]))
    assert state == MobRun.flow_state_for_config(FlowRunConfig(flow_id="f", flow_spec=plain))
    assert state.fields["ordered_steps"] == ("b", "a", "c")
    assert state.fields["tracked_steps"] == KernelSet(["a", "b", "c"])
    assert state.fields["max_active_nodes"] == 0


def test_policies_and_duplicates_in_dependencies() -> None:
    flow = json.dumps(
        {
            "steps": {
                "a": {"role": "r", "message": "", "collection_policy": {"type": "any"}},
                "b": {"role": "r", "message": "", "depends_on": ["a", "a"]},
            }
        }
    )
    spec = FlowSpec.from_json(flow)
    state = MobRun.flow_state_for_config(FlowRunConfig(flow_id="f", flow_spec=spec))
    fields = cast("dict[str, Any]", state.fields)
    assert fields["step_dependencies"]["b"] == ("a", "a")
    assert fields["step_collection_policies"]["a"] == ("CollectionPolicyKind", "Any")
    assert fields["step_quorum_thresholds"]["a"] == 0


def test_limits_are_copied_unchecked() -> None:
    state = MobRun.flow_state_for_config(config(limits={"max_active_nodes": 2**64 - 1}))
    assert state.fields["max_active_nodes"] == 2**64 - 1


def test_no_steps() -> None:
    empty = FlowRunConfig(flow_id="f", flow_spec=FlowSpec())
    no_names: list[Any] = []
    computes: list[Callable[[], KernelState]] = [
        lambda: MobRun.flow_state_for_config(empty),
        lambda: MobRun.flow_state_for_steps(no_names),
    ]
    for compute in computes:
        with pytest.raises(InternalError) as caught:
            compute()
        assert caught.value.detail == (
            "flow_run CreateRun failed: no matching transition for machine `FlowRunMachine`"
            " in phase `Absent` on `CreateRun`"
        )


# Runs --------------------------------------------------------------------------------------------


def test_a_pending_run() -> None:
    before = Timestamp.now()
    state = KernelState("Pending")
    one, other = (MobRun.pending("m", "f", state, {"b": 1, "a": 2}) for _ in "12")
    assert one.run_id != other.run_id
    assert one.run_id.version == 4
    assert before <= one.created_at <= Timestamp.now()
    document = json.loads(one.to_json())
    del document["run_id"], document["created_at"]
    assert golden.same(
        document,
        {
            "mob_id": "m",
            "flow_id": "f",
            "status": "pending",
            "flow_state": {"phase": "Pending", "fields": {}},
            "activation_params": {"a": 2, "b": 1},
            "completed_at": None,
            "step_ledger": [],
            "failure_ledger": [],
            "frames": {},
            "loops": {},
            "loop_iteration_ledger": [],
            "schema_version": 4,
            "root_step_outputs": {},
            "loop_iteration_outputs": {},
        },
    )
    assert MobRun.pending("m", "f", state).activation_params is None
    assert MobRun.from_json(one.to_json()) == one


def test_terminal_statuses() -> None:
    statuses = ("pending", "running", "completed", "failed", "canceled")
    assert [is_terminal(status) for status in statuses] == [False, False, True, True, True]


# Context -----------------------------------------------------------------------------------------


def run_with(**outputs: Any) -> MobRun:
    base = MobRun.pending("m", "f", KernelState(), {"own": 1})
    return MobRun.from_json(json.dumps({**json.loads(base.to_json()), **outputs}))


def test_context() -> None:
    run = run_with(
        root_step_outputs={"z": 1, "draft": "root", "a": None},
        loop_iteration_outputs={
            "polish": [{"draft": 1}, {"draft": 2, "critique": 3}],
            "again": [{"z": "first"}, {"draft": "again", "late": 4}],
            "void": [],
            "blank": [{"lost": 1}, {}],
        },
    )
    context = FlowContext.from_run_aggregate(run, RUN, {"b": 1, "a": 2})
    assert context.run_id == RUN
    assert context.activation_params == {"a": 2, "b": 1}
    # Loops in the order of their ids; a key keeps the place of its first output.
    assert list(context.step_outputs.items()) == [
        ("z", 1),
        ("draft", 2),
        ("a", None),
        ("late", 4),
        ("critique", 3),
    ]
    assert list(context.loop_outputs) == ["again", "blank", "polish", "void"]
    assert context.loop_outputs["polish"].iterations == (
        {"draft": 1},
        {"draft": 2, "critique": 3},
    )
    assert FlowContext.from_json(context.to_json()) == context
    assert run.root_step_outputs == {"z": 1, "draft": "root", "a": None}


def test_context_of_an_empty_run() -> None:
    context = FlowContext.from_run_aggregate(run_with(), RUN, None)
    assert context.to_json() == (
        f'{{"run_id":"{RUN}","activation_params":null,"step_outputs":{{}},"loop_outputs":{{}}}}'
    )
