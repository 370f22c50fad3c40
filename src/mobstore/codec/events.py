"""Events to rows and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import itemgetter
from typing import Annotated, NamedTuple, TypeAlias

from pydantic import FailFast, TypeAdapter

from mobstore.codec.arguments import document_text, instance, moment, text
from mobstore.codec.decoding import UNREADABLE, uncollected, unreadable
from mobstore.errors import SerializationError
from mobstore.model.event import MobEvent, MobEventKind, NewMobEvent
from mobstore.model.record import Record
from mobstore.model.round_trip import check_round_trip, is_exactly_same, read_back
from mobstore.model.text import brief
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import EventRow

EventDraft: TypeAlias = tuple[str, str, str, str, str]
"""An event without its cursor as it is stored: mob_id, timestamp, type, run_id, kind."""

_MOB_ID = itemgetter(EventRow._fields.index("mob_id"))


class Drafts(NamedTuple):
    """Events without their cursors: as they are stored, and what those who read them get."""

    rows: list[EventDraft]
    times: list[Timestamp]
    kinds: list[MobEventKind]


def draft_events(events: Sequence[NewMobEvent], clock: Callable[[], Timestamp]) -> Drafts:
    """What will be stored of events; nothing is shared with what an owner could change.

    Events without a time of their own get the present one.

    Raises:
        SerializationError: one is not an event, has no JSON form, or would be read back as
            something else or not at all.
    """
    if len(events) == 1:
        return _drafts(events, clock, "event.kind")
    with uncollected():
        return _drafts(events, clock, "events[{}].kind")


def _drafts(events: Sequence[NewMobEvent], clock: Callable[[], Timestamp], name: str) -> Drafts:
    now: Timestamp | None = None
    times: list[Timestamp] = []
    texts: list[str] = []
    for event in events:
        instance(event, NewMobEvent, "event")
        timestamp = event.timestamp
        if timestamp is None:
            timestamp = now = now or clock()
        times.append(timestamp)
        what = name.format(len(texts))
        instance(event.kind, Record, what)
        texts.append(document_text(event.kind, what))
    kinds = _read_back(events, texts, name)
    rows: list[EventDraft] = []
    for event, timestamp, kind, written in zip(events, times, kinds, texts, strict=True):
        given, ordered = event.kind, written
        if not is_exactly_same(given, kind):
            what = name.format(len(rows))
            if not check_round_trip(given, kind, what):
                ordered = document_text(kind, what)
        rows.append(_draft(event.mob_id, timestamp, kind, ordered))
    return Drafts(rows, times, kinds)


def _read_back(
    events: Sequence[NewMobEvent], texts: Sequence[str], name: str
) -> list[MobEventKind]:
    """The kinds as they will be read, all in one call."""
    try:
        return _kinds().validate_json(f"[{','.join(texts)}]")
    except ValueError:
        pass
    for n, (event, written) in enumerate(zip(events, texts, strict=True)):
        what = name.format(n)
        read_back(type(event.kind), written, what)
        try:
            _kinds().validate_json(f"[{written}]")
        except ValueError:
            raise SerializationError(f"{what} is none of the kinds of events") from None
    raise SerializationError("events cannot be read back")  # though each can


def draft_event(mob_id: str, timestamp: Timestamp, kind: MobEventKind) -> EventDraft:
    """What will be stored of an event whose kind is known to be one.

    Raises:
        SerializationError: a part has no JSON form.
    """
    return _draft(mob_id, timestamp, kind, document_text(kind, "event.kind"))


def _draft(mob_id: str, timestamp: Timestamp, kind: MobEventKind, written: str) -> EventDraft:
    return (
        text(mob_id, "mob_id"),
        moment(timestamp, "timestamp"),
        kind.type,
        run_of(kind),
        written,
    )


def run_of(kind: MobEventKind) -> str:
    """The id of the run that an event is about, "" if it is about none."""
    return str(kind.__dict__.get("run_id", ""))  # `getattr` would ask pydantic first


def stored_events(first: int, drafts: Drafts) -> list[MobEvent]:
    """Events as stored, from this cursor on."""
    assemble = MobEvent.assemble
    return [
        assemble({"cursor": cursor, "timestamp": timestamp, "mob_id": row[0], "kind": kind})
        for cursor, (row, timestamp, kind) in enumerate(zip(*drafts, strict=True), first)
    ]


class UnreadableEvent(NamedTuple):
    """An event that cannot be read, and the error that says so."""

    cursor: int
    error: SerializationError


def read_events(rows: Sequence[EventRow]) -> tuple[list[MobEvent], list[UnreadableEvent]]:
    """Decode events; gives those that can be read, and those that cannot."""
    try:
        with uncollected():
            return _decoded(rows), []
    except UNREADABLE:
        pass
    events: list[MobEvent] = []
    found: list[UnreadableEvent] = []
    for row in rows:
        try:
            events += _decoded((row,))
        except UNREADABLE as error:
            said = unreadable(f"table events, cursor {brief(str(row.cursor))}", error)
            found.append(UnreadableEvent(row.cursor, said))
    return events, found


def read_all(rows: Sequence[EventRow]) -> list[MobEvent]:
    """Decode events.

    Raises:
        SerializationError: one cannot be read; its cursor is named.
    """
    events, found = read_events(rows)
    if found:
        raise found[0].error
    return events


def _decoded(rows: Sequence[EventRow]) -> list[MobEvent]:
    """Decode all kinds in one call, which is three times as fast as one by one."""
    assemble, decoded = MobEvent.assemble, Timestamp.from_sortable
    if not {str}.issuperset(map(type, map(_MOB_ID, rows))):
        raise TypeError("mob_id is not text")
    kinds = _kinds().validate_json(f"[{','.join([row.kind for row in rows])}]")
    return [
        assemble({"cursor": cursor, "timestamp": decoded(time), "mob_id": mob_id, "kind": kind})
        for (cursor, mob_id, time, *_), kind in zip(rows, kinds, strict=True)
    ]


@cache
def _kinds() -> TypeAdapter[list[MobEventKind]]:
    return TypeAdapter(Annotated[list[MobEventKind], FailFast()])
