"""Programs that fork while stores are open, and print the results of the child."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

from engines.support import NOON, new_run, say
from mobstore import MobStores, UsageError, open_stores
from mobstore.engines.sqlite.file import is_database
from mobstore.meerkat import import_meerkat
from mobstore.meerkat.database import check_source
from mobstore.model.record import Record
from mobstore.scripts.tables import COUNTERS, EVENTS, CounterRow, EventRow
from mobstore.scripts.transaction import Add, Commit, LoadingScript, Put, Script
from mobstore.testing.samples import tag_of, tagged_event


def _ways(path: str, other: str) -> dict[str, Callable[[], Coroutine[Any, Any, object]]]:
    """Return every way to open a file."""

    async def opening(url: str, **options: Any) -> None:
        async with open_stores(url, **options) as stores:
            await stores.events.append(tagged_event("child"))

    async def importing() -> None:
        async with open_stores("memory:") as stores:
            await import_meerkat(path, stores)

    async def looking(look: Callable[[Path], object]) -> None:
        look(Path(path))

    return {
        "open": lambda: opening(f"sqlite:{path}"),
        "open without creating": lambda: opening(f"sqlite:{path}", create=False),
        "open to read": lambda: opening(f"sqlite:{path}", read_only=True),
        "open by another path": lambda: opening(f"sqlite:{other}"),
        "import": importing,
        "ask whether to import": lambda: looking(check_source),
        "ask whether it is a database": lambda: looking(is_database),
    }


def _child(path: str, other: str) -> None:
    """Use inherited stores in a forked process; it must not hang."""
    for name, way in _ways(path, other).items():
        try:
            asyncio.run(way())
        except UsageError as error:
            say(f"{name}: {error}")
        except BaseException as error:  # noqa: BLE001 - which one is what is asked
            say(f"{name}: met {error!r}")
        else:
            say(f"{name}: was allowed")
    gc.collect()


def _fork(child: Callable[[], None]) -> None:
    """Run a function in a forked process that ends normally."""
    if os.fork() == 0:
        child()
        sys.exit(0)  # with finalizers
    os.wait()


def fork_while_open(path: str, other: str) -> None:
    """Fork while the store is open after reads and writes; continue after the child has ended."""

    async def before() -> MobStores:
        stores = await open_stores(f"sqlite:{path}")
        await stores.events.append(tagged_event("before"))
        await stores.events.replay_all()
        await stores.events.poll(0, 1)
        return stores

    async def after(stores: MobStores) -> None:
        await stores.events.append(tagged_event("after"))
        await stores.close()

    stores = asyncio.run(before())
    _fork(lambda: _child(path, other))
    asyncio.run(after(stores))
    say("parent")


def fork_while_open_to_read(path: str, other: str) -> None:
    """Fork while the store is open read-only."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", read_only=True) as stores:
            await stores.events.poll(0, 1)
            await asyncio.to_thread(_fork_here, path, other)
            await stores.events.poll(0, 1)

    asyncio.run(main())
    say("parent")


def _fork_here(path: str, other: str) -> None:
    if os.fork() == 0:
        _child(path, other)
        os._exit(0)
    os.wait()


def fork_while_writing(path: str, other: str) -> None:
    """Fork in the middle of a large transaction."""
    begun = threading.Event()

    def large() -> LoadingScript[None]:
        kind = tagged_event("e", "x" * 2000).kind.to_json()
        for n in range(39):
            cursors = range(100 * n + 1, 100 * n + 101)
            rows = tuple(
                EventRow(at, "m", NOON.sortable, "peers_wired", "", kind) for at in cursors
            )
            yield (Add(EVENTS, rows),)
            if n == 20:
                begun.set()
                forked.wait(60)
        return Commit(None, (Put(COUNTERS, (CounterRow("next_cursor", 3901),)),))

    forked = threading.Event()

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.runs.create_run(new_run())
            await stores.events.poll(0, 1)
            await stores.engine.load(large)
        say("parent")

    writing = threading.Thread(target=lambda: asyncio.run(main()))
    writing.start()
    begun.wait()
    _fork(lambda: _child(path, other))
    forked.set()
    writing.join()


def fork_when_closed(path: str, other: str) -> None:
    """Close the store before the fork, as documented. Then both processes work."""

    async def append(tag: str) -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event(tag))

    def child() -> None:
        asyncio.run(append("child"))
        os._exit(0)

    asyncio.run(append("before"))
    if os.fork() == 0:
        child()
    asyncio.run(append("parent"))
    os.wait()
    del other
    say("parent")


def fork_while_memory_is_written() -> None:
    """Fork while another thread writes to a store in memory; print what both have in the end."""
    begun, forked = threading.Event(), threading.Event()

    def write() -> Script[None]:
        yield ()
        begun.set()
        forked.wait(60)
        return Commit(None, ())

    async def use(stores: MobStores, tag: str) -> None:
        stores.engine.listen(lambda: None)
        await stores.events.append(tagged_event(tag))
        say(" ".join(tag_of(one.kind) for one in await stores.events.replay_all()))

    def child() -> None:
        signal.alarm(20)  # ends a child that hangs
        asyncio.run(use(stores, "child"))

    async def open_() -> MobStores:
        return await open_stores("memory:")

    stores = asyncio.run(open_())
    writing = threading.Thread(target=lambda: asyncio.run(stores.engine.write(write)))
    writing.start()
    begun.wait()
    _fork(child)
    forked.set()
    writing.join()
    asyncio.run(use(stores, "parent"))


def fork_while_a_schema_is_built() -> None:
    """Fork while another thread builds the schema of a record, and use the record in the child."""
    begun = threading.Event()

    class Slow:
        def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
            begun.set()
            time.sleep(0.2)
            return handler(source)

    class Built(Record):
        number: Annotated[int, Slow()]

    def child() -> None:
        signal.alarm(20)  # ends a child that hangs
        say(repr(Built(number=1)))

    building = threading.Thread(target=lambda: Built(number=0))
    building.start()
    begun.wait()
    _fork(child)
    building.join()


def fork_in_a_pool(path: str, other: str) -> None:
    """Fork through `multiprocessing`, where processes end in another way."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("before"))
            await stores.events.poll(0, 1)
            context = multiprocessing.get_context("fork")
            process = context.Process(target=_child, args=(path, other))
            process.start()
            await asyncio.to_thread(process.join)
            await stores.events.append(tagged_event("after"))
        say("parent")

    asyncio.run(main())
