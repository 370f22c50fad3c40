"""Programs that the tests run in child processes."""

from __future__ import annotations

import asyncio
import atexit
import gc
import json
import os
import random
import resource
import signal
import sqlite3
import sys
import time
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch
from uuid import UUID

from engines.support import RUN, every_call, new_run, no_store_threads, open_files, plain, say
from mobstore import (
    ConsumerMovedError,
    EventBatch,
    FrameId,
    MobStoreError,
    MobStores,
    RunId,
    Stores,
    open_stores,
)
from mobstore.testing.samples import frame, number_of, state, step, tag_of, tagged_event

NOBODY = 65534
STEPPED = (RunId(UUID(int=21)), RunId(UUID(int=22)))


def increment(path: str, tasks: str, wins: str) -> None:
    """Several tasks increment one run's counter, each until it has won that many times."""

    async def until_won(stores: MobStores) -> int:
        won = 0
        while won < int(wins):
            run = await stores.runs.get_run(RUN)
            assert run is not None
            value = number_of(run.flow_state) + 1
            if await stores.runs.cas_flow_state(RUN, expected=run.flow_state, next=state(value)):
                won += 1
                await stores.runs.append_step_entry(RUN, step(str(value)))
        return won

    async def main() -> int:
        async with open_stores(f"sqlite:{path}", timeout=60) as stores:
            return sum(await asyncio.gather(*(until_won(stores) for _ in range(int(tasks)))))

    say(str(asyncio.run(main())))


def project(path: str) -> None:
    """Count the events of a store in the state of a run, without end."""

    async def count(at: Stores, batch: EventBatch) -> None:
        run = await at.runs.get_run(RUN)
        assert run is not None
        counted = number_of(run.flow_state) + len(batch.events)
        await at.runs.cas_flow_state(RUN, expected=run.flow_state, next=state(counted))
        await batch.done(at)

    async def main() -> None:
        async with (
            open_stores(f"sqlite:{path}", timeout=60, durability="normal") as stores,
            stores.events.follow("projector", most=5, linger=0.002) as batches,
        ):
            say("ready")
            async for batch in batches:
                with suppress(ConsumerMovedError):
                    await stores.atomic(partial(count, batch=batch))

    asyncio.run(main())


def open_new(name: str) -> None:
    """Open each file at the given time, and write to it."""

    async def main(path: str) -> str:
        try:
            async with open_stores(f"sqlite:{path}", timeout=20) as stores:
                await stores.events.append(tagged_event(name))
        except MobStoreError as error:
            return repr(error)
        return "fine"

    say("ready")
    for line in sys.stdin:
        path, start_at = json.loads(line)
        time.sleep(max(0, start_at - time.time()))
        say(asyncio.run(main(path)))


