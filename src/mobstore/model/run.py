"""Runs: executions of flows, with the states of their frames and loops, and their ledgers."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias, get_args
from uuid import UUID, uuid4

from pydantic import Field

from mobstore.errors import InternalError, NotFoundError, UsageError
from mobstore.model.checks import require
from mobstore.model.definition import LimitsSpec, MobDefinition, SupervisorSpec, TopologySpec
from mobstore.model.display import Displayed
from mobstore.model.flow import CollectQuorum, FlowSpec, FlowStepSpec
from mobstore.model.ids import (
    FlowId,
    FrameId,
    LoopId,
    LoopInstanceId,
    MeerkatId,
    MobId,
    ProfileName,
    RunId,
    StepId,
)
from mobstore.model.json import JsonInput
from mobstore.model.kernel import KernelState
from mobstore.model.kernel_values import KernelInput, NamedVariant
from mobstore.model.record import (
    NO_ITEMS,
    NO_VALUE,
    U32,
    U64,
    Accepting,
    Array,
    FreeJson,
    NestedArray,
    NestedJson,
    OrderedMap,
    Record,
    RunUuid,
    SortedMap,
    build,
)
from mobstore.model.text import brief, count
from mobstore.model.timestamp import Timestamp

MobRunStatus: TypeAlias = Literal["pending", "running", "completed", "failed", "canceled"]
TerminalStatus: TypeAlias = Literal["completed", "failed", "canceled"]
StepRunStatus: TypeAlias = Literal["dispatched", "completed", "failed", "skipped", "canceled"]

_TERMINAL = frozenset(get_args(TerminalStatus))

Outputs: TypeAlias = Accepting[OrderedMap[StepId, NestedJson], Mapping[StepId, JsonInput]]
"""The outputs of steps, in the order of their first recording."""

SCHEMA_VERSION = 4
"""The `MobRun.schema_version` that the 0.5 series of the reference writes."""


def _no_entries() -> Any:
    """Return the default of a map whose type is a descriptor to checkers."""
    return {}


def is_terminal(status: str) -> bool:
    """Return whether a run in this status has ended: completed, failed or canceled.

    Raises:
        UsageError: the status is not text.
    """
    require(status, "status", str)
    return status in _TERMINAL


class FrameSnapshot(Record):
    """The state of a frame: one pass through the nodes of a flow or of a loop's body."""

    kernel_state: KernelState


class LoopSnapshot(Record):
    """The state of a loop."""

    kernel_state: KernelState


class StepLedgerEntry(Record):
    """The result of one member for one step. `output` None and JSON `null` are the same."""

    step_id: StepId
    meerkat_id: MeerkatId
    status: StepRunStatus
    output: FreeJson = NO_VALUE
    timestamp: Timestamp


class FailureLedgerEntry(Record):
    """The failure of a step and its reason."""

    step_id: StepId
    reason: str
    timestamp: Timestamp


class LoopIterationLedgerEntry(Record):
    """The frame that ran an iteration of a loop."""

    loop_instance_id: LoopInstanceId
    iteration: U64
    frame_id: FrameId


class RunHeader(Record):
    """A run without its states, ledgers and outputs; the reference has no such record.

    Attributes:
        holder: the holder of the run's claim, even of an expired one; None if it is not held.
        epoch: the epoch of the latest claim on it; 0 if there was none.
        due_at: the time from which it can be claimed; None once it has ended.
    """

    run_id: RunUuid
    mob_id: MobId
    flow_id: FlowId
    status: MobRunStatus
    activation_params: FreeJson
    created_at: Timestamp
    completed_at: Timestamp | None = None
    schema_version: U32 = 0
    holder: str | None = None
    epoch: U64 = 0
    due_at: Timestamp | None = None


