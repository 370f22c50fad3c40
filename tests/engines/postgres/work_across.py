"""Work on several aggregates, or on the whole store, by several processes at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from engines.postgres.work import Work
from engines.support import new_run
from mobstore import (
    RefusedError,
    Stores,
    Timestamp,
)
from mobstore.testing.samples import (
    number_of,
    run_id,
    state,
    tagged_event,
)

OLD = Timestamp(datetime(2000, 1, 1, tzinfo=UTC))
BEFORE = Timestamp(datetime(2001, 1, 1, tzinfo=UTC))


class Move(Work):
    """Atomic calls move coins between runs; their sum is the same for all readers."""

    _RUNS = range(1, 7)
    _EACH = 1000

    async def prepare(self) -> None:
        for n in self._RUNS:
            await self.stores.runs.create_run(new_run(run_id(n), flow_state=state(self._EACH)))

    async def step(self) -> None:
        source, target = self.chance.sample(self._RUNS, 2)

        async def move(at: Stores) -> None:
            for n, more in ((source, -1), (target, 1)):
                run = await at.runs.get_run(run_id(n))
                assert run is not None
                following = state(number_of(run.flow_state) + more)
                await at.runs.cas_flow_state(run_id(n), expected=run.flow_state, next=following)

        await self.stores.atomic(move)
        self.note("moved")

    async def look(self) -> None:
        async def by_name(at: Stores) -> list[int]:
            runs = [await at.runs.get_run(run_id(n)) for n in self._RUNS]
            return [number_of(run.flow_state) for run in runs if run is not None]

        runs = await self.stores.runs.list_runs("mob")
        self._sum([number_of(run.flow_state) for run in runs])
        self._sum(await self.stores.atomic(by_name))
        await asyncio.sleep(0.02)

    def _sum(self, coins: list[int]) -> None:
        assert sum(coins) == self._EACH * len(self._RUNS), f"half a move was read: {coins}"

    async def check(self) -> None:
        await self.look()


class Limit(Work):
    """At most some runs have a status, as atomic calls list them before they change one."""

    _RUNS = range(1, 13)
    _MOST = 3
    least = 3

    async def prepare(self) -> None:
        for n in self._RUNS:
            await self.stores.runs.create_run(new_run(run_id(n), status="pending"))

    async def step(self) -> None:
        n = self.chance.choice(self._RUNS)
        everything = self.chance.random() < 0.3

        async def change(at: Stores) -> None:
            if everything:
                headers = await at.runs.run_headers()
                running = [one for one in headers if one.status == "running"]
            else:
                running = await at.runs.run_headers(status="running")
            if len(running) < self._MOST:
                await at.runs.cas_run_status(run_id(n), expected="pending", next="running")
            else:
                name = running[0].run_id
                await at.runs.cas_run_status(name, expected="running", next="pending")

        with suppress(RefusedError):  # it is running already
            await self.stores.atomic(change)
            self.note("changed")

    async def look(self) -> None:
        running = await self.stores.runs.run_headers(status="running")
        assert len(running) <= self._MOST, f"{len(running)} runs are running"
        await asyncio.sleep(0.01)

    async def check(self) -> None:
        await self.look()


class Prune(Work):
    """The rows that are removed as old and those that are left are all that were added."""

    async def step(self) -> None:
        number = self.chance.randrange(10)
        if number < 6:
            size = self.chance.choice((1, 5))
            old = tagged_event(self.new_name()).model_copy(update={"timestamp": OLD})
            await self.stores.events.append_batch([old] * size)
            self.note("events", size)
        elif number < 8:
            old_run = new_run(self.new_id(), status="completed", completed_at=OLD)
            await self.stores.runs.create_run(old_run)
            self.note("runs", 1)
        elif number < 9:
            self.note("events", -await self.stores.events.prune(BEFORE))
        else:
            self.note("runs", -await self.stores.runs.prune_runs(BEFORE))

    async def check(self) -> None:
        events = await self.stores.events.replay_all()
        assert len(events) == sum(n for (n,) in self.of("events")), "events are miscounted"
        runs = await self.stores.runs.run_headers()
        assert len(runs) == sum(n for (n,) in self.of("runs")), "runs are miscounted"
