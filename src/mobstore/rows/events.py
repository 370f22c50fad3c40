"""Events to rows and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, TypeAlias

from pydantic import TypeAdapter

from mobstore.arguments import instance, moment, record_text, text
from mobstore.errors import SerializationError
from mobstore.model.event import (
    FlowStarted,
    MeerkatSpawned,
    MobCreated,
    MobEvent,
    MobEventKind,
    NewMobEvent,
)
from mobstore.model.record import Record
from mobstore.model.timestamp import Timestamp
from mobstore.rows.reading import uncollected
from mobstore.tables import EventRow

EventDraft: TypeAlias = tuple[str, str, str, str, str]
"""An event without its cursor as it is stored: mob_id, timestamp, type, run_id, kind."""

Timed: TypeAlias = tuple[str, Timestamp, MobEventKind]
"""An event without its cursor."""


def draft_event(mob_id: str, timestamp: Timestamp, kind: MobEventKind) -> EventDraft:
    """What will be stored of an event.

    Raises:
        SerializationError: a part has no JSON form.
    """
    return (
        text(mob_id, "mob_id"),
        moment(timestamp, "timestamp"),
        kind.type,
        run_of(kind),
        record_text(kind, Record, "event.kind"),
    )


def run_of(kind: MobEventKind) -> str:
    """The id of the run that an event is about, "" if it is about none."""
    run_id: object = getattr(kind, "run_id", "")
    return str(run_id)


def timed_events(events: Sequence[NewMobEvent], clock: Callable[[], Timestamp]) -> list[Timed]:
    """The parts of events; those without a time of their own get the present one.

    Raises:
        SerializationError: one is not an event.
    """
    now: Timestamp | None = None
    timed: list[Timed] = []
    for event in events:
        instance(event, NewMobEvent, "event")
        timestamp = event.timestamp
        if timestamp is None:
            timestamp = now = now or clock()
        timed.append((event.mob_id, timestamp, event.kind))
    return timed


def stored_events(
    first: int, timed: Sequence[Timed], drafts: Sequence[EventDraft]
) -> list[MobEvent]:
    """Events as stored; they share nothing with their kinds that an owner could change."""
    assemble, decode = MobEvent.assemble, _kinds().validate_json
    return [
        assemble(
            {
                "cursor": cursor,
                "timestamp": timestamp,
                "mob_id": mob_id,
                "kind": decode(f"[{draft[4]}]")[0] if type(kind) in _WITH_MAPS else kind,
            }
        )
        for cursor, ((mob_id, timestamp, kind), draft) in enumerate(
            zip(timed, drafts, strict=True), first
        )
    ]


_WITH_MAPS = {MobCreated, MeerkatSpawned, FlowStarted}


class UnreadableEvent(NamedTuple):
    """An event that cannot be read, and the error that says so."""

    cursor: int
    error: SerializationError


def read_events(rows: Sequence[EventRow]) -> tuple[list[MobEvent], list[UnreadableEvent]]:
    """Decode events; gives those that can be read, and those that cannot."""
    try:
        with uncollected():
            return _decoded(rows), []
    except (ValueError, TypeError):
        pass
    events: list[MobEvent] = []
    unreadable: list[UnreadableEvent] = []
    for row in rows:
        try:
            events += _decoded((row,))
        except (ValueError, TypeError) as error:
            said = SerializationError(f"table events, cursor {row.cursor} cannot be read")
            said.__cause__ = error
            unreadable.append(UnreadableEvent(row.cursor, said))
    return events, unreadable


def read_all(rows: Sequence[EventRow]) -> list[MobEvent]:
    """Decode events.

    Raises:
        SerializationError: one cannot be read; its cursor is named.
    """
    events, unreadable = read_events(rows)
    if unreadable:
        raise unreadable[0].error
    return events


def _decoded(rows: Sequence[EventRow]) -> list[MobEvent]:
    """Decode all kinds in one call, which is three times as fast as one by one."""
    assemble, decoded = MobEvent.assemble, Timestamp.from_sortable
    kinds = _kinds().validate_json(f"[{','.join([row.kind for row in rows])}]")
    return [
        assemble({"cursor": cursor, "timestamp": decoded(time), "mob_id": mob_id, "kind": kind})
        for (cursor, mob_id, time, *_), kind in zip(rows, kinds, strict=True)
    ]


@cache
def _kinds() -> TypeAdapter[list[MobEventKind]]:
    return TypeAdapter(list[MobEventKind])
