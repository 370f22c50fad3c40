"""The shapes of all results: JSON objects with exactly these keys.

Everywhere: `*_at` is a moment as RFC 3339 text in UTC, exact to the nanosecond, for showing;
`*_ms` is the same as milliseconds since 1970, for reckoning, null where the year is not within 1
to 9999. Ids and texts are data of strangers: they may hold anything, markup included. Integers
fit a JavaScript number, except where said to be text. `preview` is JSON text on one line, cut to
200 characters and ended by "…" when longer; the whole is to be had from `document(ref)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypedDict

Progress = Callable[[int, int], None]
"""Told (done, total) by what takes long, also in the middle of a transaction: it must not wait."""

RunStatus = Literal["pending", "running", "completed", "failed", "canceled"]
StepStatus = Literal["dispatched", "completed", "failed", "skipped", "canceled"]


class Ref(TypedDict, total=False):
    """What `document` opens; taken from a result and given back as it is."""

    of: Literal["event", "params", "run", "frame", "loop", "step", "output", "spec", "profile"]
    cursor: int
    run_id: str
    id: str
    """Frame, loop instance, mob or profile."""
    position: int
    step_id: str
    loop_id: str
    iteration: int


FailureKind = Literal[
    "not_open",  # call `open` first
    "not_empty",  # an import needs an empty store
    "wrong_file",  # what was dropped cannot be imported
    "full",  # the browser gives no more room
    "busy",  # another tab is in the way, or something else that may pass
    "storage",  # the browser's storage refused
    "gone",  # what was asked for is not there any more
    "data",  # stored data cannot be read
    "refused",  # a call that cannot succeed as made
    "bug",  # anything else
]


class Failure(TypedDict):
    """Why a call failed: what happened, and what a person can do, in whole sentences."""

    kind: FailureKind
    message: str
    way_out: str


class Opened(TypedDict):
    """The store that is open."""

    url: str
    durable: bool


class MobSummary(TypedDict):
    """A mob that has a spec, a run or an event. Without a spec: null, [] and [].

    Of roles and flows the first 50.
    """

    mob_id: str
    events: int
    runs: int
    spec_revision: int | None
    roles: list[str]
    flows: list[str]
    spec: Ref | None


class ProfileSummary(TypedDict):
    """A realm profile."""

    name: str
    revision: int
    model: str
    description: str
    updated_at: str
    profile: Ref


class Overview(TypedDict):
    """What the store holds; mobs by id, profiles by name."""

    events: int
    runs: int
    empty: bool
    """Whether nothing was written since the store was made or erased: only then it can import."""
    mobs: list[MobSummary]
    profiles: list[ProfileSummary]


class Member(TypedDict):
    """A member of a mob as the events tell it."""

    member_id: str
    role: str
    state: Literal["active", "retired", "reset"]
    """`reset`: gone with a reset of the mob."""
    runtime_mode: str
    backend: str
    """`session`, or `backend_peer` for one behind an address."""
    session_id: str | None
    address: str | None
    labels: dict[str, str]
    spawned_at: str
    left_at: str | None
    kickoff: str | None
    """How far its first turn has come: pending, starting, callback_pending, started, ..."""
    kickoff_error: str | None
    wired_to: list[str]
    external_peers: list[str]
    tasks: list[str]
    """Ids of the tasks that it owns."""


class Task(TypedDict):
    """A task on the mob's board."""

    task_id: str
    subject: str
    description: str
    status: str
    owner: str | None
    blocked_by: list[str]
    changed_at: str


class Roster(TypedDict):
    """Members in the order in which they were first spawned, tasks in the order of creation.

    Of each the first 500; lists of names in them end with "and 1,234 more" where they are long.
    """

    mob_id: str
    state: Literal["active", "completed"]
    as_of_cursor: int
    """The cursor of the mob's last event, 0 if it has none."""
    members: list[Member]
    members_left_out: int
    tasks: list[Task]
    tasks_left_out: int


class EventIndex(TypedDict):
    """A page of the index for filtering; columns of equal length, one item per event, ascending.

    `type`, `mob`, `member`, `member2` and `run` are places in `types`, `mobs`, `members`
    and `runs`; -1 is none. The dictionaries are those of this page alone.
    """

    cursors: list[int]
    type: list[int]
    mob: list[int]
    member: list[int]
    member2: list[int]
    """The second member of events about two, such as `peers_wired`."""
    run: list[int]
    types: list[str]
    mobs: list[str]
    members: list[str]
    runs: list[str]
    last: int
    """The last cursor of the log, 0 if there are no events."""
    more: bool
    """Whether there are further events: ask again after the last of `cursors`."""
    origin: str
    """Differs from that of the page before when the log was erased or its beginning pruned: then
    forget the index and begin again after 0. Empty when there are no events."""


class EventLine(TypedDict):
    """One event of the visible window."""

    cursor: int
    timestamp_at: str
    mob_id: str
    type: str
    preview: str
    """Its fields without the type, as `name=value name=value`, each value cut to 60 characters."""
    event: Ref


class Events(TypedDict):
    """In the order asked for; events that are not there (any more) are left out."""

    events: list[EventLine]


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
    """Null while it runs, and where one of the moments has no `*_ms`."""
    steps: int
    """Entries of the step ledger."""
    failures: int


