"""Workers that race for runs: each is executed by one at a time, none is lost, none done twice."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engines.claiming import race_and_check
from engines.support import hear, hold_lock, running, tell
from mobstore import Timestamp, open_stores
from mobstore.engines.clock import machine_time
from mobstore.engines.sqlite.transactions import Job, Transactions
from support import claiming

TTL = 0.3  # seconds
RACES = 4


def race_on_a_file(path: Path, variant: str = "none") -> None:
    async def main() -> None:
        # A process may be stopped while it has the write lock.
        async with open_stores(f"sqlite:{path}", timeout=60) as stores:
            await race_and_check(stores, f"sqlite:{path}", TTL, path.parent, variant)

    asyncio.run(main())


@pytest.mark.process
@pytest.mark.slow
def test_four_processes(tmp_path: Path) -> None:
    race_on_a_file(tmp_path / "mobs.db")


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "noticed"),
    [
        ("no fence", claiming.NOT_FENCED),
        ("one epoch", "an epoch was assigned twice"),
        ("early expiry", "taken before it expired"),
    ],
    ids=["no fence", "one epoch", "early expiry"],
)
def test_broken_variants_are_noticed(tmp_path: Path, variant: str, noticed: str) -> None:
    found: list[str] = []  # by chance, a race may show nothing
    while len(found) < RACES and not re.search(noticed, "".join(found)):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        try:
            race_on_a_file(folder / "mobs.db", variant)
        except AssertionError as error:
            found.append(str(error))
        else:
            found.append("")
    assert re.search(noticed, found[-1]), found


# The time ----------------------------------------------------------------------------------------


def acquire_behind_a_lock(path: Path) -> None:
    """Acquire a claim while another process has the write lock, for longer than the ttl."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=30) as stores:
            with running(hold_lock, path, "BEGIN IMMEDIATE") as holder:
                assert await asyncio.to_thread(hear, holder) == "held"
                acquiring = asyncio.create_task(stores.claims.acquire("name", "holder", 0.2))
                await asyncio.sleep(0.3)
                released = Timestamp.now()
                tell(holder)
                claim = await acquiring
            assert claim is not None
            assert claim.expires_at - released >= timedelta(seconds=0.2), "it has expired already"

    asyncio.run(main())


@pytest.mark.process
def test_the_time_is_read_under_the_lock(tmp_path: Path) -> None:
    acquire_behind_a_lock(tmp_path / "mobs.db")


@pytest.mark.process
def test_a_time_read_before_the_lock_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Transactions.run

    def too_early(self: Transactions, jobs: list[Job[Any]]) -> object:
        now = machine_time()
        self.now = lambda: now
        return run(self, jobs)

    monkeypatch.setattr(Transactions, "run", too_early)
    with pytest.raises(AssertionError, match="has expired already"):
        acquire_behind_a_lock(tmp_path / "mobs.db")
