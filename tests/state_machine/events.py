"""Rules of the event log."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from mobstore import EVENT_TYPES, NewMobEvent, OtherEvent, Timestamp, event_kind_from_json
from state_machine.oracle import USAGE, Oracle, Refusal
from state_machine.pools import KINDS, OTHER_KINDS, TIMES, mobs
from state_machine.times import to_nanoseconds


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
        return self._new(mob, kind, time)

    def _new(self, mob: str, kind: dict[str, Any], time: str | None) -> NewMobEvent:
        is_other = kind in OTHER_KINDS
        read = OtherEvent.from_json if is_other else event_kind_from_json
        return NewMobEvent.model_validate(
            {
                "mob_id": mob,
                "kind": read(json.dumps(kind)),
                "timestamp": time and Timestamp(time),
                "allow_other": is_other,
            }
        )

    @rule(mob=mobs, kind=st.sampled_from(KINDS), time=st.none() | st.sampled_from(TIMES))
    def append(self, mob: str, kind: dict[str, Any], time: str | None) -> None:
        event = self._event(mob, kind, time)
        self.same(self.stores.events.append(event), self.events[-1])

    @rule(
        key=st.sampled_from("kl"),
        mob=mobs,
        kind=st.sampled_from(KINDS),
        time=st.none() | st.sampled_from(TIMES),
    )
    def append_with_a_key(self, key: str, mob: str, kind: dict[str, Any], time: str | None) -> None:
        known = self.keyed.get(key)
        if known in self.events:
            event = self._new(known["mob_id"], known["kind"], time and known["timestamp"])
        else:
            event = self._event(mob, kind, time)
            self.keyed[key] = self.events[-1]
        self.same(self.stores.events.append(event, key=key), self.keyed[key])

    @rule(key=st.sampled_from("kl"))
    def get_by_key(self, key: str) -> None:
        known = self.keyed.get(key)
        expected = known if known in self.events else None
        self.same(self.stores.events.get_by_key(key), expected)

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

    @rule(
        before=st.none() | st.integers(0, 12),
        limit=st.integers(0, 4),
        mob=st.none() | mobs,
        types=st.none() | st.sets(st.sampled_from([kind["type"] for kind in KINDS])),
        since=st.none() | st.sampled_from(TIMES),
        newest_first=st.booleans(),
    )
    def search(
        self,
        *,
        before: int | None,
        limit: int,
        mob: str | None,
        types: set[str] | None,
        since: str | None,
        newest_first: bool,
    ) -> None:
        found = [
            event
            for event in self.events
            if (before is None or event["cursor"] < before)
            and mob in {None, event["mob_id"]}
            and (types is None or event["kind"]["type"] in types)
            and (since is None or Timestamp(event["timestamp"]) >= Timestamp(since))
        ]
        polling = self.stores.events.poll(
            0,
            limit,
            before_cursor=before,
            mob_id=mob,
            types=types,
            since=None if since is None else Timestamp(since),
            newest_first=newest_first,
        )
        expected = (found[::-1] if newest_first else found)[:limit]
        self.same(polling, self._misspelt("types", types) or expected)

    def _misspelt(self, what: str, types: set[str] | None) -> Refusal | None:
        """Return the refusal of a type that is unknown, and that no event in the log has."""
        stored = {event["kind"]["type"] for event in self.events}
        if (types or set()) <= EVENT_TYPES | stored:
            return None
        known = ", ".join(sorted(EVENT_TYPES))
        text = f"{what} must be one of {known}, or the type of another event in the log"
        return self.refusal(USAGE, text)

    @rule(after=st.sampled_from([2**63, 2**64]))
    def poll_too_far(self, after: int) -> None:
        expected = self.refusal(USAGE, f"cursor value {after} exceeds i64::MAX")
        self.same(self.stores.events.poll(after, 1), expected)

    @rule()
    def clear(self) -> None:
        self.events = []
        self.same(self.stores.events.clear(), None)

    @rule(
        time=st.none() | st.sampled_from(TIMES),
        before=st.none() | st.integers(0, 12) | st.just(2**63 - 1),
        keep=st.sets(st.sampled_from([kind["type"] for kind in KINDS]), max_size=1),
        keep_unseen=st.booleans(),
    )
    def prune(
        self, *, time: str | None, before: int | None, keep: set[str], keep_unseen: bool
    ) -> None:
        expected: Any = None
        if time is None and before is None:
            text = "pass older_than or before_cursor; clear() removes all events"
            expected = self.refusal(USAGE, text)
        elif misspelt := self._misspelt("keep", keep):
            expected = misspelt
        else:
            positions = [consumer["cursor"] for consumer in self.consumers.values()]
            kept = [
                event
                for event in self.events
                if (time and to_nanoseconds(event["timestamp"]) >= to_nanoseconds(time))
                or (before is not None and event["cursor"] >= before)
                or event["kind"]["type"] in keep
                or (keep_unseen and positions and event["cursor"] > min(positions))
            ]
            expected, self.events = len(self.events) - len(kept), kept
        pruning = self.stores.events.prune(
            Timestamp(time) if time else None,
            before_cursor=before,
            keep=keep,
            keep_unseen=keep_unseen,
        )
        self.same(pruning, expected)
