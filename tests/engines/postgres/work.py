"""Work on one aggregate by several processes at once, and what must be true afterwards.

Each kind of work does one thing, since a mixture hides faults: what one operation locks too little,
another locks by chance. It does not import pytest, so that child processes start quickly.
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

from engines.support import new_run
from mobstore import (
    CasConflictError,
    InternalError,
    MobStores,
    RunId,
)
from mobstore.scripts.tables import RUNS, RunRow
from mobstore.scripts.transaction import Scan
from mobstore.testing.samples import (
    definition,
    number_of,
    profile,
    run_id,
    state,
    step,
    tag_of,
    tagged_event,
)
from mobstore.testing.scripts import read_script

TASKS = 4  # of each process
_OVERTIME = 30  # seconds after the deadline for the least results

Result: TypeAlias = list[Any]
"""What one call did: a name and numbers."""


class Work(ABC):
    """One kind of work.

    Args:
        stores: where it is done.
        name: of the process.
        deadline: when it ends, by `time.monotonic`.

    Attributes:
        results: the results of the process, or of all processes for `check`.
    """

    least: ClassVar[int] = 8
    """Results of a process; with fewer the work shows nothing, so a slow machine takes longer."""

    def __init__(self, stores: MobStores, name: str = "", deadline: float = 0) -> None:
        self.stores, self.name, self.deadline = stores, name, deadline
        self.chance = random.Random(name)
        self.results: list[Result] = []
        self._numbers = 0

    async def prepare(self) -> None:  # noqa: B027 - some work begins with nothing
        """Write what the work begins with."""

    async def run(self) -> None:
        """Work until the deadline, or longer until there are the least results."""
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(self._repeat(self.step))
            group.create_task(self._repeat(self.look))

    @abstractmethod
    async def step(self) -> None:
        """Do something, and note its result."""

    async def look(self) -> None:
        """Check what is true at any time."""
        await asyncio.sleep(0.05)

    @abstractmethod
    async def check(self) -> None:
        """Check all results against what is stored."""

    def note(self, *result: Any) -> None:
        self.results.append([*result])

    def new_name(self) -> str:
        self._numbers += 1
        return f"{self.name}-{self._numbers}"

    def new_id(self) -> RunId:
        return RunId(UUID(int=self.chance.getrandbits(100)))

    async def _repeat(self, action: Callable[[], Awaitable[None]]) -> None:
        while (late := time.monotonic() - self.deadline) < 0 or (
            len(self.results) < self.least and late < _OVERTIME
        ):
            await action()

    def of(self, kind: str) -> list[Result]:
        return [result[1:] for result in self.results if result[0] == kind]


class Append(Work):
    """Events get cursors without gaps, and are seen in their order, batches whole."""

    _seen = 0

    async def step(self) -> None:
        tag, size = self.new_name(), self.chance.choice((1, 1, 3, 8))
        events = [tagged_event(f"{tag}:{n}:{size}") for n in range(size)]
        if size == 1:
            stored = [await self.stores.events.append(events[0])]
        else:
            stored = await self.stores.events.append_batch(events)
        self.note("event", stored[0].cursor, tag, size)

    async def look(self) -> None:
        page = await self.stores.events.poll(self._seen, 1000)
        cursors = [event.cursor for event in page]
        assert cursors == list(range(self._seen + 1, self._seen + 1 + len(page))), "a gap was read"
        if page:
            _, number, size = tag_of(page[-1].kind).split(":")
            assert len(page) == 1000 or int(number) == int(size) - 1, "half a batch was read"
            self._seen = cursors[-1]

    async def check(self) -> None:
        tags = [tag_of(event.kind) for event in await self.stores.events.replay_all()]
        expected: dict[int, str] = {}
        for cursor, tag, size in self.of("event"):
            for n in range(size):
                assert expected.setdefault(cursor + n, f"{tag}:{n}:{size}").startswith(tag), (
                    "a cursor was given twice"
                )
        assert expected == dict(enumerate(tags, 1)), "events are lost, or stored twice"


class Swap(Work):
    """Of several comparisons with one flow state, one succeeds."""

    _RUNS = range(1, 5)

    async def prepare(self) -> None:
        for n in self._RUNS:
            await self.stores.runs.create_run(new_run(run_id(n)))

    async def step(self) -> None:
        n = self.chance.choice(self._RUNS)
        run = await self.stores.runs.get_run(run_id(n))
        assert run is not None
        value = number_of(run.flow_state) + 1
        if await self.stores.runs.cas_flow_state(
            run_id(n), expected=run.flow_state, next=state(value)
        ):
            self.note("won", n, value)

    async def check(self) -> None:
        for n in self._RUNS:
            run = await self.stores.runs.get_run(run_id(n))
            assert run is not None
            won = sorted(value for of, value in self.of("won") if of == n)
            assert won == list(range(1, number_of(run.flow_state) + 1)), "a swap was won twice"


class Claim(Work):
    """Each run is won once."""

    _RUNS = range(1, 201)

    async def prepare(self) -> None:
        for n in self._RUNS:
            await self.stores.runs.create_run(new_run(run_id(n), status="pending"))

    async def run(self) -> None:
        left = list(self._RUNS)
        while left:
            mine, left = left[:6], left[6:]
            self.chance.shuffle(mine)
            await asyncio.gather(*map(self._claim, mine))

    async def _claim(self, n: int) -> None:
        runs = self.stores.runs
        if await runs.cas_run_status(run_id(n), expected="pending", next="running"):
            self.note("won", n)

    async def step(self) -> None:
        raise NotImplementedError

    async def check(self) -> None:
        won = Counter(n for (n,) in self.of("won"))
        assert won == Counter(self._RUNS), "a run was won twice, or by no process"


class Ledger(Work):
    """Entries are appended once, and none is lost."""

    async def prepare(self) -> None:
        await self.stores.runs.create_run(new_run(run_id(1)))

    async def step(self) -> None:
        name = f"shared {len(self.results) // 2}"
        if await self.stores.runs.append_step_entry_if_absent(run_id(1), step(name)):
            self.note("entry", name)
        name = self.new_name()
        await self.stores.runs.append_step_entry(run_id(1), step(name))
        self.note("entry", name)

    async def check(self) -> None:
        run = await self.stores.runs.get_run(run_id(1))
        assert run is not None
        stored = Counter(f"{entry.step_id}" for entry in run.step_ledger)
        assert stored == Counter(name for (name,) in self.of("entry")), "lost, or stored twice"


class Create(Work):
    """Runs get numbers without a repetition, and of one id only one is created."""

    async def step(self) -> None:
        shared = self.chance.random() < 0.3
        name = run_id(len(self.results)) if shared else self.new_id()
        try:
            await self.stores.runs.create_run(new_run(name))
        except InternalError as error:
            if shared and "already exists" in str(error):
                return
            raise
        self.note("created", f"{name}")
        if not shared and self.chance.random() < 0.2:
            assert await self.stores.runs.delete_run(name)
            self.note("deleted", f"{name}")

    async def check(self) -> None:
        rows: Sequence[RunRow] = await self.stores.engine.read(read_script(Scan(RUNS)))
        created = Counter(name for (name,) in self.of("created"))
        assert max(created.values()) == 1, "a run was created twice"
        created.subtract(name for (name,) in self.of("deleted"))
        assert {row.run_id for row in rows} == {name for name in created if created[name]}
        numbers = {row.number for row in rows}
        assert len(numbers) == len(rows), "runs have the same number"
        assert max(numbers) <= len(created)


class Revise(Work):
    """Each revision of a spec or a profile is given once."""

    async def prepare(self) -> None:
        await self.stores.realm_profiles.create("p", profile())

    async def step(self) -> None:
        self.note("spec", await self.stores.specs.put_spec("mob", definition()))
        stored = await self.stores.realm_profiles.get("p")
        assert stored is not None
        try:
            new = await self.stores.realm_profiles.update("p", profile(), stored.revision)
        except CasConflictError:
            return
        self.note("profile", new.revision)

    async def check(self) -> None:
        spec = await self.stores.specs.get_spec("mob")
        stored = await self.stores.realm_profiles.get("p")
        assert spec is not None
        assert stored is not None
        specs = sorted(revision for (revision,) in self.of("spec"))
        assert specs == list(range(1, spec[1] + 1)), "a revision of a spec was given twice"
        profiles = sorted(revision for (revision,) in self.of("profile"))
        assert profiles == list(range(2, stored.revision + 1)), "a profile was revised twice"
