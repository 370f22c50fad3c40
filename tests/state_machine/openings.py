"""Rules of time and of opening stores, once more and elsewhere."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import mobstore
from mobstore import NewMobEvent
from state_machine.events import Events
from state_machine.oracle import plain, typed
from state_machine.pools import KNOWN_KINDS, TIMES, mobs, ways


class Openings(Events):
    """Rules of time and of opening stores, once more and elsewhere."""

    @rule(now=st.sampled_from(TIMES))
    def time_passes(self, now: str) -> None:
        self.subject.now = now

    @rule(way=ways)
    def reopen(self, way: int) -> None:
        self.stores = self.runner.run(self.subject.reopen(self.stores, way))

    @precondition(lambda self: self.subject.shared and len(self.others) < 2)
    @rule(way=ways)
    def open_once_more(self, way: int) -> None:
        self.others.append(self.stores)
        self.stores = self.runner.run(self.subject.open(way))

    @precondition(lambda self: self.others)
    @rule()
    def use_another(self) -> None:
        self.others.append(self.stores)
        self.stores = self.others.pop(0)

    @precondition(lambda self: self.others)
    @rule(newest=st.booleans())
    def close_another(self, newest: bool) -> None:
        self.runner.run(self.others.pop(-1 if newest else 0).close())

    @precondition(lambda self: self.subject.shared and len(self.readers) < 2)
    @rule(way=ways)
    def open_to_read(self, way: int) -> None:
        self.readers.append(self.runner.run(self.subject.open(way, read_only=True)))

    @precondition(lambda self: self.readers)
    @rule()
    def write_to_a_reader(self) -> None:
        event = NewMobEvent(mob_id=mobstore.MobId(""), kind=mobstore.MobReset())
        try:
            self.runner.run(self.readers[0].events.append(event))
        except mobstore.InternalError as error:
            assert "open it without read_only to write" in error.detail  # noqa: PT017 - no pytest here
        else:
            raise AssertionError("a read-only store accepts a write")

    @precondition(lambda self: self.readers)
    @rule(newest=st.booleans())
    def close_a_reader(self, newest: bool) -> None:
        self.runner.run(self.readers.pop(-1 if newest else 0).close())

    @precondition(lambda self: self.subject.shared)
    @rule(way=ways, read_only=st.booleans())
    def open_and_close(self, way: int, read_only: bool) -> None:
        """Open the stores again and close them, which must not disturb the open ones."""

        async def both() -> None:
            await (await self.subject.open(way, read_only=read_only)).close()

        self.runner.run(both())

    @precondition(lambda self: self.subject.elsewhere)
    @rule(mob=mobs, kind=st.sampled_from(KNOWN_KINDS), way=ways)
    def append_elsewhere(self, mob: str, kind: dict[str, Any], way: int) -> None:
        """Let another process open the stores, append an event, and close them."""
        event = self._event(mob, kind, TIMES[1])
        appended = self.subject.append_elsewhere(event, way)
        assert typed(plain(appended)) == typed(self.events[-1])
