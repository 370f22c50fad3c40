"""Rules of named consumers: their batches and their positions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import mobstore
from state_machine.events import Events
from state_machine.oracle import Refusal, plain
from state_machine.pools import KINDS, mobs

consumer_names = st.sampled_from(["c", "c\0\uffff"])


class Consumers(Events):
    """Rules of named consumers; the oracle has a dict with `name`, `cursor` and `updated_at`."""

    @rule(
        name=consumer_names,
        most=st.integers(1, 3),
        start=st.just(0) | st.integers(-2, 1).map(lambda back: f"latest {back:+}"),
        mob=mobs,
    )
    def follow(self, name: str, most: int, start: Any, mob: str) -> None:
        """Take one batch; if there is no event for it, append one."""
        latest = self.next_cursor - 1
        if start != 0:
            start = max(0, latest + int(start.removeprefix("latest ")))
        expected: Any
        if name not in self.consumers and start > latest:
            expected = Refusal(
                "StaleCursorError",
                f"Not found: cursor {start} is past the latest one, {latest}: it belongs to another"
                " store, or this one was restored or recreated; compare identity(), and start"
                " again from 0",
            )
        else:
            new = {"name": name, "cursor": start, "updated_at": self.subject.now}
            after = self.consumers.setdefault(name, new)["cursor"]
            if not self.events or self.events[-1]["cursor"] <= after:
                self.append(mob, KINDS[0], None)
            events = [event for event in self.events if event["cursor"] > after][:most]
            cursors = [event["cursor"] for event in events]
            between = range(after + 1, cursors[-1])
            removed = [cursor for cursor in between if cursor not in cursors]
            expected = [events, after, cursors[-1], len(removed)]

        async def step() -> Any:
            following = self.stores.events.follow(name, most=most, linger=0, start=start)
            async with following as batches:
                batch = await anext(batches)
            self.batches.append((batch, self.stores))
            return [batch.events, batch.after, batch.cursor, batch.removed]

        self.same(step(), expected)

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(1, 3), alone=st.booleans(), mob=mobs)
    def done(self, which: int, alone: bool, mob: str) -> None:
        """Finish a batch, in a commit of its own or in one with an event."""
        batch, stores = self.batches[-which:][0]
        alone = alone and stores in {self.stores, *self.others}  # it is still open
        consumer = self.consumers.get(batch.name)
        expected: Any = None
        event = self._new(mob, KINDS[0], None)
        if not alone and stores is not self.stores:
            expected = Refusal(
                "UsageError",
                "Internal error: at belongs to another store; call `atomic` of the one that"
                " `follow` reads",
            )
        elif consumer is None or consumer["cursor"] != batch.after:
            place = "forgotten" if consumer is None else f"at {consumer['cursor']}"
            expected = Refusal(
                "ConsumerMovedError",
                f"Consumer moved: {batch.name} is {place}, not at {batch.after};"
                " discard this batch and take the next one",
            )
        else:
            consumer.update(cursor=batch.cursor, updated_at=self.subject.now)
            if alone:
                self.batches.remove((batch, stores))
            else:
                self._event(mob, KINDS[0], None)
                expected = self.events[-1]

        async def twice() -> None:
            await batch.done()
            await batch.done()

        async def with_an_event(at: mobstore.Stores) -> mobstore.MobEvent:
            appended = await at.events.append(event)
            await batch.done(at)
            return appended

        self.same(twice() if alone else self.stores.atomic(with_an_event), expected)

    @rule(
        names=st.permutations(["c", "c\0\uffff"]),
        most=st.integers(1, 3),
        alone=st.booleans(),
        mob=mobs,
        behind=st.booleans(),
    )
    def two_loops(self, names: list[str], most: int, alone: bool, mob: str, behind: bool) -> None:
        """Take a batch twice, be done with one of them, not with the other, and prune."""
        name, other = names
        self.forget_consumer(other)
        self.follow(other, most, "latest +1", mob)  # refused
        if behind:
            self.follow(other, most, 0, mob)
        self.follow(name, most, 0, mob)
        self.follow(name, 2, 0, mob)
        self.done(1, alone, mob)
        self.done(1 if alone else 2, not alone, mob)
        self.prune(time=None, before=2**63 - 1, keep=set(), keep_unseen=True)

    @rule(name=consumer_names)
    def forget_consumer(self, name: str) -> None:
        expected = self.consumers.pop(name, None) is not None
        self.same(self.stores.events.forget_consumer(name), expected)

    async def check_consumers(self, stores: mobstore.MobStores) -> None:
        expected = [self.consumers[name] for name in sorted(self.consumers)]
        assert plain(await stores.events.consumers()) == expected
