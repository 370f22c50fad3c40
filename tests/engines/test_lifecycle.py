"""The life cycle of stores, in tasks, threads, loops and processes."""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
import sys
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from engines.children import abandon, fork, read_at_exit
from engines.support import (
    NOON,
    RUN,
    Call,
    every_call,
    hear,
    hold_lock,
    new_run,
    no_store_threads,
    open_files,
    output,
    plain,
    query,
    running,
    side_files,
    tell,
)
from mobstore import (
    ClaimStore,
    ClosedError,
    FrameId,
    InternalError,
    LoopInstanceId,
    MobEventStore,
    MobRunStore,
    MobSpecStore,
    MobStores,
    NotFoundError,
    RealmProfileStore,
    RunId,
    WriteFailedError,
    open_stores,
)
from mobstore.scripts.tables import COUNTERS, EVENTS, CounterRow, EventRow
from mobstore.scripts.transaction import (
    Commit,
    Count,
    Engine,
    Get,
    LoadingScript,
    Put,
    Scan,
    Script,
    fetch,
)
from mobstore.testing.samples import (
    failure,
    frame,
    loop,
    number_of,
    state,
    step,
    tag_of,
    tagged_event,
)

WAL_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


@asynccontextmanager
async def with_run(path: Path, **options: Any) -> AsyncGenerator[MobStores]:
    async with open_stores(f"sqlite:{path}", **options) as stores:
        await stores.runs.create_run(
            new_run(frames={FrameId("f"): frame(0)}, loops={LoopInstanceId("l"): loop(0)})
        )
        yield stores


def stored(path: Path) -> list[str]:
    """Check the event log, and return the tags of all events."""

    async def tags() -> list[str]:
        async with open_stores(f"sqlite:{path}") as stores:
            events = await stores.events.replay_all()
        assert [one.cursor for one in events] == list(range(1, len(events) + 1))
        return [tag_of(one.kind) for one in events]

    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    return asyncio.run(tags())


def assert_let_go(path: Path) -> None:
    assert no_store_threads()
    assert open_files(path.parent) == []


def assert_nothing_left(path: Path) -> None:
    """Check that no file is open or left; two connections must not close at once."""
    assert_let_go(path)
    assert side_files(path) == []


# Closing ---------------------------------------------------------------------------------------


def test_the_table_of_calls_has_every_method() -> None:
    async def calls() -> list[Call]:
        async with open_stores("memory:") as stores:
            return every_call(stores)

    named = Counter((call.store, call.method) for call in asyncio.run(calls()))
    interfaces: dict[str, type] = {
        "events": MobEventStore,
        "runs": MobRunStore,
        "specs": MobSpecStore,
        "realm_profiles": RealmProfileStore,
        "claims": ClaimStore,
    }
    assert named == Counter(
        (store, method)
        for store, interface in interfaces.items()
        for method, _ in inspect.getmembers(interface, inspect.isfunction)
        if not method.startswith("_")
    )


@pytest.mark.parametrize("url", ["memory:", "sqlite:{path}"])
def test_use_after_close(path: Path, url: str) -> None:
    async def main() -> None:
        stores = await open_stores(url.format(path=path))
        await stores.runs.create_run(new_run())
        await stores.close()
        for call in every_call(stores):
            with pytest.raises(ClosedError, match="the store is closed; open it again"):
                await call.make()
        await stores.close()
        with pytest.raises(ClosedError):
            async with stores:
                await stores.events.replay_all()

    asyncio.run(main())


def test_nothing_is_left_after_close(path: Path) -> None:
    async def main() -> None:
        async with with_run(path) as stores:
            for call in every_call(stores):
                if call.method != "create_run":
                    await call.make()
            await asyncio.gather(*(stores.events.replay_all() for _ in range(20)))
            assert side_files(path)
            assert open_files(path.parent)
        await stores.close()
        await asyncio.gather(stores.close(), stores.close())

    asyncio.run(main())
    assert_nothing_left(path)


