"""The event log: an index for filters, and lines for the visible window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from inspector.batched_reads import MOST_DECODED, get_rows, scan_rows
from inspector.formatting import format_timestamp, parse_json, to_json_line, truncate
from inspector.results import EventIndex, EventLine, Events
from mobstore.errors import SerializationError
from mobstore.scripts.tables import EVENTS, EVENTS_BY_RUN, EventRow
from mobstore.scripts.transaction import Commit, Scan, Script, fetch

_MOST_VALUE = 60
_MOST_PREVIEW = 1000
_SIZE = 2**24  # characters of the events that are read at once


class Slice(NamedTuple):
    """Events after a cursor, of the log or of one run.

    `first` is the first event of the log or the run, or None. `last` is its last cursor, or 0.
    """

    after: int
    first: EventRow | None
    rows: Sequence[EventRow]
    last: int


def log_slice(after: int, limit: int, run_id: str | None = None) -> Script[Slice]:
    """Read at most `limit` events after a cursor, of the log or of a run; fewer if long."""
    index, prefix = (EVENTS, ()) if run_id is None else (EVENTS_BY_RUN, (run_id,))
    first, last = yield from fetch(
        Scan(index, prefix, limit=1), Scan(index, prefix, limit=1, backwards=True)
    )
    rows = yield from scan_rows(
        index, prefix, _same, most=limit, after=(*prefix, after), size=_SIZE
    )
    return Commit(Slice(after, first[0] if first else None, rows, last[0].cursor if last else 0))


def event_index(found: Slice) -> EventIndex:
    """Return the index of a slice: types, mobs, members and runs of its events.

    Raises:
        SerializationError: an event cannot be read.
    """
    rows, first = found.rows, found.first
    events = _decoded(rows)
    ones, others = zip(*map(_members, events), strict=True) if events else ((), ())
    kind, types = _coded([row.type for row in rows])
    mob, mobs = _coded([row.mob_id for row in rows])
    member, members = _coded([*ones, *others])
    run, runs = _coded([row.run_id or None for row in rows])
    return {
        "cursors": [row.cursor for row in rows],
        "type": kind,
        "mob": mob,
        "member": member[: len(rows)],
        "member2": member[len(rows) :],
        "run": run,
        "types": types,
        "mobs": mobs,
        "members": members,
        "runs": runs,
        "last": found.last,
        "more": bool(rows) and rows[-1].cursor < found.last,
        "origin": f"{first.cursor} {format_timestamp(first.timestamp)}" if first else "",
    }


def _same(row: EventRow) -> EventRow:
    return row


def event_lines(cursors: Sequence[int]) -> Script[Events]:
    """Read the events with these cursors, each as a line."""
    keys = [(cursor,) for cursor in cursors]
    return Commit({"events": (yield from get_rows(EVENTS, keys, _line))})


def _coded(column: Sequence[str | None]) -> tuple[list[int], list[str]]:
    """Encode a column as positions in a list of its distinct texts, -1 for None; return both."""
    texts = [text for text in dict.fromkeys(column) if text is not None]
    places: dict[str | None, int] = {text: place for place, text in enumerate(texts)}
    places[None] = -1
    return [places[text] for text in column], texts


def _decoded(rows: Sequence[EventRow]) -> list[dict[str, Any]]:
    """Decode the kinds of events in one call and without models; {} for those that are too long."""
    kinds = [row.kind if len(row.kind) <= MOST_DECODED else "{}" for row in rows]
    try:
        events = json.loads(f"[{','.join(kinds)}]")
    except (ValueError, TypeError) as error:
        for row in rows:
            parse_json(row.kind, f"event {row.cursor}")
        raise SerializationError("an event cannot be read") from error
    return cast("list[dict[str, Any]]", events)


def _members(event: dict[str, Any]) -> tuple[str | None, str | None]:
    match event.get("type"):
        case "peers_wired" | "peers_unwired":
            return event["a"], event["b"]
        case "external_peer_wired" | "external_peer_unwired":
            return event["local"], None
        case "task_updated":
            return event["owner"], None
        case "supervisor_escalation":
            return event["escalated_to"], None
        case "operator_action_recorded":
            return event.get("caller_provenance", {}).get("caller_member_id"), None
        case _:
            return event.get("meerkat_id"), None


def _line(row: EventRow) -> EventLine:
    event = _decoded([row])[0]
    fields = [
        f"{name}={truncate(value if isinstance(value, str) else to_json_line(value), _MOST_VALUE)}"
        for name, value in event.items()
        if name != "type"
    ]
    return {
        "cursor": row.cursor,
        "timestamp_at": format_timestamp(row.timestamp),
        "mob_id": row.mob_id,
        "type": row.type,
        "preview": truncate(" ".join(fields) if event else row.kind, _MOST_PREVIEW),
        "event": {"of": "event", "cursor": row.cursor},
    }
