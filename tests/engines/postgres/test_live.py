"""Subscriptions to a store on a server that other processes write, and their end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, aclosing
from typing import Any

import pytest

from engines.postgres.live_programs import (
    append_on_request,
    append_some,
    append_without_notice,
    follow,
)
from engines.support import RUN, Process, hear, new_run, running, tell
from mobstore import (
    ClosedError,
    MobEvent,
    MobStoreError,
    MobStores,
    NotFoundError,
    Profile,
    Subscription,
    WriteFailedError,
    open_stores,
)
from mobstore.engines.postgres.writer import Writer
from mobstore.scripts.tables import EVENTS_BY_MOB
from mobstore.scripts.transaction import Scan
from mobstore.testing.samples import tag_of, tagged_event
from support.postgres.pair import Pair
from support.postgres.proxy import Proxy
from support.postgres.server import Role, Server

pytestmark = pytest.mark.slow

WRITERS, EACH = 3, 30

ways = pytest.mark.parametrize("way", ["postgres", "postgres_pooler"])
"""Directly, where notifications arrive, and through a pooler, where the server is polled."""


def url_of(request: pytest.FixtureRequest, way: str, schema: str) -> str:
    url: str = request.getfixturevalue(way).url(schema=schema)
    return url


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(in_time())


async def take(of: Subscription[MobEvent], count: int, pause: float = 0) -> list[MobEvent]:
    taken: list[MobEvent] = []
    async with aclosing(of):
        async for one in of:
            taken.append(one)
            if len(taken) == count:
                break
            await asyncio.sleep(pause)
    return taken


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.01)


async def append(process: Process, tag: str) -> int:
    """Append an event in another process, and return its cursor."""
    tell(process, tag)
    return int(await asyncio.to_thread(hear, process))


def connections(server: Server) -> int:
    """Return the number of the connections of mobstore."""
    ((number,),) = server.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mobstore'"
    )
    return int(number)


class Ear:
    """A listener that counts its calls."""

    def __init__(self) -> None:
        self.woken = 0

    def __call__(self) -> None:
        self.woken += 1


@ways
def test_other_processes_write(
    request: pytest.FixtureRequest, way: str, postgres_schema: str
) -> None:
    """Subscribers to all events and to one mob receive each once, while this process writes."""
    url = url_of(request, way, postgres_schema)
    names, total = [f"writer {n}" for n in range(WRITERS)], (WRITERS + 1) * EACH

    async def main() -> None:
        async with open_stores(url) as stores:
            following = [
                asyncio.create_task(take(of, count, pause))
                for of, count, pause in (
                    (stores.events.subscribe(), total, 0),
                    (stores.events.subscribe(), total, 0.002),
                    (stores.events.subscribe(mob_id="other"), WRITERS * EACH // 2, 0),
                )
            ]
            for process in processes:
                tell(process)
            for n in range(EACH):
                await stores.events.append(tagged_event(f"here-{n}"))
            quick, slow, other = await asyncio.gather(*following)
            stored = await stores.events.replay_all()
        assert [one.cursor for one in stored] == list(range(1, total + 1))
        assert quick == stored
        assert slow == stored
        assert other == [one for one in stored if one.mob_id == "other"]
        tags = [tag_of(one.kind) for one in stored]
        for name in ("here", *names):
            mine = [tag for tag in tags if tag.startswith(f"{name}-")]
            assert mine == [f"{name}-{n}" for n in range(EACH)]

    with ExitStack() as stack:
        asyncio.run(_create(url))
        processes = [stack.enter_context(running(append_some, url, name, EACH)) for name in names]
        for process in processes:
            assert hear(process) == "ready"
        run(main)


async def _create(url: str) -> None:
    async with open_stores(url):
        pass


@ways
def test_another_process_follows(
    request: pytest.FixtureRequest, way: str, postgres_schema: str
) -> None:
    """The process receives each event and the end of a run, by a connection that only reads."""
    url = url_of(request, way, postgres_schema)

    async def main() -> None:
        async with open_stores(url) as stores:
            await stores.runs.create_run(new_run())
            with running(follow, url) as process:
                assert await asyncio.to_thread(hear, process) == "running"
                for n in range(5):
                    await stores.events.append(tagged_event(f"{n}"))
                    assert await asyncio.to_thread(hear, process) == f"{n + 1} {n}"
                await stores.runs.cas_run_status(RUN, expected="running", next="completed")
                assert await asyncio.to_thread(hear, process) == "completed"
                assert await asyncio.to_thread(hear, process) == "ended"

    run(main)


@ways
def test_events_arrive_soon(request: pytest.FixtureRequest, way: str, postgres_schema: str) -> None:
    """Each arrives sooner than the net would find it, which reads once a second."""
    url = url_of(request, way, postgres_schema)

    async def main() -> None:
        async with open_stores(url) as stores, aclosing(stores.events.subscribe()) as events:
            with running(append_on_request, url) as process:
                assert await asyncio.to_thread(hear, process) == "ready"
                start = time.monotonic()
                for n in range(30):
                    cursor = await append(process, f"{n}")
                    assert (await anext(events)).cursor == cursor
                assert time.monotonic() - start < 10

    run(main)


@ways
def test_a_commit_without_a_notification_is_found(
    request: pytest.FixtureRequest, way: str, postgres_schema: str
) -> None:
    """Also that of a process that has come, written and left between two questions."""
    url = url_of(request, way, postgres_schema)

    async def main() -> None:
        async with open_stores(url) as stores, aclosing(stores.events.subscribe()) as events:
            with running(append_without_notice, url) as process:
                assert await asyncio.to_thread(hear, process) == "ready"
                for n in range(3):
                    tell(process, f"{n}")
                    assert await asyncio.to_thread(hear, process) == "appended"
                    assert tag_of((await anext(events)).kind) == f"{n}"

    run(main)


@ways
def test_own_commits_notify_the_listeners_that_they_concern(
    request: pytest.FixtureRequest, way: str, postgres_schema: str
) -> None:
    """Neither notifications nor polling tell of them again."""
    url = url_of(request, way, postgres_schema)

    async def main() -> None:
        async with open_stores(url) as stores:
            idle, mob = Ear(), Ear()
            stores.engine.listen(idle, Scan(EVENTS_BY_MOB, ("idle",)))
            stores.engine.listen(mob, Scan(EVENTS_BY_MOB, ("mob",)))
            for n in range(10):
                await stores.events.append(tagged_event(f"{n}"))
                assert mob.woken == n + 1
            await asyncio.sleep(1.2)  # longer than the net
            assert (mob.woken, idle.woken) == (10, 0)

    run(main)


@pytest.mark.parametrize(
    ("way", "loss"),
    # After a restart, PgBouncer rejects clients for 15 seconds: its `server_login_retry`.
    [("postgres", "cut off"), ("postgres", "restart"), ("postgres_pooler", "cut off")],
)
def test_a_lost_connection_misses_nothing(
    request: pytest.FixtureRequest, way: str, loss: str, postgres: Server, postgres_schema: str
) -> None:
    """Events are appended at once, before there is another connection that listens."""
    url = url_of(request, way, postgres_schema)

    async def main() -> None:
        async with open_stores(url) as stores, aclosing(stores.events.subscribe()) as events:
            with running(append_on_request, url) as process:
                assert await asyncio.to_thread(hear, process) == "ready"
                for n in range(3):
                    waiting = asyncio.ensure_future(anext(events))
                    await asyncio.sleep(0.1)
                    if loss == "restart":
                        await asyncio.to_thread(postgres.restart, "immediate")
                    else:
                        assert postgres.terminate_backends() > 0
                    cursor = await append(process, f"{n}")
                    assert (await waiting).cursor == cursor

    run(main)


def test_only_subscribers_need_a_connection(postgres: Server, postgres_url: str) -> None:
    async def main() -> None:
        async with open_stores(postgres_url) as stores:
            await stores.events.append(tagged_event("first"))
            await stores.events.replay_all()
            assert connections(postgres) == 2, "one writes, one reads"
            for _ in range(2):  # and it can start again
                async with (
                    aclosing(stores.events.subscribe()) as events,
                    aclosing(stores.events.subscribe()) as others,
                    aclosing(stores.runs.watch(RUN)) as watch,
                ):
                    await anext(events)
                    await anext(others)
                    with pytest.raises(NotFoundError):
                        await anext(watch)
                    await until(lambda: connections(postgres) == 3)
                await until(lambda: connections(postgres) == 2)
        assert connections(postgres) == 0

    run(main)


def test_closing_ends_subscriptions(postgres: Server, postgres_url: str) -> None:
    async def main() -> None:
        stores = await open_stores(postgres_url)
        waiting = [asyncio.create_task(take(stores.events.subscribe(), 1)) for _ in range(3)]
        await until(lambda: connections(postgres) >= 2)
        await stores.close()
        done, _ = await asyncio.wait(waiting, timeout=5)
        assert [type(task.exception()) for task in done] == [ClosedError] * 3
        await until(lambda: connections(postgres) == 0)

    run(main)


def test_a_removed_store_ends_subscriptions(postgres: Server, postgres_url: str) -> None:
    """A listener is notified of it once, not at every attempt to connect."""
    schema = postgres_url.partition("schema=")[2]

    async def main() -> None:
        async with open_stores(postgres_url) as stores:
            waiting = asyncio.ensure_future(anext(stores.events.subscribe()))
            await until(lambda: connections(postgres) == 2)
            await asyncio.sleep(0.1)
            ear = Ear()
            end = stores.engine.listen(ear)
            await asyncio.to_thread(postgres.drop_schema, schema)
            with pytest.raises(MobStoreError, match="was removed"):
                await waiting
            await asyncio.sleep(1.2)
            assert ear.woken == 1
            end()

    run(main)


# Event loops -----------------------------------------------------------------------------------


def test_subscribers_in_two_event_loops(postgres_url: str) -> None:
    """Both receive commits of either loop of this process, and of another process."""
    taken: list[MobEvent] = []
    ready = threading.Event()

    async def main() -> None:
        async with open_stores(postgres_url) as stores:

            async def follow_here() -> None:
                async with aclosing(stores.events.subscribe()) as events:
                    await stores.events.append(tagged_event("there"))
                    async for one in events:
                        taken.append(one)
                        ready.set()
                        if len(taken) == 4:
                            return

            thread = threading.Thread(target=asyncio.run, args=[follow_here()])
            async with aclosing(stores.events.subscribe()) as events:
                waiting = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0.05)
                thread.start()
                seen = [await waiting]
                assert tag_of(seen[0].kind) == "there"
                await asyncio.to_thread(ready.wait)
                await stores.events.append(tagged_event("here"))
                with running(append_on_request, postgres_url) as process:
                    assert await asyncio.to_thread(hear, process) == "ready"
                    for n in range(2):
                        await append(process, f"process {n}")
                        await asyncio.sleep(0.05)
                seen += [await anext(events) for _ in range(3)]
            await asyncio.to_thread(thread.join)
            assert [one.cursor for one in seen] == [1, 2, 3, 4]
            assert taken == seen

    run(main)


def test_a_commit_under_way_when_its_event_loop_ends(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subscribers in another event loop receive it; no later commit notifies them."""
    committing = vars(Writer)["_committing"]

    def end_all_tasks(writer: Writer) -> None:  # as `asyncio.run` does at its end
        committing(writer)
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)

    async def main() -> None:
        async with open_stores(postgres_url) as stores:

            async def append_at_the_end() -> None:
                await stores.realm_profiles.create("p", Profile(model="m"))
                monkeypatch.setattr(Writer, "_committing", end_all_tasks)
                with pytest.raises(asyncio.CancelledError):
                    await stores.events.append(tagged_event("last"))

            async with aclosing(stores.events.subscribe()) as events:
                waiting = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0.05)
                await asyncio.to_thread(asyncio.run, append_at_the_end())
                async with asyncio.timeout(5):
                    assert tag_of((await waiting).kind) == "last"

    run(main)


