"""Named consumers of the event log."""

from __future__ import annotations

from mobstore.codec.arguments import callback, name_text, number, positive
from mobstore.model.consumer import Consumer
from mobstore.operations import consumers
from mobstore.stores.base import EngineStore
from mobstore.stores.following import EventBatch, EventFollowing, check_linger
from mobstore.stores.subscription import OnUnreadable, Subscription


class MobEventConsumers(EngineStore):
    """The methods of `MobEventStore` that concern named consumers.

    A base class only to keep modules short; use `MobEventStore`.
    """

    def follow(
        self,
        name: str,
        *,
        most: int = 200,
        linger: float = 0.05,
        start: int = 0,
        on_unreadable: OnUnreadable | None = None,
    ) -> Subscription[EventBatch]:
        """Follow the log as a named consumer, whose position is kept in the store.

            async for batch in stores.events.follow("projector"):
                ...
                await batch.done()

        Each step begins at the stored position, waits for an event, and returns a batch. A batch
        that was not done comes again, perhaps with later events. So no event is missed, and after
        an error or a crash some come twice; with `done` in an atomic call, own state in the same
        store counts each exactly once. Several loops with one name get the same events, and only
        one of them is done with each; a claim keeps the others waiting.

        The first step of a new consumer stores its position. The last batch is the only buffer.

        Args:
            name: the name of the consumer, 1 to 65,536 bytes in UTF-8.
            most: the maximum number of events in a batch, at least 1.
            linger: seconds, 0 to 3,600, for which a step waits for further events after it has
                found the first, unless there are `most`; 0 returns what there is.
            start: the position of a new consumer, such as `await latest_cursor()`.
            on_unreadable: called for each unreadable event of a batch just before it is returned,
                so again if the batch comes again; those events are skipped. A batch has at least
                one readable event.

        Raises:
            UsageError: an argument is wrong; or the store is read-only, and the consumer is new.
            StaleCursorError: the position is past the latest cursor, as for `subscribe`. Call
                `forget_consumer` to begin anew.
            SerializationError: the next event is unreadable; the error names its cursor. The
                events before it were returned, in a batch that is done.
            ClosedError, ReadFailedError: as for `subscribe`.
            WriteFailedError: the first position could not be stored.

        Contract: events.follow.continues, events.follow.batches, events.follow.lingers,
        events.follow.not-done, events.follow.names, events.follow.removed, events.follow.stale,
        events.follow.unreadable, events.follow.cancelled-step, events.follow.start,
        events.follow.read-only, shared.follow.
        """
        callback(on_unreadable, "on_unreadable")
        return EventFollowing(
            self._engine,
            name_text(name, "name"),
            most=positive(most, "most"),
            linger=check_linger(linger),
            start=number(start, "start"),
            on_unreadable=on_unreadable,
        )

    async def consumers(self) -> list[Consumer]:
        """Return the named consumers and their positions, by name.

        Contract: events.follow.names, events.follow.done.
        """
        return await self._engine.read(consumers.list_consumers)

    async def forget_consumer(self, name: str) -> bool:
        """Remove a consumer and its position; the next one with this name is new.

        Returns:
            Whether it existed.

        Contract: events.follow.forget.
        """
        key = name_text(name, "name")
        return await self._engine.write(lambda: consumers.forget_consumer(key))