class MobRun(Displayed, Record):
    """One execution of a flow.

    Frames and loops are sorted by id. Ledgers are in the order of appending, root step outputs in
    the order of their first recording. An item of `loop_iteration_outputs[loop]` is an iteration.
    """

    run_id: RunUuid
    mob_id: MobId
    flow_id: FlowId
    status: MobRunStatus
    flow_state: KernelState
    activation_params: FreeJson
    created_at: Timestamp
    completed_at: Timestamp | None = None
    step_ledger: Array[StepLedgerEntry]
    failure_ledger: Array[FailureLedgerEntry]
    frames: SortedMap[FrameId, FrameSnapshot] = Field(default_factory=dict[FrameId, FrameSnapshot])
    loops: SortedMap[LoopInstanceId, LoopSnapshot] = Field(
        default_factory=dict[LoopInstanceId, LoopSnapshot]
    )
    loop_iteration_ledger: Array[LoopIterationLedgerEntry] = NO_ITEMS
    schema_version: U32 = 0
    root_step_outputs: Outputs = Field(default_factory=_no_entries)
    loop_iteration_outputs: Accepting[
        SortedMap[LoopId, NestedArray[OrderedMap[StepId, NestedJson]]],
        Mapping[LoopId, Sequence[Mapping[StepId, JsonInput]]],
    ] = Field(default_factory=_no_entries)

    def __repr__(self) -> str:
        where = f"{brief(self.mob_id)}/{brief(self.flow_id)}"
        steps = count(len(self.step_ledger), "step entry", "step entries")
        failures = count(len(self.failure_ledger), "failure")
        return f"<MobRun {str(self.run_id)[:8]}… {where} {self.status}, {steps}, {failures}>"

    __str__ = __repr__

    @classmethod
    def pending(
        cls,
        mob_id: MobId,
        flow_id: FlowId,
        flow_state: KernelState,
        activation_params: JsonInput = None,
    ) -> Self:
        """Return a new run: random id, status `pending`, created now, otherwise empty.

        Raises:
            UsageError: an argument is of the wrong type.
            SerializationError: `activation_params` has no JSON form.
        """
        require(flow_state, "flow_state", KernelState)
        return build(
            cls,
            run_id=RunId(uuid4()),
            mob_id=mob_id,
            flow_id=flow_id,
            status="pending",
            flow_state=flow_state,
            activation_params=activation_params,
            created_at=Timestamp.now(),
            step_ledger=(),
            failure_ledger=(),
            schema_version=SCHEMA_VERSION,
        )

    @staticmethod
    def flow_state_for_steps(step_ids: Iterable[StepId]) -> KernelState:
        """Return the first flow state of a run over independent steps, in this order, each once.

        Raises:
            InternalError: there are no steps.
            UsageError: the steps are not several ids.
            SerializationError: an id has lone surrogates.
        """
        require(step_ids, "step_ids", Iterable)
        if isinstance(step_ids, str):
            raise UsageError("step_ids must be several ids, not text")
        order = list(step_ids)
        for step_id in order:
            require(step_id, "a step id", str)
        spec = FlowStepSpec(role=ProfileName(""), message="")
        return _first_flow_state(dict.fromkeys(order, spec), None, None)

    @staticmethod
    def flow_state_for_config(config: "FlowRunConfig") -> KernelState:
        """Return the first flow state of a run of this flow: `Pending`, all steps untouched.

        Raises:
            InternalError: there are no steps, or an unknown dependency, or a cycle.
            UsageError: `config` is not a FlowRunConfig.
        """
        require(config, "config", FlowRunConfig)
        return _first_flow_state(config.flow_spec.steps, config.supervisor, config.limits)


class FlowRunConfig(Record):
    """The part of a definition that a runtime needs to run one of its flows."""

    flow_id: FlowId
    flow_spec: FlowSpec
    topology: TopologySpec | None = None
    supervisor: SupervisorSpec | None = None
    limits: LimitsSpec | None = None
    orchestrator_role: ProfileName | None = None

    @classmethod
    def from_definition(cls, flow_id: FlowId, definition: MobDefinition) -> Self:
        """Return the configuration of one flow of a definition.

        Raises:
            NotFoundError: the definition has no such flow.
            InternalError: the definition has a topology but no orchestrator.
            UsageError: an argument is of the wrong type.
        """
        require(flow_id, "flow_id", str)
        require(definition, "definition", MobDefinition)
        flow_spec = definition.flows.get(flow_id)
        if flow_spec is None:
            raise NotFoundError(f"flow not found: {flow_id}")
        if definition.topology is not None and definition.orchestrator is None:
            raise InternalError("topology requires an orchestrator profile")
        orchestrator = definition.orchestrator
        return cls(
            flow_id=flow_id,
            flow_spec=flow_spec,
            topology=definition.topology,
            supervisor=definition.supervisor,
            limits=definition.limits,
            orchestrator_role=None if orchestrator is None else orchestrator.profile,
        )


class LoopContextHistory(Record):
    """The outputs of a loop, one map per iteration."""

    iterations: Accepting[
        NestedArray[OrderedMap[StepId, NestedJson]], Sequence[Mapping[StepId, JsonInput]]
    ]


