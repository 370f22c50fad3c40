"""The tables, declared once: row types, keys, indexes. Every engine maps them to its own.

Columns named like JSON fields hold their content: `kind`, `definition`, `profile`, `output`,
`activation_params` and `extra` free or model JSON, `flow_state` and `kernel_state` canonical text.
Timestamps are text that sorts. No column is null: a missing time, and the run of an event without
one, are empty text.

An index finds the rows with given values in its `prefix` columns, in the order of its `order`
columns: integers by size, text by code point. Rows that tie come in any order. A table is its own
first index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast, get_type_hints

Value: TypeAlias = str | int
Key: TypeAlias = tuple[Value, ...]
Row: TypeAlias = tuple[str | int, ...]
R = TypeVar("R", bound=Row)

FORMAT = 2
"""The version of this layout; engines store it and reject a higher one."""


class Index(Generic[R]):
    """A way to find rows of one table in order; not unique unless it is the table's own.

    Attributes:
        table: the table it belongs to.
        name: unique within the table.
        prefix: columns with the values that a scan selects.
        order: columns that order the rows a scan finds.
        sorted_by: both; the order in which the index holds all rows.
    """

    def __init__(
        self, table: Table[R], name: str, prefix: tuple[str, ...], order: tuple[str, ...]
    ) -> None:
        self.table: Table[R] = table
        self.name: str = name
        self.prefix: tuple[str, ...] = prefix
        self.order: tuple[str, ...] = order
        self.sorted_by: tuple[str, ...] = prefix + order


class Table(Index[R]):
    """A table of `row`s, unique by `key` = `prefix` + `order`."""

    def __init__(
        self, name: str, row: type[R], *, prefix: tuple[str, ...] = (), order: tuple[str, ...]
    ) -> None:
        super().__init__(self, name, prefix, order)
        self.row = row
        # As `row._make`, in half of the time; it does not count the values.
        self.make: Callable[[Iterable[Any]], R] = partial(cast("Any", tuple).__new__, row)
        self.columns: tuple[str, ...] = cast("Any", row)._fields
        hints = get_type_hints(row)
        self.types: tuple[type, ...] = tuple(hints[column] for column in self.columns)
        self.key: tuple[str, ...] = prefix + order
        self.indexes: list[Index[R]] = []
        self._getters: dict[tuple[str, ...], Callable[[Row], Key]] = {}

    def index(self, name: str, *, prefix: tuple[str, ...] = (), order: tuple[str, ...]) -> Index[R]:
        """Declare a further index."""
        index = Index(self, name, prefix, order)
        self.indexes.append(index)
        return index

    def getter(self, columns: tuple[str, ...]) -> Callable[[Row], Key]:
        """Return a function that extracts these columns of a row as a tuple."""
        getter = self._getters.get(columns)
        if getter is None:
            getter = self._getters[columns] = getter_of(self.columns, columns)
        return getter


def getter_of(columns: tuple[str, ...], some: tuple[str, ...]) -> Callable[[Row], Key]:
    """Return a function that extracts some columns of a tuple of columns as a tuple."""
    places = [columns.index(column) for column in some]
    if len(places) > 1:
        return itemgetter(*places)
    start = places[0] if places else 0
    return itemgetter(slice(start, start + len(places)))


IDENTITY = "identity"
"""The name of the row of `META` that identifies the store: a UUID as text."""
IMPORTED_FROM = "imported_from"
"""The name of the row of `META` with the release after 0.5.2 that wrote some of the content."""


NEXT_CURSOR = "next_cursor"
"""The counter of `COUNTERS` that holds the cursor of the next event."""
NEXT_RUN = "next_run"
"""The counter of `COUNTERS` that holds the number of the next run."""
NEXT_EPOCH = "next_epoch"
"""The counter of `COUNTERS` that holds the epoch of the next claim."""


class MetaRow(NamedTuple):
    """A property of the store as a whole."""

    name: str
    value: str


class CounterRow(NamedTuple):
    name: str
    value: int


class EventRow(NamedTuple):
    cursor: int
    mob_id: str
    timestamp: str
    type: str
    run_id: str
    kind: str


class EventKeyRow(NamedTuple):
    """The key under which an event was appended, with the event's cursor and time."""

    key: str
    cursor: int
    timestamp: str


