"""A process that opens one file several times and uses it in all ways, until it is killed.

It writes what it starts and what is acknowledged to a journal. A line is one system call, so none
is lost or torn when the process is killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from engines.support import RUN, new_run
from mobstore import MobStores, RunId, Timestamp, open_stores
from mobstore.testing.samples import number_of, state, tag_of, tagged_event

OLD = Timestamp(datetime(2000, 1, 1, tzinfo=UTC))
BEFORE = Timestamp(datetime(2001, 1, 1, tzinfo=UTC))
_MOST_OPEN = 3


class Journal(NamedTuple):
    """The journal of a process."""

    begun: set[str]
    acknowledged: dict[int, str]
    won: list[int]
    complaints: list[str]


def read_journal(path: Path) -> Journal:
    told = Journal(set(), {}, [], [])
    for line in path.read_text().splitlines():
        what, _, rest = line.partition(" ")
        if what == "begin":
            told.begun.add(rest)
        elif what == "event":
            cursor, _, tag = rest.partition(" ")
            told.acknowledged[int(cursor)] = tag
        elif what == "won":
            told.won.append(int(rest))
        else:
            told.complaints.append(line)
    return told


def stress(path: str, name: str, seed: str) -> None:
    """Work until killed, or until the input ends."""
    journal = os.open(f"{path}.{name}.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    worker = _Worker(Path(path), name, random.Random(seed), journal)
    try:
        asyncio.run(worker.run())
    except BaseException as error:  # noqa: BLE001 - the test must hear of it, whatever it is
        worker.tell(f"complaint {error!r}".replace("\n", " "))


class _Worker:
    def __init__(self, path: Path, name: str, chance: random.Random, journal: int) -> None:
        self._urls = [f"sqlite:{path}", f"sqlite:{path.with_name('link.db')}"]
        self._name, self._chance, self._journal = name, chance, journal
        self._open: list[MobStores] = []
        self._last = 0
        self._number = 0

    def tell(self, line: str) -> None:
        os.write(self._journal, f"{line}\n".encode())

    async def run(self) -> None:
        ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        self._open.append(await self._opened())
        while not ending.done():
            await self._step()
        for stores in self._open:
            await stores.close()

    async def _opened(self, *, read_only: bool = False) -> MobStores:
        url = self._chance.choice(self._urls)
        return await open_stores(url, read_only=read_only, timeout=60, durability="normal")

    async def _step(self) -> None:
        stores = self._chance.choice(self._open)
        step = self._chance.choices(
            (
                self._append,
                self._increment,
                self._read,
                self._prune,
                self._reopen,
                self._leave,
                self._look,
            ),
            (12, 4, 4, 1, 3, 1, 1),
        )[0]
        await step(stores)

    async def _append(self, _: MobStores) -> None:
        """Append some batches at once, each through a random opening."""
        await asyncio.gather(*(self._append_batch() for _ in range(self._chance.choice((1, 3)))))

    async def _append_batch(self) -> None:
        tags = [f"{self._name}-{self._number + n}" for n in range(self._chance.choice((1, 1, 5)))]
        self._number += len(tags)
        for tag in tags:
            self.tell(f"begin {tag}")
        padding = "x" * self._chance.choice((0, 0, 3000))
        stores = self._chance.choice(self._open)
        for one in await stores.events.append_batch([tagged_event(tag, padding) for tag in tags]):
            self.tell(f"event {one.cursor} {tag_of(one.kind)}")
            self._last = max(self._last, one.cursor)

    async def _increment(self, stores: MobStores) -> None:
        run = await stores.runs.get_run(RUN)
        assert run is not None
        value = number_of(run.flow_state) + 1
        if await stores.runs.cas_flow_state(RUN, expected=run.flow_state, next=state(value)):
            self.tell(f"won {value}")

    async def _read(self, stores: MobStores) -> None:
        acknowledged = self._last
        latest = await stores.events.latest_cursor()
        assert latest >= acknowledged, f"latest cursor {latest} after {acknowledged}"
        events = await stores.events.poll(max(0, acknowledged - 1), 1)
        assert [one.cursor for one in events] == [acknowledged] or not acknowledged

    async def _prune(self, stores: MobStores) -> None:
        """Add and prune old runs and events, which are not counted."""
        old = tagged_event("old")
        await stores.events.append(old.model_copy(update={"timestamp": OLD}))
        run_id = RunId(UUID(int=self._chance.getrandbits(100)))
        await stores.runs.create_run(new_run(run_id, status="completed", completed_at=OLD))
        await stores.events.prune(BEFORE)
        await stores.runs.prune_runs(BEFORE)

    async def _reopen(self, _: MobStores) -> None:
        """Open the file once more, and close one of the openings."""
        self._open.append(await self._opened())
        if len(self._open) > _MOST_OPEN:
            await self._open.pop(self._chance.randrange(len(self._open))).close()

    async def _leave(self, _: MobStores) -> None:
        """Close all openings, perhaps as the last process, and open the file again."""
        while self._open:
            await self._open.pop().close()
        self._open.append(await self._opened())

    async def _look(self, _: MobStores) -> None:
        stores = await self._opened(read_only=True)
        await self._read(stores)
        await stores.events.replay_all()
        await stores.close()