def as_nobody(url: str, only_open: str = "") -> None:
    """Open a store as a user without permissions, perhaps write, and print the result."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)

    async def main() -> list[object]:
        try:
            async with open_stores(url, timeout=1) as stores:
                if not only_open:
                    await stores.events.append(tagged_event("nobody's"))
        except MobStoreError as error:
            return [type(error).__name__, str(error), error.__cause__ is not None]
        return ["fine", "", False]

    say(json.dumps(asyncio.run(main())))


def open_only(path: str) -> None:
    """Open a store, and print the result."""

    async def main() -> str:
        try:
            async with open_stores(f"sqlite:{path}", timeout=0.5):
                return "opened"
        except MobStoreError as error:
            return repr(error)

    say(asyncio.run(main()))


def die_with_a_log(path: str) -> None:
    """Write as another program, and be killed before the log is copied into the database."""
    connection = plain(Path(path))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE notes (text)")
    connection.execute("INSERT INTO notes VALUES ('hello')")
    say("ready")
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_a_journal(path: str) -> None:
    """Write as another program, and be killed within a transaction that has changed the file."""
    connection = plain(Path(path))
    connection.execute("CREATE TABLE notes (text)")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("BEGIN")
    for _ in range(500):
        connection.execute("INSERT INTO notes VALUES (?)", ("x" * 1000,))
    say("ready")
    os.kill(os.getpid(), signal.SIGKILL)


def write_beyond_a_limit(path: str, limit: str) -> None:
    """Write until files may not grow further; then lift the limit and write again."""

    async def main() -> dict[str, object]:
        acknowledged = 0
        errors: list[list[object]] = []
        padding = "x" * 3000
        async with open_stores(f"sqlite:{path}", timeout=1) as stores:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
            while len(errors) < 20:
                batches = [[tagged_event(f"{n}:{i}", padding) for i in range(5)] for n in range(4)]
                for result in await asyncio.gather(
                    *map(stores.events.append_batch, batches), return_exceptions=True
                ):
                    if isinstance(result, MobStoreError):
                        errors.append(describe(result))
                    elif isinstance(result, BaseException):
                        raise result
                    else:
                        acknowledged += 1
            seen = len(await stores.events.replay_all())
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            await stores.events.append_batch(
                [tagged_event(f"after:{i}", padding) for i in range(5)]
            )
        return {"acknowledged": acknowledged, "errors": errors, "seen": seen}

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    say(json.dumps(asyncio.run(main())))


def describe(error: MobStoreError) -> list[object]:
    cause = error.__cause__
    return [
        type(error).__name__,
        str(error),
        error.retry_safe,
        error.maybe_written,
        None if cause is None else type(cause).__module__,
    ]


def damage(path: str, directory: str, places: str, first: str, seeds: str) -> None:
    """Flip bytes in copies of a store, make every call on each, and print the errors."""
    content = Path(path).read_bytes()
    low, high = {"header": (0, 100), "schema": (100, 20_000), "rest": (100, len(content))}[places]
    used = [place for place in range(low, high) if content[place]]  # the gaps do not matter
    copy = Path(directory) / "copy.db"
    found: list[list[object]] = []
    for seed in range(int(first), int(first) + int(seeds)):
        chance = random.Random(seed)
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 1, 4, 40))):
            damaged[chance.choice(used)] ^= 1 << chance.randrange(8)
        copy.write_bytes(damaged)
        for kind, text in asyncio.run(use(copy)):
            found.append([seed, kind, text])
        for side in Path(directory).glob("copy.db-*"):
            side.unlink()
    say(json.dumps(found))


async def use(path: Path) -> list[list[str]]:
    """Make every call on a store, and return the errors."""
    errors: list[list[str]] = []

    def note(error: Exception) -> None:
        kind = type(error)
        name = "" if isinstance(error, MobStoreError) else f"{kind.__module__}."
        errors.append([f"{name}{kind.__name__}", str(error)])

    try:
        stores = await open_stores(f"sqlite:{path}", timeout=0.2)
    except Exception as error:  # noqa: BLE001 - which ones come is what is asked
        note(error)
        return errors
    for call in every_call(stores):
        try:
            await call.make()
        except Exception as error:  # noqa: BLE001 - as above
            note(error)
    await stores.close()
    return errors


def use_once(path: str, most_memory: str) -> None:
    """Make every call on a store with limited memory, and print the errors."""
    resource.setrlimit(resource.RLIMIT_AS, (int(most_memory), int(most_memory)))
    say(json.dumps(asyncio.run(use(Path(path)))))


def abandon(path: str, end: str = "") -> None:
    """Never close a store; print whether the last reference ends its thread and closes its file."""

    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        await stores.events.append(tagged_event("e"))
        await stores.events.replay_all()

    if end:
        kept = asyncio.run(open_and_append(path))
        assert kept
        return
    asyncio.run(main())
    gc.collect()
    say("ended" if no_store_threads(3) else "goes on")
    say("open" if open_files(Path(path).parent) else "closed")


async def open_and_append(path: str) -> MobStores:
    stores = await open_stores(f"sqlite:{path}")
    await stores.events.append(tagged_event("e"))
    return stores


def read_at_exit(path: str) -> None:
    """Append many events, and read them when Python ends."""
    runner = asyncio.Runner()
    stores = runner.run(open_and_append(path))

    async def read() -> None:
        await stores.events.append_batch([tagged_event("e")] * 1500)
        say(f"{len(await stores.events.poll(limit=5000))} events")
        await stores.close()

    atexit.register(lambda: runner.run(read()))


def fork(path: str) -> None:
    """Open, fork, use the store in the child, and print the error of each call."""

    async def use_in_child(stores: MobStores) -> None:
        for call in every_call(stores):
            try:
                await call.make()
                say(f"{call.method} returned")
            except Exception as error:  # noqa: BLE001 - which one is what is asked
                say(f"{call.method} {type(error).__name__}")
        async with asyncio.timeout(30):
            await stores.close()
        say("closed")

    async def before() -> MobStores:
        stores = await open_stores(f"sqlite:{path}")
        await stores.events.append(tagged_event("before"))
        await stores.events.poll(0, 1)
        return stores

    async def after(stores: MobStores) -> None:
        assert len(await stores.events.replay_all()) == 1
        await stores.events.append(tagged_event("after"))
        await stores.close()

    stores = asyncio.run(before())
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(use_in_child(stores))
            del stores
            gc.collect()
        except BaseException as error:  # noqa: BLE001 - the parent must hear of it
            say(f"the child met {error!r}")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    asyncio.run(after(stores))
    say("parent")


def append_some(path: str, name: str, count: str) -> None:
    """Append events, some alone and some in batches, after a line of input."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=30) as stores:
            say("ready")
            await asyncio.to_thread(sys.stdin.readline)
            chance, left = random.Random(name), [f"{name}-{n}" for n in range(int(count))]
            while left:
                size = chance.choice((1, 1, 5))
                await stores.events.append_batch([tagged_event(tag) for tag in left[:size]])
                del left[:size]
                await asyncio.sleep(chance.choice((0, 0, 0.01)))

    asyncio.run(main())