class FlowContext(Record):
    """The values that conditions and messages of a flow can refer to."""

    run_id: RunUuid
    activation_params: FreeJson
    step_outputs: Outputs
    loop_outputs: OrderedMap[LoopId, LoopContextHistory] = Field(
        default_factory=dict[LoopId, LoopContextHistory]
    )

    @classmethod
    def from_run_aggregate(cls, run: MobRun, run_id: UUID, activation_params: JsonInput) -> Self:
        """Collect a run's outputs; those of each loop's last iteration count as step outputs.

        `run_id` and `activation_params` are the arguments, not the run's own.

        Raises:
            UsageError: an argument is of the wrong type.
            SerializationError: `activation_params` has no JSON form.
        """
        require(run, "run", MobRun)
        outputs = dict(run.root_step_outputs)
        for iterations in run.loop_iteration_outputs.values():
            if iterations:
                outputs.update(iterations[-1])
        return build(
            cls,
            run_id=run_id,
            activation_params=activation_params,
            step_outputs=outputs,
            loop_outputs={
                loop_id: LoopContextHistory(iterations=iterations)
                for loop_id, iterations in run.loop_iteration_outputs.items()
            },
        )


def topological_steps(steps: Mapping[StepId, FlowStepSpec]) -> list[StepId]:
    """Return the steps, each after its dependencies; otherwise in the order written.

    Raises:
        InternalError: there is a dependency on an unknown step, or a cycle.
        UsageError: `steps` is not a mapping of ids to steps.
    """
    require(steps, "steps", Mapping)
    for step, spec in steps.items():
        require(step, "a step id", str)
        require(spec, f"step {brief(step)!r}", FlowStepSpec)
    waiting_for = {step: len(spec.depends_on) for step, spec in steps.items()}
    dependants: dict[StepId, list[StepId]] = {step: [] for step in steps}
    for step, spec in steps.items():
        for dependency in spec.depends_on:
            if dependency not in dependants:
                raise InternalError(f"step '{step}' depends on unknown step '{dependency}'")
            dependants[dependency].append(step)
    ready = deque(step for step, count in waiting_for.items() if count == 0)
    order: list[StepId] = []
    while ready:
        step = ready.popleft()
        order.append(step)
        for dependant in dependants[step]:
            waiting_for[dependant] -= 1
            if waiting_for[dependant] == 0:
                ready.append(dependant)
    if len(order) != len(steps):
        raise InternalError("flow contains a cycle; cannot compute topological order")
    return order


def _first_flow_state(
    steps: Mapping[StepId, FlowStepSpec],
    supervisor: SupervisorSpec | None,
    limits: LimitsSpec | None,
) -> KernelState:
    order = topological_steps(steps)
    if not order:
        raise InternalError(
            "flow_run CreateRun failed: no matching transition for machine `FlowRunMachine`"
            " in phase `Absent` on `CreateRun`"
        )
    limits = limits or LimitsSpec()
    policies = {step: spec.collection_policy for step, spec in steps.items()}
    nothing, zero = dict.fromkeys(order), dict.fromkeys(order, 0)
    fields: dict[str, KernelInput] = {
        "tracked_steps": frozenset(order),
        "ordered_steps": tuple(order),
        "step_status": nothing,
        "output_recorded": dict.fromkeys(order, False),
        "step_condition_results": nothing,
        "step_has_conditions": {s: spec.condition is not None for s, spec in steps.items()},
        "step_dependencies": {s: spec.depends_on for s, spec in steps.items()},
        "step_dependency_modes": {
            s: NamedVariant("DependencyMode", spec.depends_on_mode.capitalize())
            for s, spec in steps.items()
        },
        "step_branches": {s: spec.branch for s, spec in steps.items()},
        "step_collection_policies": {
            s: NamedVariant("CollectionPolicyKind", policy.type.capitalize())
            for s, policy in policies.items()
        },
        "step_quorum_thresholds": {
            s: policy.n if isinstance(policy, CollectQuorum) else 0
            for s, policy in policies.items()
        },
        "step_target_counts": zero,
        "step_target_success_counts": zero,
        "step_target_terminal_failure_counts": zero,
        "target_retry_counts": {},
        "failure_count": 0,
        "consecutive_failure_count": 0,
        "escalation_threshold": supervisor.escalation_threshold if supervisor else 0,
        "max_step_retries": limits.max_step_retries or 0,
        "ready_frames": (),
        "pending_body_frame_loops": (),
        "ready_frame_membership": frozenset(),
        "pending_body_frame_loop_membership": frozenset(),
        "active_node_count": 0,
        "active_frame_count": 0,
        "max_active_nodes": limits.max_active_nodes or 0,
        "max_active_frames": limits.max_active_frames or 0,
        "max_frame_depth": limits.max_frame_depth or 0,
        "last_granted_frame": "",
        "last_granted_loop": "",
    }
    return KernelState("Pending", fields)
