"""Programs that tests of PostgreSQL faults run in processes of their own."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from unittest.mock import patch

from engines.support import every_call, say
from mobstore import MobStores, RefusedError, Stores, UsageError
from mobstore.engines.postgres.wire import Result, Statement, Wire
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import number_of, run_id, state, step, tagged_event

_exchange = Wire.exchange


def stop_within_a_transaction(url: str, name: str) -> None:
    """Stop with this signal between the two round trips of a transaction, after a line of input.

    Then print the cursor of the event that the transaction appends.
    """
    armed = False

    async def exchange(
        self: Wire, statements: Sequence[Statement], patience: float, then: Statement | None = None
    ) -> list[Result]:
        nonlocal armed
        if then is not None and armed:
            armed = False
            say("stopping")
            os.kill(os.getpid(), signal.Signals[name])
        return await _exchange(self, statements, patience, then)

    async def main() -> None:
        nonlocal armed
        async with PostgresMobStores.open(url, timeout=20) as stores:
            await stores.events.append(tagged_event("child before"))
            say("ready")
            await asyncio.to_thread(sys.stdin.readline)
            armed = True
            stored = await stores.events.append(tagged_event("child"))
            say(f"{stored.cursor}")
            stored = await stores.events.append(tagged_event("child after"))
            say(f"{stored.cursor}")

    with patch.object(Wire, "exchange", exchange):
        asyncio.run(main())


def write_until_killed(url: str, name: str) -> None:
    """Append events and count in a run, in several tasks, and print what is acknowledged."""

    async def append(stores: MobStores, task: int) -> None:
        number = 0
        while True:
            number += 1
            tag = f"{name}.{task} {number}"
            stored = await stores.events.append(tagged_event(tag))
            say(json.dumps([tag, stored.cursor]))

    async def count(stores: MobStores) -> None:
        while True:
            run = await stores.runs.get_run(run_id(1))
            assert run is not None
            value = number_of(run.flow_state)

            async def change(at: Stores, value: int = value) -> bool:
                swapped = await at.runs.cas_flow_state(
                    run_id(1), expected=state(value), next=state(value + 1)
                )
                await at.runs.append_step_entry(run_id(1), step(f"{value + 1}"))
                return swapped

            with suppress(RefusedError):  # another process was faster
                await stores.atomic(change)
                say(json.dumps(["count", value + 1]))

    async def main() -> None:
        async with PostgresMobStores.open(url, timeout=20) as stores:
            say("ready")
            await asyncio.gather(*(append(stores, n) for n in range(8)), count(stores))

    asyncio.run(main())


def fork_while_open(url: str) -> None:
    """Fork while tasks read and write; the child uses every call, and ends in several ways."""

    async def use_in_child(stores: MobStores) -> None:
        for call in every_call(stores):
            try:
                await asyncio.wait_for(call.make(), 10)
                say(f"{call.method} returned")
            except BaseException as error:  # noqa: BLE001 - which one is what is asked
                known = isinstance(error, UsageError)
                if not known or "close stores before forking" not in str(error):
                    say(f"{call.method} {error!r}")
        await asyncio.wait_for(stores.close(), 10)
        say("closed")

    def child(stores: MobStores) -> None:
        asyncio.events._set_running_loop(None)
        asyncio.run(use_in_child(stores))

    def fork(work: Callable[[], None]) -> None:
        if (pid := os.fork()) == 0:
            try:
                work()
                gc.collect()
            except BaseException as error:  # noqa: BLE001 - the parent prints it
                say(f"the child failed: {error!r}")
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    async def main() -> None:
        stores = await PostgresMobStores.open(url)
        await stores.events.append(tagged_event("before"))
        writing = asyncio.gather(
            *(stores.events.append(tagged_event(f"{n}")) for n in range(50)),
            *(stores.events.poll(0, 10) for _ in range(50)),
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        fork(lambda: child(stores))
        fork(lambda: None)  # without closing
        await writing
        await stores.events.append(tagged_event("after"))
        say(str(len(await stores.events.replay_all())))
        await stores.close()

    asyncio.run(main())