def follow(path: str) -> None:
    """Print each event, and each status of a run, until the run has ended."""

    async def of_events(stores: MobStores) -> None:
        async with aclosing(stores.events.subscribe()) as events:
            async for one in events:
                say(f"{one.cursor} {tag_of(one.kind)}")

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            telling = asyncio.create_task(of_events(stores))
            async with aclosing(stores.runs.watch(RUN)) as headers:
                async for header in headers:
                    say(header.status)
            telling.cancel()
        say("ended")

    asyncio.run(main())


def complete_steps(path: str, durability: str) -> None:
    """Complete steps of two runs and append their events, each in an atomic call, until killed.

    Every third call raises after both: none of it may be stored.
    """

    async def complete(stores: MobStores, run_id: RunId) -> NoReturn:
        run = await stores.runs.get_run(run_id)
        assert run is not None
        number = number_of(run.frames[FrameId("f")].kernel_state)

        async def step(at: Stores) -> None:
            assert await at.runs.cas_complete_step_and_record_output(
                run_id,
                frame_id="f",
                expected_frame=frame(number),
                next_frame=frame(number + 1),
                step_output_key=f"s{number}",
                step_output=number,
            )
            await at.events.append(tagged_event(f"{run_id}", f"s{number}"))

        async def fail(at: Stores) -> None:
            await step(at)
            raise LookupError

        while True:
            if number % 3 == 0:
                with suppress(LookupError):
                    await stores.atomic(fail)
            await stores.atomic(step)
            number += 1
            say(f"{run_id} {number}")

    async def main() -> None:
        full = durability == "full"
        stores = await open_stores(f"sqlite:{path}", durability="full" if full else "normal")
        for run_id in STEPPED:
            if await stores.runs.get_run(run_id) is None:
                await stores.runs.create_run(new_run(run_id, frames={FrameId("f"): frame(0)}))
        await asyncio.gather(*(complete(stores, run_id) for run_id in STEPPED))

    asyncio.run(main())


def read_as_nobody(path: str, twice: str = "") -> None:
    """Read as a user without permissions, and print the result; again on request."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)

    async def tags(stores: MobStores) -> list[str]:
        return [tag_of(one.kind) for one in await stores.events.replay_all()]

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", read_only=True, timeout=1) as stores:
            say(json.dumps(await tags(stores)))
            if twice:
                sys.stdin.readline()
                try:
                    say(json.dumps(await tags(stores)))
                except MobStoreError as error:
                    say(str(error))

    asyncio.run(main())


def die_with_a_log_of_ours(path: str, count: str = "1") -> None:
    """Commit, and be killed before the log is copied into the database."""

    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        padding = "" if count == "1" else "x" * 3000
        await stores.events.append_batch([tagged_event("in the log", padding)] * int(count))
        say("ready")
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())


def die_within_a_write(path: str, journal: str) -> None:
    """Change the file or its log, and be killed before the commit."""
    connection = plain(Path(path))
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("UPDATE counters SET value = value")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("BEGIN")
    for number in range(500):
        connection.execute("INSERT INTO specs VALUES (?, 1, ?)", (f"{number}", "x" * 1000))
    say("ready")
    os.kill(os.getpid(), signal.SIGKILL)


def without_descriptors(path: str, moment: str) -> None:
    """Open, or read for the first time, with few descriptors left, and print the errors."""

    async def main() -> None:
        for left in range(8):
            stores = None
            if moment == "reading":
                stores = await open_stores(f"sqlite:{path}", timeout=0.2)
            taken = take_all_descriptors()
            for descriptor in taken[len(taken) - left :]:
                os.close(descriptor)
            try:
                if stores is None:
                    stores = await open_stores(f"sqlite:{path}", timeout=0.2)
                else:
                    await stores.events.poll(0, 1)
            except MobStoreError as error:
                say(str(error))
            finally:
                for descriptor in taken[: len(taken) - left]:
                    os.close(descriptor)
            if stores is not None:
                await stores.close()

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    asyncio.run(main())


def take_all_descriptors() -> list[int]:
    taken: list[int] = []
    with suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken


def die_making(directory: str) -> None:
    """Create stores in processes that are killed, each one statement later than the last."""
    died = 0
    while True:
        child = os.fork()
        if child == 0:
            make_until(Path(directory) / f"{died}.db", died)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        died += 1
    say(str(died))


def make_until(path: Path, statement: int) -> NoReturn:
    """Create a store, and be killed before the statement of this number."""
    from mobstore.engines.sqlite import connections, file

    class Dying(connections.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            nonlocal statement
            statement -= 1
            if statement < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().execute(sql, *parameters)

    with patch.object(connections, "Connection", Dying):
        file.open_file(path, durability="full", timeout=1, create=True)
    os._exit(0)
