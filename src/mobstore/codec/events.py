"""Events to rows and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain
from operator import itemgetter
from typing import Generic, NamedTuple, TypeAlias, TypeVar, cast

from mobstore.codec.arguments import choice, document_text, instance, text, timestamp_text
from mobstore.codec.decoding import UNREADABLE, garbage_collection_paused, unreadable
from mobstore.codec.kinds import START, kind_of, read_kinds
from mobstore.errors import SerializationError, UsageError
from mobstore.model.event import MobEvent, MobEventKind, NewMobEvent, run_of
from mobstore.model.event_types import EVENT_TYPES
from mobstore.model.json import encode_string
from mobstore.model.other_event import OtherEvent
from mobstore.model.record import Record, validate
from mobstore.model.round_trip import check_round_trip, is_exactly_same, read_back
from mobstore.model.text import brief
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import EVENTS, EventRow

E = TypeVar("E")

_KIND = "event.kind"
_PART = 1000  # events to decode at once
_BATCH = 64  # events to encode at once
_LONGEST_KNOWN = max(map(len, EVENT_TYPES))
_Columns: TypeAlias = tuple[int, str, str, str]
EVENT_COLUMNS = ("cursor", "mob_id", "timestamp", "kind")
"""The columns from which an event is read; the others repeat parts of its kind, for indexes."""
_COLUMNS_OF = cast("Callable[[EventRow], _Columns]", EVENTS.getter(EVENT_COLUMNS))
_MOB_ID = itemgetter(1)


class EncodedEvents(NamedTuple):
    """Events to append.

    Attributes:
        rows: their rows; the cursor is 0 until the script assigns it.
        times: their times, decoded.
        kinds: their kinds, decoded. They share nothing with the caller's objects.
    """

    rows: list[EventRow]
    times: list[Timestamp]
    kinds: Sequence[MobEventKind | OtherEvent]


def encode_event(event: NewMobEvent, clock: Callable[[], Timestamp]) -> EncodedEvents:
    """Encode an event; without a time it gets the clock's.

    Raises:
        UsageError: a value is not an event.
        SerializationError: the event has no JSON form, does not read back, or reads back as
            something else.
    """
    return _encode((event,), clock, lambda _: _KIND)


def encode_parts(
    events: Sequence[NewMobEvent], clock: Callable[[], Timestamp]
) -> Iterator[EncodedEvents]:
    """Encode events part by part, so that a caller can let other tasks run in between.

    All events without a time get the same one. Raise the errors of `encode_event`.
    """
    now = cache(clock)
    for start in range(0, len(events), _BATCH):
        with garbage_collection_paused():
            part = _encode(events[start : start + _BATCH], now, partial(_name_in_batch, start))
        yield part


def _name_in_batch(start: int, n: int) -> str:
    return f"events[{start + n}].kind"


def _encode(
    events: Sequence[NewMobEvent], clock: Callable[[], Timestamp], name: Callable[[int], str]
) -> EncodedEvents:
    times: list[Timestamp] = []
    documents: list[str] = []
    for n, event in enumerate(events):
        instance(event, NewMobEvent, "event")
        timestamp = event.timestamp
        times.append(clock() if timestamp is None else timestamp)
        what = name(n)
        instance(event.kind, Record, what)
        if type(event.kind) is OtherEvent and event.allow_other is not True:
            raise UsageError(f"{what} is an OtherEvent; pass allow_other=True to NewMobEvent")
        documents.append(document_text(event.kind, what))
    kinds = _read_back(events, documents, name)
    rows: list[EventRow] = []
    for event, timestamp, kind, document in zip(events, times, kinds, documents, strict=True):
        given, ordered = event.kind, document
        if not is_exactly_same(given, kind):
            what = name(len(rows))
            if type(given) is OtherEvent and type(kind) is not OtherEvent:
                raise SerializationError(
                    f"{what} is an OtherEvent, but {type(kind).__name__} has all its fields;"
                    " append that"
                )
            if not check_round_trip(given, kind, what):
                ordered = document_text(kind, what)
        rows.append(row_of(0, event.mob_id, timestamp, kind, ordered))
    return EncodedEvents(rows, times, kinds)


def _read_back(
    events: Sequence[NewMobEvent], documents: Sequence[str], name: Callable[[int], str]
) -> Sequence[MobEventKind | OtherEvent]:
    """Return the kinds as a reader will decode them."""
    try:
        return read_kinds(documents)
    except ValueError:
        pass
    for n, (event, document) in enumerate(zip(events, documents, strict=True)):
        what = name(n)
        if type(event.kind) is not OtherEvent:
            read_back(type(event.kind), document, what)
        try:
            read_kinds([document])
        except ValueError:
            raise SerializationError(f"{what} is none of the kinds of events") from None
    raise SerializationError("events cannot be read back")  # though each of them can


def event_of(document: Mapping[str, object]) -> MobEvent:
    """Decode an event from parsed JSON (see `parse`), whether its kind is known or not.

    Raises:
        SerializationError: it is no event.
    """
    if "kind" in document:
        document = {**document, "kind": kind_of(document["kind"])}
    return validate(MobEvent, document)


def event_row(event: MobEvent) -> EventRow:
    """Encode an event of a document.

    Raises:
        SerializationError: a part has no JSON form.
    """
    document = document_text(event.kind, _KIND)
    return row_of(event.cursor, event.mob_id, event.timestamp, event.kind, document)


def row_of(
    cursor: int,
    mob_id: str,
    timestamp: Timestamp,
    kind: MobEventKind | OtherEvent,
    document: str,
) -> EventRow:
    """Encode the parts of an event; `document` is the JSON of its kind.

    Raises:
        SerializationError: a part has no JSON form.
    """
    return EventRow(
        cursor,
        text(mob_id, "mob_id"),
        timestamp_text(timestamp, "timestamp"),
        type_text(kind),
        run_text(kind),
        document,
    )


def type_text(kind: MobEventKind | OtherEvent) -> str:
    """Encode the type of an event.

    Raises:
        SerializationError: it is no text that can be stored.
    """
    return kind.type if len(kind.type) <= _LONGEST_KNOWN else text(kind.type, "type")


def run_text(kind: MobEventKind | OtherEvent) -> str:
    """Encode the run that an event names; empty text if it names none."""
    return str(run_of(kind) or "")


def stored_events(first: int, encoded: EncodedEvents) -> list[MobEvent]:
    """Return events as stored, with cursors from `first` on."""
    assemble = MobEvent.assemble
    return [
        assemble({"cursor": cursor, "timestamp": timestamp, "mob_id": row.mob_id, "kind": kind})
        for cursor, (row, timestamp, kind) in enumerate(zip(*encoded, strict=True), first)
    ]


def stored_parts(first: int, parts: Iterable[EncodedEvents]) -> Iterator[list[MobEvent]]:
    """Return the events of all parts as stored, part by part, with cursors from `first` on."""
    for part in parts:
        yield stored_events(first, part)
        first += len(part.rows)


def event_key(key: str) -> str:
    """Check the key of an event.

    Raises:
        UsageError: it is not text, or is empty.
        SerializationError: it holds lone surrogates, or is too long.
    """
    checked = text(key, "key")
    if not checked:
        raise UsageError("key must not be empty")
    return checked


def event_types(types: str | Collection[str], what: str) -> tuple[str, ...]:
    """Check one type of events or several; return them without repetition.

    A text that is none of `EVENT_TYPES` may be the type of other events; see `require_types`.

    Raises:
        UsageError: one is not text, or they are no collection.
    """
    if isinstance(types, Collection) and not isinstance(types, (str, bytes)):
        return tuple(sorted({_event_type(one, what) for one in types}))
    return (_event_type(types, what),)


def _event_type(one: str, what: str) -> str:
    return text(one, what) if type(one) is str else choice(one, EVENT_TYPES, what)


class UnreadableEvent(NamedTuple):
    """An unreadable event, with the error."""

    cursor: int
    error: SerializationError


class Form(NamedTuple, Generic[E]):
    """A form in which events are read.

    Attributes:
        decode: decodes rows of the columns `EVENT_COLUMNS`, or raises one of `UNREADABLE`.
    """

    decode: Callable[[Sequence[_Columns]], list[E]]

    def decode_if_readable(self, rows: Sequence[_Columns]) -> list[E] | None:
        """Decode rows of the columns; return None if any is unreadable."""
        with garbage_collection_paused():
            try:
                if len(rows) <= _PART:
                    return self.decode(rows)
                return list(chain.from_iterable(map(self.decode, _in_parts(rows))))
            except UNREADABLE:
                return None

    def read(self, rows: Sequence[EventRow]) -> tuple[list[E], list[UnreadableEvent]]:
        """Decode events; return the readable ones and the unreadable ones."""
        columns = list(map(_COLUMNS_OF, rows))
        found = self.decode_if_readable(columns)
        if found is not None:
            return found, []
        events: list[E] = []
        bad: list[UnreadableEvent] = []
        for row in columns:
            try:
                events += self.decode((row,))
            except UNREADABLE as error:
                said = unreadable(f"table events, cursor {brief(str(row[0]))}", error)
                bad.append(UnreadableEvent(row[0], said))
        return events, bad


def _in_parts(rows: Sequence[_Columns]) -> Iterator[Sequence[_Columns]]:
    """Yield parts: decoding one holds Python's lock, for milliseconds."""
    for start in range(0, len(rows), _PART):
        yield rows[start : start + _PART]


