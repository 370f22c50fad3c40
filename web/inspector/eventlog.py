"""The event log: pages of events for the list, and slices of the log for the rosters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from inspector.batched_reads import MOST_DECODED, next_limit, scan_rows, whole
from inspector.formatting import format_timestamp, to_json_line, truncate
from inspector.results import EventLine, Events
from mobstore.codec.events import read_events
from mobstore.model.event_types import members_of
from mobstore.operations.event_queries import Conditions, Search, Span
from mobstore.scripts.tables import EVENTS, EventRow
from mobstore.scripts.transaction import Commit, Engine, Scan, Script, ScriptPart, fetch

_MOST_VALUE = 60
_MOST_PREVIEW = 1000
_MOST_MEMBERS = 10
_FIRST_BATCH = 8  # events; their length is not known yet
_SIZE = 2**24  # characters of the events that are read at once


class Slice(NamedTuple):
    """Events after a cursor.

    `first` is the first event of the log, or None. `last` is its last cursor, or 0.
    """

    after: int
    first: EventRow | None
    rows: Sequence[EventRow]
    last: int


def log_slice(after: int, limit: int) -> Script[Slice]:
    """Read at most `limit` events after a cursor; fewer if long."""
    first, last = yield from _ends()
    rows = yield from scan_rows(EVENTS, (), whole, most=limit, after=(after,), size=_SIZE)
    return Commit(Slice(after, first, rows, last))


async def event_page(
    engine: Engine, conditions: Conditions, mob_id: str | None, span: Span, limit: int
) -> Events:
    """Read the first events of a span that meet some conditions, as `events.poll` does.

    Args:
        engine: the engine of the store.
        conditions: those of the store's search.
        mob_id: leave out events of other mobs.
        span: the cursors to search, and the order.
        limit: the maximum number of events.
    """
    first, last = await engine.read(_read_ends)
    lines: list[EventLine] = []
    batch = _FIRST_BATCH
    while True:
        wanted = min(batch, limit - len(lines))
        rows = await _search(engine, Search(conditions, span, wanted))
        lines += [_line(row) for row in rows if mob_id in {None, row.mob_id}]
        ended = len(rows) < wanted
        if ended or len(lines) >= limit:
            break
        span, batch = span.beyond(rows[-1].cursor), next_limit(wanted, rows)
    return {
        "events": lines,
        "next": None if ended else rows[-1].cursor,
        "last": last,
        "origin": f"{first.cursor} {format_timestamp(first.timestamp)}" if first else "",
    }


async def _search(engine: Engine, search: Search) -> list[EventRow]:
    """Carry on a search to its end, in several transactions: writers wait for one."""
    while not search.ended:
        search = await engine.read(partial(_carry_on, search))
    return search.found


def _carry_on(search: Search) -> Script[Search]:
    return Commit((yield from search.carry_on()))


def _read_ends() -> Script[tuple[EventRow | None, int]]:
    return Commit((yield from _ends()))


def _ends() -> ScriptPart[tuple[EventRow | None, int]]:
    """Return the first event of the log or None, and the last cursor or 0."""
    first, last = yield from fetch(Scan(EVENTS, limit=1), Scan(EVENTS, limit=1, backwards=True))
    return (first[0] if first else None), (last[0].cursor if last else 0)


def _line(row: EventRow) -> EventLine:
    return {
        "cursor": row.cursor,
        "timestamp_at": format_timestamp(row.timestamp),
        "mob_id": row.mob_id,
        "type": truncate(row.type),
        "members": _members(row),
        "run_id": row.run_id or None,
        "preview": truncate(_preview(row.kind), _MOST_PREVIEW),
        "event": {"of": "event", "cursor": row.cursor},
    }


def _members(row: EventRow) -> list[str]:
    """Return the members that an event names; none of an event that is unreadable or too long."""
    if len(row.kind) > MOST_DECODED:
        return []
    events, _ = read_events([row])
    return [name for event in events for name in sorted(members_of(event.kind))][:_MOST_MEMBERS]


def _preview(kind: str) -> str:
    if len(kind) > MOST_DECODED:
        return kind
    try:
        event: dict[str, Any] = json.loads(kind)
        fields = [(name, value) for name, value in event.items() if name != "type"]
    except (ValueError, TypeError, AttributeError):
        return "This event cannot be read"
    return " ".join(f"{truncate(name)}={_value(value)}" for name, value in fields)


def _value(value: Any) -> str:
    return truncate(value if isinstance(value, str) else to_json_line(value), _MOST_VALUE)