class Runs(TypedDict):
    """Runs of one mob, newest first."""

    total: int
    runs: list[RunHeader]
    next_before: int | None
    """To be given as `before` for the next page; null at the end."""


class Bar(TypedDict):
    """What one member did for one step, from its dispatch to its end."""

    step_id: str
    lane: int
    """Place in `Timeline.members`."""
    start_ms: int | None
    end_ms: int | None
    """Null while it is at work."""
    status: StepStatus
    """`dispatched` while at work, or when it was dispatched again before it ended."""
    first: int
    """Position of its first entry in the step ledger."""
    last: int
    """Position of its last entry; the same as `first` if there is one."""


class Timeline(TypedDict):
    """Bars in the order of their first entries; members in the order of their first bars."""

    members: list[str]
    bars: list[Bar]
    start_ms: int | None
    """The earliest moment in the ledger; runs may be created or ended at quite other times."""
    end_ms: int | None
    """The latest one."""
    left_out: int
    """Entries of the ledger, the last ones, that were too many for bars."""


class Branch(TypedDict):
    """A frame or a loop; its place in the tree is its `depth` and its place in the list."""

    of: Literal["frame", "loop"]
    id: str
    label: str
    """The id without that of what it lies in, or of the run."""
    depth: int
    phase: str
    iteration: str | None
    """Of a frame that the ledger says ran an iteration: its number from 0, as text. Else null."""
    state: Ref


class Run(TypedDict):
    """One run in depth."""

    header: RunHeader
    flow_phase: str
    params: Ref
    params_preview: str
    flow_state: Ref
    timeline: Timeline
    tree: list[Branch]
    """In the order of display: what lies in a branch follows it, one deeper."""
    tree_left_out: int
    """Frames and loops that were too many."""
    iterations: int
    """Entries of the loop iteration ledger."""
    outputs: int


class Node(TypedDict):
    """A node of a frame."""

    node_id: str
    kind: str
    """`Step`, `Loop`, or "" where the state does not say."""
    status: str
    """Pending, Ready, Running, Completed, Failed, Skipped, Canceled, or what the state says."""
    depends_on: list[str]


class FrameNodes(TypedDict):
    """The nodes of one frame in their order."""

    frame_id: str
    nodes: list[Node]


class Nodes(TypedDict):
    """Of the frames asked for that exist."""

    frames: list[FrameNodes]


class StepEntry(TypedDict):
    """An entry of the step ledger."""

    position: int
    step_id: str
    member_id: str
    status: StepStatus
    timestamp_at: str
    preview: str
    """Of its output; "null" if it has none."""
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
    """A page of a ledger, in the order of appending."""

    total: int
    offset: int
    entries: list[StepEntry] | list[FailureEntry] | list[IterationEntry]


class Output(TypedDict):
    """What a step of the flow put out."""

    step_id: str
    loop_id: str | None
    """The loop whose iteration it belongs to; null for a step of the root."""
    iteration: int | None
    preview: str
    output: Ref


class Outputs(TypedDict):
    """Those of the root in the order of recording, then those of loops by loop and iteration."""

    outputs: list[Output]
    left_out: int
    """How many there are besides these."""


class Document(TypedDict):
    """Something opened, decoded now."""

    title: str
    text: str
    """For reading: indented JSON; a kernel state with its values as plain JSON (a named variant as
    `Enum::Variant`, a set as a list, a map as an object or as a list of pairs)."""
    stored: str
    """The text as the store keeps it; for a kernel state what compare-and-swap compares."""
    note: str
    """That only the beginning is there; "" if all of it is."""


class FileInfo(TypedDict):
    """A file that can be imported, as far as can be told without reading all of it."""

    format: Literal["meerkat", "mobstore"]
    bytes: int


class Imported(TypedDict):
    """What an import brought."""

    format: Literal["meerkat", "mobstore"]
    events: int
    runs: int
    specs: int
    realm_profiles: int
    left_out: list[str]
    """The first 100 rows that nobody can read, each in words with table, key and reason."""
    more_left_out: int


class Exported(TypedDict):
    """A file that now holds the whole store."""

    path: str
    bytes: int


class Erased(TypedDict):
    """The store is empty."""

    erased: Literal[True]


class DemoRun(TypedDict):
    """How far a demo run is. `run_id` null: there is none; everything else is then 0 and ""."""

    run_id: str | None
    mob_id: str
    done: int
    """Moves made; one move is one commit."""
    of: int
    status: RunStatus
    next: str
    """What the next move will do, in words; "" at the end."""


class DemoMove(TypedDict):
    """One move of a demo run: one commit that compares and swaps."""

    won: bool
    """False: another tab moved first, and nothing was changed."""
    what: str
    """What was done (or tried), in words; "" when the run has ended and nothing is left to do."""
    method: str
    """The method of the run store that makes such a change, such as `cas_grant_node_slot`."""
    compared: list[str]
    """The states that had to be as read: what changes in each, such as
    `root: node_status n-outline Ready`."""
    swapped: list[str]
    """What they became, one for each of `compared`."""
    events: list[int]
    """Cursors of the events that it appended."""
    demo: DemoRun


class Race(TypedDict):
    """A race; one state per round, whose winner it names."""

    run_id: str
    rounds: int
    winners: list[str]
    """The winner of each round that is over, in order."""
    won: int
    """Rounds won by this call; 0 from `race_open` and `race_state`."""
    lost: int
    """Compare-and-swaps of this call that came too late."""
    over: bool
