"""Types of all results: JSON objects with exactly these keys.

`*_at` is a time for display: RFC 3339 in UTC, exact to the nanosecond. `*_ms` is the same time for
arithmetic: milliseconds since 1970, null for years outside 1 to 9999. Ids and texts are untrusted:
they may hold anything, markup included. Integers fit a JavaScript number, except those declared as
text. `preview` is JSON on one line, cut to 200 characters with "…" at its end; `document(ref)`
returns the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypedDict

Progress = Callable[[int, int], None]
"""Called with (done, total) by long calls, also within a transaction: it must not block."""


class Ref(TypedDict, total=False):
    """A reference to a document, from a result, to be passed to `document` unchanged."""

    of: Literal[
        "event", "params", "run", "extra", "frame", "loop", "step", "output", "spec", "profile"
    ]
    cursor: int
    run_id: str
    id: str
    """The id of a frame, loop instance, mob or profile."""
    position: int
    step_id: str
    loop_id: str
    iteration: int


FailureKind = Literal[
    "not_open",  # call `open` first
    "not_empty",  # an import needs an empty store
    "wrong_file",  # the file cannot be imported
    "full",  # the disk or the quota is full
    "busy",  # another tab holds a lock, or another temporary obstacle
    "storage",  # the browser's storage failed
    "gone",  # the requested data no longer exists
    "data",  # stored data is corrupt
    "rejected",  # a call that cannot succeed as made
    "bug",  # anything else
]


class Failure(TypedDict):
    """The reason of a failed call and what a user can do about it, in whole sentences."""

    kind: FailureKind
    message: str
    way_out: str


class Opened(TypedDict):
    """The store that is open, and the types of events that exist."""

    url: str
    durable: bool
    event_types: list[str]


class MobSummary(TypedDict):
    """A mob that has a spec, a run or an event.

    Without a spec, its revision is null, and roles and flows are empty. At most 50 of both.
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
    """The content of the store; mobs sorted by id, profiles by name."""

    events: int
    runs: int
    empty: bool
    """True if nothing was written since the store was created or erased, so that it can import."""
    imported_from: str | None
    """Releases of meerkat-mob after 0.5.2 that wrote some of the content."""
    mobs: list[MobSummary]
    profiles: list[ProfileSummary]


class Member(TypedDict):
    """A member of a mob, folded from the events."""

    member_id: str
    role: str
    state: Literal["active", "retired", "reset"]
    """`reset`: removed by a reset of the mob."""
    runtime_mode: str
    backend: str
    """`session`, or `backend_peer` for a member behind an address."""
    session_id: str | None
    address: str | None
    labels: dict[str, str]
    spawned_at: str
    left_at: str | None
    kickoff: str | None
    """The phase of its first turn: pending, starting, callback_pending, started, ..."""
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
    """Members in the order of their first spawn, tasks in the order of creation; at most 500 each.

    Long lists of names in them end with a text such as "and 1,234 more".
    """

    mob_id: str
    state: Literal["active", "completed"]
    as_of_cursor: int
    """The cursor of the mob's last event, 0 if it has none."""
    members: list[Member]
    members_left_out: int
    tasks: list[Task]
    tasks_left_out: int


class EventLine(TypedDict):
    """One event of a list."""

    cursor: int
    timestamp_at: str
    mob_id: str
    type: str
    members: list[str]
    """The members that it names, sorted; at most 10."""
    run_id: str | None
    preview: str
    """Its fields without the type, as `name=value name=value`, each value cut to 60 characters."""
    event: Ref


class Events(TypedDict):
    """A page of the events that meet some conditions, in the requested order."""

    events: list[EventLine]
    next: int | None
    """The cursor after which, or with the newest first before which, the next page starts; null at
    the end of the log."""
    last: int
    """The last cursor of the log, 0 without events. All events up to it were considered."""
    origin: str
    """Identifies the log; it changes when the log is erased or its beginning pruned. Then the pages
    must be read anew. Empty without events."""


class ClaimState(TypedDict):
    """The claim on a run or a name that is held, or cannot be claimed yet."""

    state: Literal["held", "expired", "put_off"]
    """`expired`: others can claim it, but none has. `put_off`: not held, but not due yet."""
    holder: str
    """Empty if it is put off."""
    epoch: str
    """Grows with every change of holder; as text, since it may exceed a JavaScript number."""
    due_at: str
    """The time from which others can claim it."""


class NamedClaim(TypedDict):
    """A claim in the list of all."""

    name: str
    run_id: str | None
    claim: ClaimState


class Consumer(TypedDict):
    """A named reader of the log."""

    name: str
    cursor: int
    """The last event that it is done with."""
    behind: int
    """The number of events after it."""
    updated_at: str


class Workers(TypedDict):
    """Claims and consumers, both by name, at most 500 each."""

    claims: list[NamedClaim]
    claims_left_out: int
    consumers: list[Consumer]
    consumers_left_out: int


class Document(TypedDict):
    """An opened document."""

    title: str
    text: str
    """Indented JSON. Values of a kernel state are plain JSON: a named variant as `Enum::Variant`, a
    set as a list, a map as an object or as a list of pairs."""
    stored: str
    """The stored text; for a kernel state, the text that compare-and-swap compares."""
    note: str
    """A remark if only the beginning is included, else ""."""


class FileInfo(TypedDict):
    """A file that passed the checks before an import."""

    format: Literal["meerkat", "mobstore"]
    bytes: int


class Imported(TypedDict):
    """Counts of an import."""

    format: Literal["meerkat", "mobstore"]
    events: int
    runs: int
    specs: int
    realm_profiles: int
    left_out: list[str]
    """The first 100 unreadable rows, each with table, key and reason."""
    more_left_out: int
    other_tables: int
    """The number of rows of tables that are not those of meerkat-mob 0.5.2."""


class Exported(TypedDict):
    """A file with the whole store."""

    path: str
    bytes: int


class Erased(TypedDict):
    """The store was erased."""

    erased: Literal[True]