@pytest.mark.slow
def test_close_waits_for_writes_and_reads(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=10) as stores:
            await stores.events.append(tagged_event("first"))
            with running(hold_lock, path, "BEGIN IMMEDIATE", 0.3) as holder:
                assert hear(holder) == "held"
                writes = [
                    asyncio.create_task(stores.events.append(tagged_event(f"{n}")))
                    for n in range(99)
                ]
                reads = [asyncio.create_task(stores.events.replay_all()) for _ in range(9)]
                await asyncio.sleep(0)  # now they have started
                await asyncio.gather(stores.close(), stores.close())
                assert hear(holder) == "released"
            assert [(await task).cursor for task in writes] == list(range(2, 101))
            for task in reads:
                assert await task

    asyncio.run(main())
    assert len(stored(path)) == 100
    assert_let_go(path)


def test_cancelled_close_and_cancelled_open(path: Path) -> None:
    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}", timeout=10)
        with running(hold_lock, path, "BEGIN IMMEDIATE") as holder:
            assert hear(holder) == "held"
            writing = asyncio.create_task(stores.events.append(tagged_event("e")))
            await asyncio.sleep(0.05)
            opening = asyncio.ensure_future(open_stores(f"sqlite:{path}", timeout=10))
            closing_it = asyncio.create_task(stores.close())
            await asyncio.sleep(0.05)
            for task in (opening, closing_it):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            tell(holder)
            assert (await writing).cursor == 1
        await stores.close()

    asyncio.run(main())
    assert_let_go(path)


@pytest.mark.slow
@pytest.mark.parametrize("used", [False, True])
def test_never_closed(path: Path, used: bool) -> None:
    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        await stores.events.append(tagged_event("e"))
        if used:
            await stores.events.poll(0, 10)
            await stores.events.replay_all()

    def abandon_one() -> None:
        asyncio.run(main())
        gc.collect()

    with pytest.warns(ResourceWarning, match=r"the store on .*mobs\.db was never closed"):
        abandon_one()
    assert_let_go(path)
    assert stored(path) == ["e"]


@pytest.mark.slow
def test_never_closed_where_warnings_are_errors(path: Path) -> None:
    """The warning must not keep the thread and the file."""
    assert output(abandon, path, options=("-W", "error")).split() == ["ended", "closed"]


def test_a_process_that_ends_without_closing(path: Path) -> None:
    output(abandon, path, "at once", seconds=10)
    assert stored(path) == ["e"]


def test_a_long_read_while_python_ends(path: Path) -> None:
    """Then a pool of threads takes nothing more."""
    assert output(read_at_exit, path).split("\n")[0] == "1501 events"


# Loops and threads -----------------------------------------------------------------------------


def test_one_loop_after_the_other(path: Path) -> None:
    stores: MobStores = asyncio.run(_open(path))
    for n in range(5):
        assert asyncio.run(_append(stores, f"{n}")) == n + 1
        assert asyncio.run(_replay(stores)) == n + 1
    asyncio.run(stores.close())
    assert_nothing_left(path)


async def _open(path: Path) -> MobStores:
    return await open_stores(f"sqlite:{path}")


async def _append(stores: MobStores, tag: str) -> int:
    return (await stores.events.append(tagged_event(tag))).cursor


async def _replay(stores: MobStores) -> int:
    return len(await stores.events.replay_all())


