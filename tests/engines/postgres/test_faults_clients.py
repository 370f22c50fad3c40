"""Client processes that are stopped, killed or forked at bad moments."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from time import monotonic

import pytest

from engines.postgres.fault_programs import (
    fork_while_open,
    stop_within_a_transaction,
    write_until_killed,
)
from engines.support import hear, output, running, tell
from mobstore import MobStores
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import make_run, number_of, run_id, tag_of, tagged_event
from support.postgres.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.process]


async def tags(stores: MobStores) -> list[str]:
    return [tag_of(one.kind) for one in await stores.events.replay_all()]


def locks(server: Server) -> int:
    ((number,),) = server.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    assert isinstance(number, int)
    return number


def test_a_stopped_client_holds_others_up_for_three_seconds(postgres_url: str) -> None:
    """It is cut off by the server, and its batch runs again when it continues."""

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            with running(stop_within_a_transaction, postgres_url, "SIGSTOP") as process:
                assert hear(process) == "ready"
                tell(process)
                assert hear(process) == "stopping"
                begun = monotonic()
                other = await stores.events.append(tagged_event("other"))
                assert 1 < monotonic() - begun < 10  # three seconds on an idle machine
                assert other.cursor == 2
                os.kill(process.pid, signal.SIGCONT)
                assert await asyncio.to_thread(hear, process) == "3"
                assert await asyncio.to_thread(hear, process) == "4"
                process.communicate(timeout=20)
            assert await tags(stores) == ["child before", "other", "child", "child after"]

    asyncio.run(main())


def test_a_client_stopped_for_a_moment_is_not_cut_off(postgres_url: str) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            with running(stop_within_a_transaction, postgres_url, "SIGSTOP") as process:
                assert hear(process) == "ready"
                tell(process)
                assert hear(process) == "stopping"
                other = asyncio.create_task(stores.events.append(tagged_event("other")))
                await asyncio.sleep(0.5)
                assert not other.done()
                os.kill(process.pid, signal.SIGCONT)
                assert await asyncio.to_thread(hear, process) == "2"
                assert (await other).cursor > 2
                process.communicate(timeout=20)

    asyncio.run(main())


def test_a_client_killed_within_a_transaction(postgres: Server, postgres_url: str) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            with running(stop_within_a_transaction, postgres_url, "SIGKILL") as process:
                assert hear(process) == "ready"
                tell(process)
                assert hear(process) == "stopping"
                begun = monotonic()
                await stores.events.append(tagged_event("other"))
                assert monotonic() - begun < 2
            assert await tags(stores) == ["child before", "other"]
            assert locks(postgres) == 0

    asyncio.run(main())


def test_clients_killed_at_random_moments(postgres_url: str) -> None:
    acknowledged: dict[str, int] = {}
    counted: list[int] = []

    async def create() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            await stores.runs.create_run(make_run(1))

    async def check(kills: int) -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            events = await stores.events.replay_all()
            assert [one.cursor for one in events] == list(range(1, len(events) + 1))
            stored = {tag_of(one.kind): one.cursor for one in events}
            assert len(stored) == len(events)
            assert acknowledged.items() <= stored.items()
            run = await stores.runs.get_run(run_id(1))
            assert run is not None
            number = number_of(run.flow_state)
            assert [int(entry.step_id) for entry in run.step_ledger] == list(range(1, number + 1))
            assert len(set(counted)) == len(counted), "a step was won twice"
            assert max(counted) <= number <= len(counted) + kills

    asyncio.run(create())
    kills = 6
    for kill in range(0, kills, 2):
        with (
            running(write_until_killed, postgres_url, f"a{kill}") as one,
            running(write_until_killed, postgres_url, f"b{kill}") as other,
        ):
            for process in (one, other):
                assert hear(process) == "ready"
                for _ in range(20):
                    record(hear(process), acknowledged, counted)
            time.sleep(0.05 * kill)
            for process in (one, other):
                process.kill()
                printed, _ = process.communicate()
                for line in printed.decode().splitlines():
                    record(line, acknowledged, counted)
        asyncio.run(check(kill + 2))
    assert len(acknowledged) > 100


def record(line: str, acknowledged: dict[str, int], counted: list[int]) -> None:
    tag, number = json.loads(line)
    if tag == "count":
        counted.append(number)
    else:
        acknowledged[tag] = number


def test_a_forked_child_does_not_disturb_its_parent(postgres_url: str) -> None:
    assert output(fork_while_open, postgres_url).split() == ["closed", "52"]