class ConsumerRow(NamedTuple):
    """The position of a named consumer: the cursor of the last event that it is done with."""

    name: str
    cursor: int
    updated_at: str


class RunRow(NamedTuple):
    """The head of a run; `number` counts runs in the order of their creation."""

    run_id: str
    number: int
    mob_id: str
    flow_id: str
    status: str
    activation_params: str
    created_at: str
    completed_at: str
    schema_version: int


class RunStateRow(NamedTuple):
    run_id: str
    flow_state: str


class RunClaimRow(NamedTuple):
    """The claim on a run; the other columns are those of the run, to find work by.

    There is a row for each run that has not ended, and for each that is held. `holder` is "" if
    the run is not held. It can be claimed from `due_at` on. `ttl` is in microseconds.
    """

    run_id: str
    number: int
    mob_id: str
    flow_id: str
    status: str
    due_at: str
    holder: str
    epoch: int
    ttl: int


class StepLedgerRow(NamedTuple):
    run_id: str
    position: int
    step_id: str
    meerkat_id: str
    status: str
    output: str
    timestamp: str


class FailureLedgerRow(NamedTuple):
    run_id: str
    position: int
    step_id: str
    reason: str
    timestamp: str


class FrameRow(NamedTuple):
    run_id: str
    frame_id: str
    kernel_state: str


class LoopRow(NamedTuple):
    run_id: str
    loop_instance_id: str
    kernel_state: str


class LoopIterationRow(NamedTuple):
    """`iteration` is decimal text: it may exceed what SQLite and JavaScript count exactly."""

    run_id: str
    position: int
    loop_instance_id: str
    iteration: str
    frame_id: str


class RootStepOutputRow(NamedTuple):
    run_id: str
    step_id: str
    position: int
    output: str


class LoopOutputRow(NamedTuple):
    """The number of iterations in the outputs of a loop, including empty ones."""

    run_id: str
    loop_id: str
    iterations: int


class LoopStepOutputRow(NamedTuple):
    run_id: str
    loop_id: str
    iteration: int
    step_id: str
    position: int
    output: str


class RunExtraRow(NamedTuple):
    """The keys of an imported run that this version does not know, as JSON."""

    run_id: str
    extra: str


class SpecRow(NamedTuple):
    mob_id: str
    revision: int
    definition: str


class RealmProfileRow(NamedTuple):
    name: str
    revision: int
    profile: str
    created_at: str
    updated_at: str


class ClaimRow(NamedTuple):
    """A claim on a name, as `RunClaimRow` is one on a run."""

    name: str
    due_at: str
    holder: str
    epoch: int
    ttl: int