@pytest.mark.parametrize("end", ["cancelled", "closed"])
def test_a_subscriber_outlives_the_event_loop_of_another(
    postgres: Server, postgres_url: str, end: str
) -> None:
    """Neither the loop of the opening nor that of the first subscriber is needed later."""

    async def begin() -> MobStores:
        stores = await open_stores(postgres_url)
        stores.engine.listen(Ear())  # it never leaves
        # The first connection has asked once, when the store was opened.
        asked = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT concat_ws%'"
        await until(lambda: len(postgres.execute(asked)) == 2)
        return stores

    async def go_on(stores: MobStores) -> None:
        async with aclosing(stores.events.subscribe()) as events:
            with running(append_on_request, postgres_url) as process:
                assert await asyncio.to_thread(hear, process) == "ready"
                for n in range(3):
                    cursor = await append(process, f"{n}")
                    assert (await anext(events)).cursor == cursor
                # One listens, one reads; the process has one that reads and one that writes.
                await until(lambda: connections(postgres) == 4)
        await stores.close()

    loop = asyncio.new_event_loop()
    stores = loop.run_until_complete(begin())
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        if end == "cancelled":
            task.cancel()
        else:  # as pytest or a notebook may do
            task._log_destroy_pending = False  # type: ignore[attr-defined]
    if end == "cancelled":
        loop.run_until_complete(asyncio.wait(tasks))
    loop.close()
    run(lambda: go_on(stores))