@pytest.mark.slow
def test_loops_in_threads_share_one_store(path: Path) -> None:
    threads, rounds = 4, 150
    stores: MobStores = asyncio.run(_open(path))
    asyncio.run(stores.runs.create_run(new_run()))
    failures: list[BaseException] = []

    async def work(name: int) -> None:
        for n in range(rounds):
            await asyncio.gather(
                stores.events.append(tagged_event(f"{name}-{n}")),
                stores.events.poll(0, 5),
                stores.specs.get_spec("none"),
                stores.runs.get_run(RUN),
            )

    def run(name: int) -> None:
        try:
            asyncio.run(work(name))
        except BaseException as error:  # noqa: BLE001 - raised below; a thread cannot raise
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads interleave often
    try:
        workers = [threading.Thread(target=run, args=(name,)) for name in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    asyncio.run(stores.close())
    assert not failures, failures
    assert sorted(stored(path)) == sorted(f"{t}-{n}" for t in range(threads) for n in range(rounds))
    assert_nothing_left(path)


@pytest.mark.slow
def test_closing_while_other_threads_use_it(path: Path) -> None:
    """Each call before the end succeeds, and each call after it raises ClosedError."""
    strange: list[BaseException] = []
    acknowledged: list[str] = []

    async def use(stores: MobStores, name: str) -> None:
        for n in range(10_000):
            results = await asyncio.gather(
                stores.events.append(tagged_event(f"{name}-{n}")),
                stores.events.poll(0, 5),
                stores.events.replay_all(),
                return_exceptions=True,
            )
            if not isinstance(results[0], BaseException):
                acknowledged.append(f"{name}-{n}")
            errors = [result for result in results if isinstance(result, BaseException)]
            strange.extend(error for error in errors if not isinstance(error, ClosedError))
            if errors:
                return

    def run(stores: MobStores, name: str) -> None:
        asyncio.run(use(stores, name))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for turn in range(15):
            stores: MobStores = asyncio.run(_open(path))
            workers = [threading.Thread(target=run, args=(stores, f"{turn}-{n}")) for n in range(3)]
            for worker in workers:
                worker.start()
            threading.Event().wait(random.Random(turn).uniform(0, 0.06))
            asyncio.run(stores.close())
            for worker in workers:
                worker.join(30)
                assert not worker.is_alive(), "a call neither returned nor raised"
    finally:
        sys.setswitchinterval(interval)
    assert not strange, strange[:5]
    assert set(acknowledged) <= set(stored(path))
    assert_nothing_left(path)


def test_fork(path: Path) -> None:
    lines = output(fork, path, seconds=30).splitlines()
    assert [line for line in lines if not line.endswith("UsageError")] == ["closed", "parent"]
    assert len(lines) > 30
    assert stored(path) == ["before", "after"]


# Cancelling ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_cancelled_writes_are_there_or_not(path: Path) -> None:
    rounds, writers, size = 40, 64, 3
    chance = random.Random(7)
    outcome: dict[str, bool | None] = {}  # True: returned; None: cancelled, either is fine

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:

            async def write(tag: str) -> None:
                await stores.events.append_batch([tagged_event(f"{tag}:{i}") for i in range(size)])

            for turn in range(rounds):
                names = [f"{turn}-{n}" for n in range(writers)]
                tasks = {name: asyncio.create_task(write(name)) for name in names}
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(chance.choice((0, 0, 0.0003, 0.002)))
                for name in chance.sample(names, writers // 2):
                    tasks[name].cancel()
                results = await asyncio.gather(*tasks.values(), return_exceptions=True)
                for name, result in zip(names, results, strict=True):
                    assert result is None or isinstance(result, asyncio.CancelledError)
                    outcome[name] = True if result is None else None
            await write("last")
            outcome["last"] = True

    asyncio.run(main())
    found = Counter(tag.partition(":")[0] for tag in stored(path))
    assert set(found.values()) == {size}, "a cancelled write is there in part"
    assert set(found) <= set(outcome)
    assert {name for name, returned in outcome.items() if returned} <= set(found)
    cancelled = [name for name, returned in outcome.items() if returned is None]
    assert 0 < sum(name in found for name in cancelled) < len(cancelled), "not many points in time"


def test_writes_cancelled_before_they_began_are_not_made(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=10) as stores:
            with running(hold_lock, path, "BEGIN IMMEDIATE") as holder:
                assert hear(holder) == "held"
                first = asyncio.create_task(stores.events.append(tagged_event("first")))
                await asyncio.sleep(0.05)  # the writer has started it and waits for the lock
                others = [
                    asyncio.create_task(stores.events.append(tagged_event("no"))) for _ in range(9)
                ]
                await asyncio.sleep(0)
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)
                tell(holder)
                await first
            await stores.events.append(tagged_event("last"))

    asyncio.run(main())
    assert stored(path) == ["first", "last"]


# Group commit ----------------------------------------------------------------------------------


@asynccontextmanager
async def _gathering(path: Path) -> AsyncGenerator[None]:
    """Commit nothing within the block, so that its writes wait together."""
    with closing(plain(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        await asyncio.sleep(0.05)
        connection.execute("ROLLBACK")


def _commits(path: Path) -> int:
    """Return the number of transactions in the log: a frame with the database's size ends one."""
    log = path.with_name(f"{path.name}-wal").read_bytes()[WAL_HEADER:]
    sizes = [log[at + 4 : at + 8] for at in range(0, len(log), FRAME_HEADER + PAGE)]
    return sum(any(size) for size in sizes)


def test_waiting_writes_share_a_commit(path: Path) -> None:
    async def main() -> None:
        async with with_run(path, timeout=10) as stores:
            before = _commits(path)
            async with _gathering(path):
                tasks = [
                    asyncio.create_task(stores.events.append(tagged_event(f"{n}")))
                    for n in range(64)
                ]
            assert [(await task).cursor for task in tasks] == list(range(1, 65))
            assert _commits(path) - before <= 2  # the first may have had its own commit
            # An operation without a change does not commit.
            before = _commits(path)
            for _ in range(5):
                assert not await stores.runs.cas_flow_state(RUN, expected=state(9), next=state(1))
            assert _commits(path) == before

    asyncio.run(main())


def test_only_the_guilty_of_a_group_fail(path: Path) -> None:
    missing = RunId(UUID(int=99))

    async def main() -> None:
        async with with_run(path, timeout=10) as stores:
            async with _gathering(path):
                tasks: list[asyncio.Future[Any]] = []
                for n in range(64):
                    call: Any
                    match n % 4:
                        case 0:
                            call = stores.runs.append_step_entry(missing, step(f"{n}"))
                        case 1:
                            call = stores.runs.put_step_output(RUN, "unknown", n)
                        case 2:
                            call = stores.runs.append_step_entry(RUN, step(f"{n}"))
                        case _:
                            call = stores.events.append(tagged_event(f"{n}"))
                    tasks.append(asyncio.ensure_future(call))
                await asyncio.sleep(0)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results[0::4]] == [NotFoundError] * 16
            assert [type(result) for result in results[1::4]] == [InternalError] * 16
            assert results[2::4] == [None] * 16
            assert [one.cursor for one in results[3::4]] == list(range(1, 17))  # type: ignore[union-attr]
            run = await stores.runs.get_run(RUN)
            assert run is not None
            assert [entry.step_id for entry in run.step_ledger] == [f"{n}" for n in range(2, 64, 4)]

    asyncio.run(main())
    assert stored(path) == [f"{n}" for n in range(3, 64, 4)]


def test_a_write_that_the_database_refuses_fails_alone(path: Path) -> None:
    async def main() -> None:
        async with with_run(path, timeout=10) as stores:
            async with _gathering(path):
                tasks = [
                    asyncio.ensure_future(
                        stores.engine.write(lambda: _refused_by_sqlite("secret"))
                        if n % 10 == 5
                        else stores.runs.append_step_entry(RUN, step(f"{n}"))
                    )
                    for n in range(64)
                ]
                await asyncio.sleep(0)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for n, result in enumerate(results):
                if n % 10 == 5:
                    assert isinstance(result, WriteFailedError)
                    assert "secret" not in str(result)
                    assert not result.maybe_written
                    assert result.__cause__ is not None
                else:
                    assert result is None
            run = await stores.runs.get_run(RUN)
            assert run is not None
            good = [f"{n}" for n in range(64) if n % 10 != 5]
            assert [entry.step_id for entry in run.step_ledger] == good
            # A failed write rolls back the script's earlier writes.
            with pytest.raises(WriteFailedError):
                await stores.engine.write(lambda: _refused_by_sqlite("half"))
            assert await _counter(stores.engine) is None

    asyncio.run(main())


def _refused_by_sqlite(name: str) -> Script[None]:
    """Add two rows; SQLite rejects the second because a column is null."""
    yield ()
    refused = CounterRow(name, cast("int", None))
    return Commit(None, (Put(COUNTERS, (CounterRow("next_cursor", 7),)), Put(COUNTERS, (refused,))))


# Reading beside writing ------------------------------------------------------------------------


@pytest.mark.slow
def test_get_run_reads_one_snapshot(path: Path) -> None:
    """Every write changes three tables alike; no read sees them differ."""
    rounds = 400

    async def main() -> None:
        async with with_run(path) as stores:
            done = asyncio.Event()
            seen: set[int] = set()

            async def write() -> None:
                for n in range(rounds):
                    assert await stores.runs.cas_complete_body_frame(
                        RUN,
                        loop_instance_id="l",
                        expected_loop=loop(n),
                        next_loop=loop(n + 1),
                        frame_id="f",
                        expected_frame=frame(n),
                        next_frame=frame(n + 1),
                        expected_run_state=state(n),
                        next_run_state=state(n + 1),
                    )
                done.set()

            async def read(listing: bool) -> None:
                while not done.is_set():
                    if listing:
                        (run,) = await stores.runs.list_runs("mob")
                    else:
                        found = await stores.runs.get_run(RUN)
                        assert found is not None
                        run = found
                    counts = {
                        number_of(run.flow_state),
                        number_of(run.frames[FrameId("f")].kernel_state),
                        number_of(run.loops[LoopInstanceId("l")].kernel_state),
                    }
                    assert len(counts) == 1, f"a run of several moments: {counts}"
                    seen.update(counts)

            await asyncio.gather(write(), read(False), read(False), read(True))
            assert len(seen) > 10, "reads and writes did not overlap"

    asyncio.run(main())


def _loading(count: int, then: Callable[[], None]) -> LoadingScript[int]:
    """Write some events, call a function, write more."""
    for start in (1, count + 1):
        rows = [
            EventRow(n, "mob", NOON.sortable, "mob_reset", "", '{"type":"mob_reset"}')
            for n in range(start, start + count)
        ]
        yield (Put(EVENTS, rows),)
        (found,) = yield (Count(Scan(EVENTS)),)
        assert found == start - 1 + count, "a loading script sees what it wrote"
        if start == 1:
            then()
    return Commit(found, (Put(COUNTERS, (CounterRow("next_cursor", 2 * count + 1),)),))


def test_readers_run_beside_a_load(path: Path) -> None:
    async def main() -> None:
        async with with_run(path) as stores:
            halfway, go_on = threading.Event(), threading.Event()

            def wait() -> None:
                halfway.set()
                assert go_on.wait(60)

            load = asyncio.create_task(stores.engine.load(lambda: _loading(5000, wait)))
            assert await asyncio.to_thread(halfway.wait, 60)
            write = asyncio.create_task(stores.events.append(tagged_event("behind")))
            async with asyncio.timeout(30):  # the load waits for longer
                assert await stores.events.poll(0, 10) == []
                assert await stores.events.replay_all() == []
                assert await stores.runs.get_run(RUN) is not None
            assert not load.done()
            assert not write.done(), "a load is alone"
            go_on.set()
            assert await load == 10_000
            assert (await write).cursor == 10_001
            assert len(await stores.events.replay_all()) == 10_001

    asyncio.run(main())


@pytest.mark.parametrize("url", ["memory:", "sqlite:{path}"])
@pytest.mark.parametrize("error", [ValueError("mine"), NotFoundError("mine"), KeyboardInterrupt()])
def test_a_load_that_raises_leaves_nothing(path: Path, url: str, error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def main() -> None:
        async with open_stores(url.format(path=path)) as stores:
            await stores.events.append(tagged_event("before"))
            assert await _counter(stores.engine) == 2
            # Caught within the task, or KeyboardInterrupt would end the loop.
            assert await _caught(stores.engine, fail) is error
            assert [tag_of(one.kind) for one in await stores.events.replay_all()] == ["before"]
            assert await _counter(stores.engine) == 2
            assert (await stores.events.append(tagged_event("after"))).cursor == 2
            assert len(await stores.events.replay_all()) == 2

    asyncio.run(main())


async def _caught(engine: Engine, fail: Callable[[], None]) -> BaseException | None:
    try:
        await engine.load(lambda: _loading(100, fail))
    except BaseException as error:  # noqa: BLE001 - which one is what is asked
        return error
    return None


async def _counter(engine: Engine) -> int | None:
    def script() -> Script[int | None]:
        row = yield from fetch(Get(COUNTERS, ("next_cursor",)))
        return Commit(None if row is None else row.value)

    return await engine.read(script)


def _loading_what_sqlite_refuses() -> LoadingScript[None]:
    yield from _loading(100, lambda: None)
    yield (Put(COUNTERS, (CounterRow("refused", cast("int", None)),)),)
    return Commit(None)


def test_a_load_that_the_database_refuses_leaves_nothing(path: Path) -> None:
    async def main() -> None:
        async with with_run(path) as stores:
            with pytest.raises(WriteFailedError):
                await stores.engine.load(_loading_what_sqlite_refuses)
            assert await stores.events.replay_all() == []
            await stores.runs.append_failure_entry(RUN, failure("s"))

    asyncio.run(main())