META = Table("meta", MetaRow, order=("name",))
COUNTERS = Table("counters", CounterRow, order=("name",))
EVENTS = Table("events", EventRow, order=("cursor",))
EVENTS_BY_MOB = EVENTS.index("by_mob", prefix=("mob_id",), order=("cursor",))
EVENTS_BY_RUN = EVENTS.index("by_run", prefix=("run_id",), order=("cursor",))
EVENTS_BY_TIME = EVENTS.index("by_time", order=("timestamp",))
EVENTS_BY_TYPE = EVENTS.index("by_type", prefix=("type",), order=("cursor",))
EVENT_KEYS = Table("event_keys", EventKeyRow, order=("key",))
EVENT_KEYS_BY_CURSOR = EVENT_KEYS.index("by_cursor", order=("cursor",))
EVENT_KEYS_BY_TIME = EVENT_KEYS.index("by_time", order=("timestamp",))
CONSUMERS = Table("consumers", ConsumerRow, order=("name",))
RUNS = Table("runs", RunRow, order=("run_id",))
RUNS_BY_NUMBER = RUNS.index("by_number", order=("number",))
RUNS_BY_STATUS = RUNS.index("by_status", prefix=("status",), order=("number",))
RUNS_BY_MOB = RUNS.index("by_mob", prefix=("mob_id",), order=("number",))
RUNS_BY_MOB_STATUS = RUNS.index("by_mob_status", prefix=("mob_id", "status"), order=("number",))
RUNS_BY_FLOW = RUNS.index("by_flow", prefix=("mob_id", "flow_id"), order=("number",))
RUNS_BY_FLOW_STATUS = RUNS.index(
    "by_flow_status", prefix=("mob_id", "flow_id", "status"), order=("number",)
)
RUNS_BY_END = RUNS.index("by_end", prefix=("status",), order=("completed_at",))
RUN_STATES = Table("run_states", RunStateRow, order=("run_id",))
RUN_CLAIMS = Table("run_claims", RunClaimRow, order=("run_id",))
RUN_CLAIMS_BY_STATUS = RUN_CLAIMS.index("by_status", prefix=("status",), order=("due_at", "number"))
RUN_CLAIMS_BY_MOB = RUN_CLAIMS.index(
    "by_mob", prefix=("mob_id", "status"), order=("due_at", "number")
)
RUN_CLAIMS_BY_FLOW = RUN_CLAIMS.index(
    "by_flow", prefix=("mob_id", "flow_id", "status"), order=("due_at", "number")
)
RUN_CLAIMS_BY_HOLDER = RUN_CLAIMS.index("by_holder", order=("holder", "run_id"))
STEP_LEDGER = Table("step_ledger", StepLedgerRow, prefix=("run_id",), order=("position",))
STEP_LEDGER_BY_STEP = STEP_LEDGER.index(
    "by_step", prefix=("run_id", "step_id"), order=("position",)
)
STEP_LEDGER_BY_IDENTITY = STEP_LEDGER.index(
    "by_identity", prefix=("run_id", "step_id", "meerkat_id", "status"), order=("position",)
)
FAILURE_LEDGER = Table("failure_ledger", FailureLedgerRow, prefix=("run_id",), order=("position",))
FRAMES = Table("frames", FrameRow, prefix=("run_id",), order=("frame_id",))
LOOPS = Table("loops", LoopRow, prefix=("run_id",), order=("loop_instance_id",))
LOOP_ITERATIONS = Table(
    "loop_iterations", LoopIterationRow, prefix=("run_id",), order=("position",)
)
LOOP_ITERATIONS_BY_IDENTITY = LOOP_ITERATIONS.index(
    "by_identity",
    prefix=("run_id", "loop_instance_id", "iteration", "frame_id"),
    order=("position",),
)
ROOT_STEP_OUTPUTS = Table(
    "root_step_outputs", RootStepOutputRow, prefix=("run_id",), order=("step_id",)
)
ROOT_STEP_OUTPUTS_BY_POSITION = ROOT_STEP_OUTPUTS.index(
    "by_position", prefix=("run_id",), order=("position",)
)
LOOP_OUTPUTS = Table("loop_outputs", LoopOutputRow, prefix=("run_id",), order=("loop_id",))
LOOP_STEP_OUTPUTS = Table(
    "loop_step_outputs",
    LoopStepOutputRow,
    prefix=("run_id",),
    order=("loop_id", "iteration", "step_id"),
)
LOOP_STEP_OUTPUTS_BY_POSITION = LOOP_STEP_OUTPUTS.index(
    "by_position", prefix=("run_id", "loop_id", "iteration"), order=("position",)
)
RUN_EXTRAS = Table("run_extras", RunExtraRow, order=("run_id",))
SPECS = Table("specs", SpecRow, order=("mob_id",))
REALM_PROFILES = Table("realm_profiles", RealmProfileRow, order=("name",))
CLAIMS = Table("claims", ClaimRow, order=("name",))

TABLES: tuple[Table[Any], ...] = (
    META,
    COUNTERS,
    EVENTS,
    EVENT_KEYS,
    CONSUMERS,
    RUNS,
    RUN_STATES,
    RUN_CLAIMS,
    STEP_LEDGER,
    FAILURE_LEDGER,
    FRAMES,
    LOOPS,
    LOOP_ITERATIONS,
    ROOT_STEP_OUTPUTS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    RUN_EXTRAS,
    SPECS,
    REALM_PROFILES,
    CLAIMS,
)