# Listeners that raise --------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[[], None]:
    def wake() -> None:
        raise error

    return wake


@pytest.mark.parametrize(
    "error",
    [ValueError("mine"), asyncio.CancelledError(), SystemExit(3), KeyboardInterrupt()],
    ids=repr,
)
def test_a_listener_that_raises_affects_no_other(postgres_url: str, error: BaseException) -> None:
    async def main() -> None:
        async with open_stores(postgres_url) as stores, open_stores(postgres_url) as others:
            before, after = Ear(), Ear()
            stores.engine.listen(before)
            stores.engine.listen(raising(error))
            stores.engine.listen(after)
            cursors = await asyncio.gather(
                *(stores.events.append(tagged_event(f"{n}")) for n in range(20))
            )
            assert [one.cursor for one in cursors] == list(range(1, 21))
            assert before.woken
            assert before.woken == after.woken
            for _ in range(3):
                woken = after.woken
                await others.events.append(tagged_event("by another"))
                await until(lambda: after.woken > woken)  # noqa: B023 - it ends in this turn

    run(main)


def test_a_commit_of_an_unknown_outcome_is_found(
    postgres: Server, postgres_proxy: Proxy, postgres_schema: str, postgres_role: Role
) -> None:
    """Its writer cannot connect again, but the connection that listens has not been lost."""
    name, password = postgres_role
    url = postgres_proxy.url(schema=postgres_schema, user=name, password=password)

    async def main() -> None:
        async with open_stores(url, timeout=1) as stores:
            assert (await stores.events.append(tagged_event("first"))).cursor == 1
            async with aclosing(stores.events.subscribe()) as events:
                await anext(events)
                waiting = asyncio.ensure_future(anext(events))
                await until(lambda: connections(postgres) == 3)
                await asyncio.sleep(0.1)
                postgres_proxy.arm("committed")
                postgres.execute(f"ALTER ROLE {name} CONNECTION LIMIT 0")
                with pytest.raises(WriteFailedError) as caught:
                    await stores.events.append(tagged_event("second"))
                assert caught.value.maybe_written
                assert (await waiting).cursor == 2
                postgres.execute(f"ALTER ROLE {name} CONNECTION LIMIT -1")

    run(main)


# A standby -------------------------------------------------------------------------------------


def test_a_standby_is_followed_by_polling(postgres_pair: Pair) -> None:
    """A standby cannot listen; after it was promoted, its subscribers go on."""
    primary, standby = postgres_pair.primary, postgres_pair.standby

    async def main() -> None:
        await _create(primary.url(schema="mobs"))
        postgres_pair.wait_until_replayed()
        async with (
            open_stores(primary.url(schema="mobs")) as stores,
            open_stores(standby.url(schema="mobs"), read_only=True) as copy,
            aclosing(copy.events.subscribe()) as events,
        ):
            assert copy.engine.details()["PostgreSQL"].endswith("a standby")
            assert await copy.identity() == await stores.identity()
            start = time.monotonic()
            for n in range(10):
                appended = await stores.events.append(tagged_event(f"{n}"))
                assert await anext(events) == appended
            assert time.monotonic() - start < 5, "once a second"
            postgres_pair.kill_primary()
            postgres_pair.promote()
            waiting = asyncio.ensure_future(anext(events))
            async with open_stores(standby.url(schema="mobs")) as promoted:
                appended = await promoted.events.append(tagged_event("promoted"))
            assert await waiting == appended

    run(main)
