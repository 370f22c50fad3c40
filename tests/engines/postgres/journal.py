"""Tasks that write under faults, and a journal of their calls kept outside the store.

Each task knows what it asked for and what it was answered. The check compares the store with all
of it: acknowledged calls happened exactly once and in order, failed ones did not happen, and those
that may have happened did so wholly or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

from mobstore import (
    MobStoreError,
    MobStores,
    ReadFailedError,
    RunId,
    Stores,
    WriteFailedError,
    verify,
)
from mobstore.testing.samples import make_run, number_of, run_id, state, step, tag_of, tagged_event


class Journal:
    """The calls of several tasks, and their outcomes.

    Attributes:
        cursors: of each acknowledged event, by its tag.
        steps: for each run, the numbers of the acknowledged steps in order.
        unknown: the events and steps that may have been written despite an error.
        errors: of all failed calls.
        longest: seconds of the longest call that was acknowledged.
        latest: when the latest call was acknowledged.
    """

    def __init__(self, name: str = "task", first_run: int = 100) -> None:
        self._name, self._first_run = name, first_run
        self.cursors: dict[str, int] = {}
        self.steps: dict[RunId, list[int]] = {}
        self.unknown: set[str] = set()
        self.errors: list[MobStoreError] = []
        self.longest = 0.0
        self.latest = monotonic()

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged calls."""
        return len(self.cursors) + sum(map(len, self.steps.values()))

    # The calls ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def load(
        self, stores: MobStores, *, appending: int = 6, changing: int = 6
    ) -> AsyncGenerator[None]:
        """Write in several tasks until the end of the block; the calls under way are awaited."""
        runs = [run_id(self._first_run + n) for n in range(changing)]
        for n, run in enumerate(runs):
            await stores.runs.create_run(make_run(self._first_run + n))
            self.steps[run] = []
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for n in range(appending):
                tasks.create_task(self._append(stores, f"{self._name}{n}", stop))
            for n, run in enumerate(runs):
                change = self._change if n % 2 else self._change_atomically
                tasks.create_task(change(stores, run, stop))
            try:
                yield
            finally:
                stop.set()

    async def until(self, more: int, seconds: float = 60) -> None:
        """Wait until some more calls have been acknowledged."""
        wanted = self.acknowledged + more
        async with asyncio.timeout(seconds):
            while self.acknowledged < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def _append(self, stores: MobStores, task: str, stop: asyncio.Event) -> None:
        """Append single events and pairs."""
        number = 0
        while not stop.is_set():
            tags = [f"{task} {number + n}" for n in range(1 + number % 3 % 2)]
            number += len(tags)

            async def append(tags: list[str] = tags) -> None:
                events = await stores.events.append_batch([tagged_event(tag) for tag in tags])
                self.cursors |= {tag: one.cursor for tag, one in zip(tags, events, strict=True)}

            await self._call(append, tags)

    async def _change(self, stores: MobStores, run: RunId, stop: asyncio.Event) -> None:
        """Append to the ledger of a run that no other task changes."""
        number = 0
        while not stop.is_set():
            number += 1

            async def append(number: int = number) -> None:
                await stores.runs.append_step_entry(run, step(str(number)))
                self.steps[run].append(number)

            await self._call(append, [f"{run} {number}"])

    async def _change_atomically(self, stores: MobStores, run: RunId, stop: asyncio.Event) -> None:
        """Count in the state of a run, and append the number to its ledger and to the events."""
        number = 0
        while not stop.is_set():
            following = number + 1

            async def count(at: Stores, number: int = number) -> None:
                expected, following = state(number), state(number + 1)
                await at.runs.cas_flow_state(run, expected=expected, next=following)
                await at.runs.append_step_entry(run, step(str(number + 1)))
                await at.events.append(tagged_event(f"{run} {number + 1}"))

            async def change(following: int = following) -> None:
                await stores.atomic(count)
                self.steps[run].append(following)

            if await self._call(change, [f"{run} {following}"]):
                number = following
            else:
                number = await self._read_number(stores, run, stop)

    async def _read_number(self, stores: MobStores, run: RunId, stop: asyncio.Event) -> int:
        while True:
            try:
                found = await stores.runs.get_run(run)
            except ReadFailedError as error:
                self.errors.append(error)
                if stop.is_set():
                    return 0
                continue
            assert found is not None
            return number_of(found.flow_state)

    async def _call(self, make: Callable[[], Awaitable[None]], names: list[str]) -> bool:
        begun = monotonic()
        try:
            await make()
        except WriteFailedError as error:
            self.errors.append(error)
            if error.maybe_written:
                self.unknown.update(names)
            return False
        self.latest = monotonic()
        self.longest = max(self.longest, self.latest - begun)
        return True

    # The check ---------------------------------------------------------------------------------

    async def check(self, stores: MobStores) -> None:
        """Compare the store, which no other task writes to, with the journal."""
        assert (await verify(stores)).problems == ()
        await self._check_events(stores)
        for run, acknowledged in self.steps.items():
            found = await stores.runs.get_run(run)
            assert found is not None
            stored = [int(entry.step_id) for entry in found.step_ledger]
            assert stored == sorted(set(stored)), "a step twice, or out of order"
            assert set(acknowledged) <= set(stored), "an acknowledged step is lost"
            self._check_others({f"{run} {n}" for n in set(stored) - set(acknowledged)})
            if counted := number_of(found.flow_state):
                assert stored == list(range(1, counted + 1)), "state and ledger differ"

    async def _check_events(self, stores: MobStores) -> None:
        events = await stores.events.replay_all()
        assert [one.cursor for one in events] == list(range(1, len(events) + 1))
        assert await stores.events.latest_cursor() == len(events)
        stored = {tag_of(one.kind): one.cursor for one in events}
        assert len(stored) == len(events), "an event was stored twice"
        for tag, cursor in self.cursors.items():
            assert stored.get(tag) == cursor, "an acknowledged event is lost or moved"
        counted = {f"{run} {n}" for run, steps in self.steps.items() for n in steps}
        self._check_others(stored.keys() - self.cursors.keys() - counted)
        last = dict[str, int]()
        for tag in stored:
            task, _, number = tag.partition(" ")
            assert int(number) > last.get(task, -1), "the events of a task are out of order"
            last[task] = int(number)

    def _check_others(self, names: set[str]) -> None:
        """Check that what is stored without an acknowledgement may have been written."""
        assert names <= self.unknown, f"stored despite an error: {sorted(names - self.unknown)}"
