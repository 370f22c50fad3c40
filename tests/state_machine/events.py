"""Rules of the event log."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from mobstore import NewMobEvent, Timestamp, event_kind_from_json
from state_machine.oracle import USAGE, Oracle
from state_machine.pools import KINDS, TIMES, mobs


class Events(Oracle):
    """Rules of the event log."""

    def _event(self, mob: str, kind: dict[str, Any], time: str | None) -> NewMobEvent:
        self.events.append(
            {
                "cursor": self.next_cursor,
                "timestamp": time or self.subject.now,
                "mob_id": mob,
                "kind": kind,
            }
        )
        self.next_cursor += 1
        return NewMobEvent.model_validate(
            {
                "mob_id": mob,
                "kind": event_kind_from_json(json.dumps(kind)),
                "timestamp": time and Timestamp(time),
            }
        )

    @rule(mob=mobs, kind=st.sampled_from(KINDS), time=st.none() | st.sampled_from(TIMES))
    def append(self, mob: str, kind: dict[str, Any], time: str | None) -> None:
        event = self._event(mob, kind, time)
        self.same(self.stores.events.append(event), self.events[-1])

    @rule(
        batch=st.lists(
            st.tuples(mobs, st.sampled_from(KINDS), st.none() | st.sampled_from(TIMES)), max_size=3
        )
    )
    def append_batch(self, batch: list[tuple[str, dict[str, Any], str | None]]) -> None:
        events = [self._event(*one) for one in batch]
        expected = self.events[len(self.events) - len(batch) :]
        self.same(self.stores.events.append_batch(events), expected)

    @rule(
        after=st.integers(0, 12) | st.just(2**63 - 1), limit=st.integers(0, 4) | st.just(2**63 - 1)
    )
    def poll(self, after: int, limit: int) -> None:
        expected = [event for event in self.events if event["cursor"] > after][:limit]
        self.same(self.stores.events.poll(after, limit), expected)

    @rule(after=st.sampled_from([2**63, 2**64]))
    def poll_too_far(self, after: int) -> None:
        expected = self.refusal(USAGE, f"cursor value {after} exceeds i64::MAX")
        self.same(self.stores.events.poll(after, 1), expected)

    @rule()
    def clear(self) -> None:
        self.events = []
        self.same(self.stores.events.clear(), None)

    @rule(time=st.sampled_from(TIMES))
    def prune(self, time: str) -> None:
        order = [TIMES[2], TIMES[0], TIMES[1], TIMES[3]]
        kept = [e for e in self.events if order.index(e["timestamp"]) >= order.index(time)]
        removed, self.events = len(self.events) - len(kept), kept
        self.same(self.stores.events.prune(Timestamp(time)), removed)
