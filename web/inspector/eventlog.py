"""The event log: an index for filtering, and lines for the window that is seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from inspector.pieces import PARSED, get_all, walk
from inspector.shapes import EventIndex, EventLine, Events
from inspector.texts import compact, cut, parsed, shown
from mobstore.errors import SerializationError
from mobstore.scripts.tables import EVENTS, EVENTS_BY_RUN, EventRow
from mobstore.scripts.transaction import Commit, Scan, Script, fetch

_LONGEST_VALUE = 60
_LONGEST_PREVIEW = 1000
_SIZE = 2**24  # characters of the events that are read at once


class Slice(NamedTuple):
    """Some of the log, or of a run's events: those after a cursor, as many as were asked for.

    `first` is the first of them all, None if there are none, and `last` the last cursor or 0.
    """

    after: int
    first: EventRow | None
    rows: Sequence[EventRow]
    last: int


def log_slice(after: int, limit: int, run_id: str | None = None) -> Script[Slice]:
    """Read at most `limit` events after a cursor, fewer if they are long; of all or of a run."""
    index, prefix = (EVENTS, ()) if run_id is None else (EVENTS_BY_RUN, (run_id,))
    first, last = yield from fetch(
        Scan(index, prefix, limit=1), Scan(index, prefix, limit=1, backwards=True)
    )
    rows = yield from walk(index, prefix, _same, most=limit, after=(*prefix, after), size=_SIZE)
    return Commit(Slice(after, first[0] if first else None, rows, last[0].cursor if last else 0))


def event_index(found: Slice) -> EventIndex:
    """Who and what the events of a slice are about.

    Raises:
        SerializationError: one cannot be read.
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
        "origin": f"{first.cursor} {shown(first.timestamp)}" if first else "",
    }


def _same(row: EventRow) -> EventRow:
    return row


def event_lines(cursors: Sequence[int]) -> Script[Events]:
    """These events, each on a line."""
    keys = [(cursor,) for cursor in cursors]
    return Commit({"events": (yield from get_all(EVENTS, keys, _line))})


def _coded(column: Sequence[str | None]) -> tuple[list[int], list[str]]:
    """A column as places in a list of its texts, -1 for none; and that list."""
    texts = [text for text in dict.fromkeys(column) if text is not None]
    places: dict[str | None, int] = {text: place for place, text in enumerate(texts)}
    places[None] = -1
    return [places[text] for text in column], texts


def _decoded(rows: Sequence[EventRow]) -> list[dict[str, Any]]:
    """The kinds of events as JSON: all in one call, without models; {} for what is too long."""
    kinds = [row.kind if len(row.kind) <= PARSED else "{}" for row in rows]
    try:
        events = json.loads(f"[{','.join(kinds)}]")
    except (ValueError, TypeError) as error:
        for row in rows:
            parsed(row.kind, f"event {row.cursor}")
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
        f"{name}={cut(value if isinstance(value, str) else compact(value), _LONGEST_VALUE)}"
        for name, value in event.items()
        if name != "type"
    ]
    return {
        "cursor": row.cursor,
        "timestamp_at": shown(row.timestamp),
        "mob_id": row.mob_id,
        "type": row.type,
        "preview": cut(" ".join(fields) if event else row.kind, _LONGEST_PREVIEW),
        "event": {"of": "event", "cursor": row.cursor},
    }
