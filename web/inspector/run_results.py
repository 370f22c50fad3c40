"""Types of the results about runs; see `inspector.results`."""

from __future__ import annotations

from typing import Literal, TypedDict

from inspector.results import ClaimState, Ref

RunStatus = Literal["pending", "running", "completed", "failed", "canceled"]
StepStatus = Literal["dispatched", "completed", "failed", "skipped", "canceled"]


class RunHeader(TypedDict):
    """A run without its content."""

    run_id: str
    number: int
    mob_id: str
    flow_id: str
    status: RunStatus
    created_at: str
    created_ms: int | None
    completed_at: str | None
    completed_ms: int | None
    duration_ms: int | None
    """Null while the run is active, and if one of the times has no `*_ms`."""
    steps: int
    """Entries of the step ledger."""
    failures: int
    claim: ClaimState | None
    """Null if it is not held, and due or ended."""


class Runs(TypedDict):
    """Runs of one mob, newest first."""

    total: int
    runs: list[RunHeader]
    statuses: dict[str, int]
    """The number of runs of the flow by status, whatever the selected status."""
    next_after: str | None
    """The value of `after` for the next page; null at the end."""


class Bar(TypedDict):
    """The work of one member on one step, from dispatch to end."""

    step_id: str
    lane: int
    """Position in `Timeline.members`."""
    start_ms: int | None
    end_ms: int | None
    """Null while the step is active."""
    status: StepStatus
    """`dispatched` while the step is active, or if it was dispatched again before it ended."""
    first: int
    """Position of its first entry in the step ledger."""
    last: int
    """Position of its last entry; equal to `first` if it has only one."""


class Timeline(TypedDict):
    """Bars in the order of their first entries; members in the order of their first bars."""

    members: list[str]
    bars: list[Bar]
    start_ms: int | None
    """The earliest time in the ledger; the run may have been created at any other time."""
    end_ms: int | None
    """The latest time in the ledger."""
    left_out: int
    """The number of last ledger entries without bars, since they are too many."""


class Branch(TypedDict):
    """A frame or a loop; `depth` and the order of the list define the tree."""

    of: Literal["frame", "loop"]
    id: str
    label: str
    """The id without the prefix of its parent or of the run."""
    depth: int
    phase: str
    iteration: str | None
    """For a frame of a loop iteration, according to the ledger: its number from 0, as text."""
    state: Ref


class Run(TypedDict):
    """The details of one run."""

    header: RunHeader
    flow_phase: str
    params: Ref
    params_preview: str
    flow_state: Ref
    extra: Ref | None
    """What an import kept besides the run."""
    timeline: Timeline
    tree: list[Branch]
    """In the order of display: children follow their parent, with a depth of one more."""
    tree_left_out: int
    """The number of frames and loops left out, since they are too many."""
    iterations: int
    """Entries of the loop iteration ledger."""
    outputs: int


class Node(TypedDict):
    """A node of a frame."""

    node_id: str
    kind: str
    """`Step`, `Loop`, or "" if the state has none."""
    status: str
    """Pending, Ready, Running, Completed, Failed, Skipped, Canceled, or any other text."""
    depends_on: list[str]


class FrameNodes(TypedDict):
    """The nodes of one frame, in its order."""

    frame_id: str
    nodes: list[Node]


class Nodes(TypedDict):
    """The nodes of the requested frames that exist."""

    frames: list[FrameNodes]


class StepEntry(TypedDict):
    """An entry of the step ledger."""

    position: int
    step_id: str
    member_id: str
    status: StepStatus
    timestamp_at: str
    preview: str
    """The preview of its output; "null" without one."""
    entry: Ref


class FailureEntry(TypedDict):
    """An entry of the failure ledger."""

    position: int
    step_id: str
    reason: str
    timestamp_at: str


class IterationEntry(TypedDict):
    """An entry of the loop iteration ledger."""

    position: int
    loop_instance_id: str
    iteration: str
    frame_id: str


class Ledger(TypedDict):
    """A page of a ledger, in append order."""

    total: int
    offset: int
    entries: list[StepEntry] | list[FailureEntry] | list[IterationEntry]


class Output(TypedDict):
    """An output of a step of the flow."""

    step_id: str
    loop_id: str | None
    """The loop of its iteration; null for a step of the root."""
    iteration: int | None
    preview: str
    output: Ref


class Outputs(TypedDict):
    """Outputs of the root in recorded order, then those of loops by loop and iteration."""

    outputs: list[Output]
    left_out: int
    """The number of other outputs."""


class DemoRun(TypedDict):
    """The progress of a demo run. Without one, `run_id` is null and everything else is 0 or ""."""

    run_id: str | None
    mob_id: str
    done: int
    """The number of moves made; one move is one commit."""
    of: int
    status: RunStatus
    next: str
    """The summary of the next move; "" at the end."""
    claim: ClaimState | None
    """The claim of the tab that executes it."""


Outcome = Literal["made", "held", "lost", "late", "ended"]


class DemoMove(TypedDict):
    """An attempt at a move of a demo run: one commit, fenced by the tab's claim."""

    outcome: Outcome
    """`held`: another tab holds the run, so nothing was tried. `lost`: this tab had lost its claim,
    so the fence rejected the move. `late`: the states had changed. `ended`: no move is left."""
    reason: str
    """Why the claim was lost, else ""."""
    epoch: str | None
    """The epoch of the tab's claim; null without one."""
    summary: str
    """A summary of the move; "" if the run is complete."""
    method: str
    """The method of the run store that the move calls, such as `cas_grant_node_slot`."""
    expected: list[str]
    """The changed part of each expected state, such as `root: node_status n-outline Ready`."""
    next: list[str]
    """The same part of the next states, one for each of `expected`."""
    events: list[int]
    """Cursors of the appended events."""
    demo: DemoRun


class Race(TypedDict):
    """A race: one state per round, which names the winner."""

    run_id: str
    rounds: int
    winners: list[str]
    """The winners of the rounds so far, in order."""
    epochs: list[str]
    """The epochs of their claims, one for each of `winners`."""
    claim: ClaimState | None
    """The claim of the tab that is about to win the next round."""
    won: int
    """Rounds won by this call; 0 from `race_open` and `race_state`."""
    fenced: int
    """Writes of this call that the fence rejected, since the claim was lost."""
    over: bool
