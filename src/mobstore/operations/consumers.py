"""Scripts of named consumers: their positions, and the events after them.

A position is the cursor of the last event that a consumer is done with. It is compared before it is
replaced, so of several loops with one name only one is done with the same events.
"""

from __future__ import annotations

from typing import NamedTuple

from mobstore.codec.consumers import read_consumer
from mobstore.codec.events import MODELS
from mobstore.errors import ConsumerMovedError, StaleCursorError
from mobstore.model.consumer import Consumer
from mobstore.model.event import MobEvent
from mobstore.operations.event_queries import Span
from mobstore.operations.events import EventPage, poll, poll_on, require_assigned
from mobstore.scripts.tables import CONSUMERS, COUNTERS, NEXT_CURSOR, ConsumerRow
from mobstore.scripts.transaction import (
    Commit,
    Delete,
    Get,
    Now,
    PartsScript,
    Put,
    Scan,
    Script,
    fetch,
)


class ConsumerPage(NamedTuple):
    """A page of events, and the position after which it begins."""

    after: int
    page: EventPage[MobEvent]


def next_page(name: str, most: int, *, skip_unreadable: bool) -> PartsScript[ConsumerPage | None]:
    """Return the events after a consumer's position, at most `most`; None if it has no position.

    Raises:
        StaleCursorError: the position was never assigned.
        SerializationError: the first event is unreadable, and `skip_unreadable` is not set.
    """
    consumer = yield from fetch(Get(CONSUMERS, (name,)))
    if consumer is None:
        return Commit(None)
    try:
        (page, *_) = yield from poll(
            MODELS, Span(consumer.cursor), most, reject_stale=True, skip_unreadable=skip_unreadable
        )
    except StaleCursorError as error:
        raise StaleCursorError(error.after, error.latest, name) from None
    while page.rest is not None:
        (page, *_) = yield from poll_on(MODELS, page, most, skip_unreadable=skip_unreadable)
    return Commit(ConsumerPage(consumer.cursor, page))


def add_consumer(name: str, start: int) -> Script[None]:
    """Store the first position of a consumer, unless it has one.

    Raises:
        StaleCursorError: the position was never assigned.
    """
    consumer, counter, now = yield from fetch(
        Get(CONSUMERS, (name,)), Get(COUNTERS, (NEXT_CURSOR,)), Now()
    )
    if consumer is not None:
        return Commit(None)
    require_assigned(start, counter)
    return Commit(None, (Put(CONSUMERS, (ConsumerRow(name, start, now),)),))


def move_consumer(name: str, after: int, cursor: int) -> Script[None]:
    """Replace the position of a consumer if it is `after`.

    Raises:
        ConsumerMovedError: it is not.
    """
    consumer, now = yield from fetch(Get(CONSUMERS, (name,)), Now())
    if consumer is None or consumer.cursor != after:
        raise ConsumerMovedError(name, after, None if consumer is None else consumer.cursor)
    return Commit(None, (Put(CONSUMERS, (ConsumerRow(name, cursor, now),)),))


def list_consumers() -> Script[list[Consumer]]:
    """Return all consumers, by name.

    Raises:
        SerializationError: one is unreadable; the error names it.
    """
    return Commit([read_consumer(row) for row in (yield from fetch(Scan(CONSUMERS)))])


def forget_consumer(name: str) -> Script[bool]:
    """Remove a consumer, and return whether it existed."""
    consumer = yield from fetch(Get(CONSUMERS, (name,)))
    return Commit(False) if consumer is None else Commit(True, (Delete(CONSUMERS, (name,)),))