def read_events(rows: Sequence[EventRow]) -> tuple[list[MobEvent], list[UnreadableEvent]]:
    """Decode events; return the readable ones and the unreadable ones."""
    return MODELS.read(rows)


def read_all(rows: Sequence[EventRow]) -> list[MobEvent]:
    """Decode events.

    Raises:
        SerializationError: an event is unreadable; the error names its cursor.
    """
    events, found = read_events(rows)
    if found:
        raise found[0].error
    return events


def _models(rows: Sequence[_Columns]) -> list[MobEvent]:
    """Decode all kinds in one call, three times as fast as one by one."""
    if not {str}.issuperset(map(type, map(_MOB_ID, rows))):
        raise TypeError("mob_id is not text")
    kinds = read_kinds([kind for _, _, _, kind in rows])
    times = Timestamp.all_from_sortable([time for _, _, time, _ in rows])
    return MobEvent.assemble_all(
        {"cursor": cursor, "timestamp": time, "mob_id": mob_id, "kind": kind}
        for (cursor, mob_id, _, _), time, kind in zip(rows, times, kinds, strict=True)
    )


def _texts(rows: Sequence[_Columns]) -> list[str]:
    """Return the JSON of events; that of a kind is stored as it is written."""
    kinds = [kind for _, _, _, kind in rows]
    if not {str}.issuperset(map(type, kinds)):
        raise TypeError("kind is not text")
    if not all(kind.startswith(START) for kind in kinds):
        raise ValueError("kind: not an object that begins with its type")
    if not {"}"}.issuperset([kind[-1] for kind in kinds]) or "\n" in "".join(kinds):
        raise ValueError("kind: not an object on one line")
    times = Timestamp.json_from_sortable([time for _, _, time, _ in rows])
    return [
        f'{{"cursor":{cursor},"timestamp":"{time}","mob_id":{encode_string(mob_id)},"kind":{kind}}}'
        for (cursor, mob_id, _, kind), time in zip(rows, times, strict=True)
    ]


MODELS = Form(_models)
"""Events as models."""
TEXTS = Form(_texts)
"""Events as JSON, as their models write it. Of a kind, only its start and its end are checked."""
