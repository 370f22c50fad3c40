"""Programs that write to a store on a server, or follow it, in processes of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from unittest.mock import patch

from engines.support import RUN, say
from mobstore import MobId, MobStoreError, MobStores, Stores, open_stores
from mobstore.engines.postgres.news import Channel
from mobstore.engines.postgres.wire import Statement
from mobstore.testing.samples import number_of, state, step, tag_of, tagged_event


def append_some(url: str, name: str, count: str) -> None:
    """Append events one by one, after a line of input; one of two belongs to the mob `other`."""

    async def main() -> None:
        async with open_stores(url) as stores:
            say("ready")
            await asyncio.to_thread(sys.stdin.readline)
            for n in range(int(count)):
                new = tagged_event(f"{name}-{n}")
                other = new.model_copy(update={"mob_id": MobId("other")})
                await stores.events.append(other if n % 2 else new)

    asyncio.run(main())


def append_on_request(url: str) -> None:
    """Append an event for each line of input, and print its cursor."""

    async def main() -> None:
        async with open_stores(url) as stores:
            say("ready")
            while tag := (await asyncio.to_thread(sys.stdin.readline)).strip():
                say(str((await stores.events.append(tagged_event(tag))).cursor))

    asyncio.run(main())


def append_without_notice(url: str) -> None:
    """Append an event for each line of input, each in an opening of its own without a NOTIFY."""

    class Silent(Channel):
        def __init__(self, schema: str) -> None:
            super().__init__(schema)
            self.announcement = Statement("SELECT 1")

    async def append(tag: str) -> None:
        async with open_stores(url) as stores:
            await stores.events.append(tagged_event(tag))

    say("ready")
    with patch("mobstore.engines.postgres.engine.Channel", Silent):
        for line in sys.stdin:
            asyncio.run(append(line.strip()))
            say("appended")


def follow(url: str) -> None:
    """Print each event, and each status of a run, until the run has ended."""

    async def of_events(stores: MobStores) -> None:
        async with aclosing(stores.events.subscribe()) as events:
            async for one in events:
                say(f"{one.cursor} {tag_of(one.kind)}")

    async def main() -> None:
        async with open_stores(url, read_only=True) as stores:
            telling = asyncio.create_task(of_events(stores))
            async with aclosing(stores.runs.watch(RUN)) as headers:
                async for header in headers:
                    say(header.status)
            telling.cancel()
        say("ended")

    asyncio.run(main())


def open_each() -> None:
    """Open the store of each URL on a line, append an event, and print what happened."""

    async def use(url: str) -> dict[str, object]:
        try:
            async with open_stores(url, timeout=30) as stores:
                identity = str(await stores.identity())
                cursor = (await stores.events.append(tagged_event("e"))).cursor
        except MobStoreError as error:
            return {"error": repr(error)}
        return {"error": None, "identity": identity, "cursor": cursor}

    say("ready")
    for line in sys.stdin:
        say(json.dumps(asyncio.run(use(line.strip()))))


def write_until_told(url: str) -> None:
    """Append events, each counted by a run in the same atomic call; print the count on request."""

    async def count(at: Stores) -> int:
        run = await at.runs.get_run(RUN)
        assert run is not None
        number = number_of(run.flow_state) + 1
        assert await at.runs.cas_flow_state(RUN, expected=run.flow_state, next=state(number))
        await at.runs.append_step_entry(RUN, step(f"{number}"))
        return (await at.events.append(tagged_event(f"{number}"))).cursor

    async def main() -> None:
        async with open_stores(url) as stores:
            say("ready")
            asked = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
            say(str(await stores.atomic(count)))
            while True:
                number = await stores.atomic(count)
                if asked.done():
                    if asked.result().strip():
                        return
                    say(str(number))
                    asked = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))

    asyncio.run(main())
