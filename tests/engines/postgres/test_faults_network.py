"""Connections that are cut or stalled, in the middle of a commit too: the outcome is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

import pytest

from engines.postgres.journal import Journal
from mobstore import MobStores, ReadFailedError, WriteFailedError
from mobstore.engines.postgres.connections import Server as Connections
from mobstore.engines.postgres.wire import Result, Statement, Wire
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import make_run, run_id, tag_of, tagged_event
from support.postgres.endpoint import HOST, make_url
from support.postgres.proxy import DIRECTIONS, Direction, Moment, Proxy
from support.postgres.server import Server

SILENCE = 0.8  # seconds; with less, a busy machine seems lost


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer counts as lost after 0.4 s, instead of 12 s or more."""
    monkeypatch.setattr(Connections, "silence", property(lambda _: SILENCE))


async def tags(stores: MobStores) -> list[str]:
    return [tag_of(one.kind) for one in await stores.events.replay_all()]


@pytest.mark.parametrize("moment", ["commit", "committed"])
def test_a_cut_at_a_commit_is_not_noticed(
    postgres_proxy: Proxy, postgres_schema: str, moment: Moment
) -> None:
    """A batch that was committed is not written again, and any other is."""

    async def main() -> None:
        async with PostgresMobStores.open(postgres_proxy.url(schema=postgres_schema)) as stores:
            await stores.events.append(tagged_event("0"))
            for n in range(1, 6):
                fault = postgres_proxy.arm(moment)
                assert (await stores.events.append(tagged_event(f"{n}"))).cursor == n + 1
                assert fault.happened.is_set()
            assert await tags(stores) == [str(n) for n in range(6)]

    asyncio.run(main())


@pytest.mark.slow
def test_cuts_under_load(postgres_proxy: Proxy, postgres_schema: str) -> None:
    async def main() -> None:
        journal = Journal()
        url = postgres_proxy.url(schema=postgres_schema)
        async with PostgresMobStores.open(url, timeout=20) as stores:
            async with journal.load(stores):
                for _ in range(12):
                    for moment in ("commit", "committed"):
                        fault = postgres_proxy.arm(moment)
                        await asyncio.to_thread(fault.wait)
                    await journal.until(20)
                    postgres_proxy.cut()
                await journal.until(20)
            assert journal.errors == []
            await journal.check(stores)

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("directions", [(one,) for one in DIRECTIONS] + [DIRECTIONS])
def test_a_silent_server_counts_as_lost(
    postgres_proxy: Proxy, postgres_schema: str, directions: tuple[Direction, ...]
) -> None:
    """Reads, writes of one aggregate and writes of the whole store go on without a duplicate."""

    async def main() -> None:
        journal = Journal()
        url = postgres_proxy.url(schema=postgres_schema, connect_timeout=2)
        async with PostgresMobStores.open(url, timeout=20) as stores:
            async with journal.load(stores):
                await journal.until(50)
                postgres_proxy.stall(*directions)
                others = asyncio.gather(stores.events.latest_cursor(), stores.specs.list_specs())
                await asyncio.sleep(3 * SILENCE)
                before = journal.acknowledged
                assert not others.done()
                postgres_proxy.resume()
                await journal.until(50)
                await others
                assert journal.acknowledged > before
            assert journal.errors == []
            await journal.check(stores)

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_server_that_stays_silent(postgres_proxy: Proxy, postgres_schema: str) -> None:
    """Calls fail after `timeout`, also those that lock the whole store and may take long."""

    async def main() -> None:
        url = postgres_proxy.url(schema=postgres_schema, connect_timeout=2)
        async with PostgresMobStores.open(url, timeout=1) as stores:
            await stores.events.append(tagged_event("before"))
            for write in (
                stores.events.clear,
                stores.runs.list_runs,
                lambda: stores.events.append(tagged_event("late")),
                stores.events.latest_cursor,
            ):
                postgres_proxy.stall()
                begun = monotonic()
                with pytest.raises((WriteFailedError, ReadFailedError)):
                    await asyncio.wait_for(write(), 30)
                assert monotonic() - begun < 15
                postgres_proxy.resume()
                postgres_proxy.cut()
                await stores.events.append(tagged_event("after"))

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_change_of_the_whole_store_may_take_long(postgres: Server, postgres_schema: str) -> None:
    """The server works on one statement for longer than it may be silent otherwise."""

    async def main() -> None:
        async with PostgresMobStores.open(postgres.url(schema=postgres_schema)) as stores:
            await stores.events.append(tagged_event("one"))
            postgres.execute(
                f"CREATE SEQUENCE {postgres_schema}.tries;"
                f"CREATE FUNCTION {postgres_schema}.wait() RETURNS trigger LANGUAGE plpgsql AS"
                f" 'BEGIN PERFORM nextval(''{postgres_schema}.tries'');"
                f" PERFORM pg_sleep({4 * SILENCE}); RETURN OLD; END';"
                f"CREATE TRIGGER wait BEFORE DELETE ON {postgres_schema}.events"
                f" FOR EACH ROW EXECUTE FUNCTION {postgres_schema}.wait()"
            )
            begun = monotonic()
            await stores.events.clear()
            assert monotonic() - begun > 4 * SILENCE
            assert postgres.execute(f"SELECT last_value FROM {postgres_schema}.tries") == [(1,)]
            assert await tags(stores) == []

    asyncio.run(main())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("moment", ["commit", "committed"])
def test_a_commit_without_an_answer_is_settled(
    postgres_proxy: Proxy, postgres_schema: str, moment: Moment
) -> None:
    """Only the connection that commits is stalled: the server does not notice that it was left."""

    async def main() -> None:
        async with PostgresMobStores.open(postgres_proxy.url(schema=postgres_schema)) as stores:
            await stores.events.append(tagged_event("before"))
            fault = postgres_proxy.arm(moment, "stall")
            appending = asyncio.create_task(stores.events.append(tagged_event("stalled")))
            await asyncio.to_thread(fault.wait)
            await asyncio.sleep(SILENCE + 0.2)
            postgres_proxy.resume()  # a COMMIT that was held back comes now, too late
            assert (await appending).cursor == 2
            await stores.events.append(tagged_event("after"))
            assert await tags(stores) == ["before", "stalled", "after"]

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_commit_that_arrives_after_its_outcome_was_settled(
    postgres: Server,
    postgres_proxy: Proxy,
    postgres_schema: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is fenced off, and does nothing, while the same batch runs again."""
    exchange, delayed = Wire.exchange, asyncio.Event()

    async def delay_commit(
        wire: Wire, statements: Sequence[Statement], patience: float, then: Statement | None = None
    ) -> list[Result]:
        if then is not None and postgres_proxy.accepting:
            postgres_proxy.stall("to_server")
            postgres_proxy.accepting = False
            delayed.set()
        return await exchange(wire, statements, patience, then)

    async def main() -> None:
        hosts = f"{HOST}:{postgres_proxy.port},{HOST}:{postgres.port}"
        url = make_url(hosts, "postgres", postgres_schema, "postgres", None, {})
        async with PostgresMobStores.open(url) as stores:
            await stores.events.append(tagged_event("before"))
            monkeypatch.setattr(Wire, "exchange", delay_commit)
            appending = asyncio.create_task(stores.events.append(tagged_event("late")))
            await delayed.wait()
            async with asyncio.timeout(2.5):  # then the server ends the transaction by itself
                while postgres.execute(f"SELECT max(epoch) FROM {table}") == [(1,)]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert not appending.done()
            postgres_proxy.resume()
            assert (await appending).cursor == 2
            assert await tags(stores) == ["before", "late"]

    table = f"{postgres_schema}.writers"
    asyncio.run(main())


@pytest.mark.slow
def test_errors_that_rest_on_an_unknown_outcome_are_not_reported(
    postgres_proxy: Proxy, postgres_schema: str
) -> None:
    """Of two calls in one batch, the second fails because of the first, which then is in doubt."""

    async def main() -> None:
        async with PostgresMobStores.open(
            postgres_proxy.url(schema=postgres_schema), timeout=1
        ) as stores:
            await stores.events.append(tagged_event("before"))
            postgres_proxy.arm("commit")
            postgres_proxy.accepting = False
            results = await asyncio.gather(
                stores.runs.create_run(make_run(1)),
                stores.runs.create_run(make_run(1)),
                return_exceptions=True,
            )
            for result in results:
                assert isinstance(result, WriteFailedError), repr(result)
                assert result.maybe_written
            postgres_proxy.accepting = True
            assert await stores.runs.get_run(run_id(1)) is None

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["commit", "committed"])
def test_a_server_away_for_longer_leaves_an_unknown_outcome(
    postgres_proxy: Proxy, postgres_schema: str, moment: Moment
) -> None:
    async def main() -> None:
        url = postgres_proxy.url(schema=postgres_schema)
        async with PostgresMobStores.open(url, timeout=1) as stores:
            await stores.events.append(tagged_event("before"))
            postgres_proxy.arm(moment)
            postgres_proxy.accepting = False
            begun = monotonic()
            with pytest.raises(WriteFailedError) as caught:
                await stores.events.append(tagged_event("unknown"))
            assert 1 < monotonic() - begun < 10
            assert caught.value.maybe_written
            assert not caught.value.retry_safe
            text = str(caught.value)
            assert "the connection was lost during a commit" in text
            assert "within 1 seconds" in text
            assert "read before you write again" in text
            # Nothing is in doubt any more, and what follows has a known outcome.
            with pytest.raises(WriteFailedError, match="the connection to the server") as known:
                await stores.events.append(tagged_event("never"))
            assert not known.value.maybe_written
            assert known.value.retry_safe
            postgres_proxy.cut()  # the readers' connections, too
            with pytest.raises(ReadFailedError, match="the connection to the server"):
                await stores.events.latest_cursor()
            postgres_proxy.accepting = True
            happened = ["unknown"] if moment == "committed" else []
            assert await tags(stores) == ["before", *happened]
            await stores.events.append(tagged_event("after"))
            assert await tags(stores) == ["before", *happened, "after"]

    asyncio.run(main())


def lose_the_right(server: Server, schema: str, role: str) -> None:
    server.execute(f"REVOKE USAGE ON SCHEMA {schema} FROM {role}")


def lose_the_login(server: Server, _: str, role: str) -> None:
    server.execute(f"ALTER ROLE {role} NOLOGIN")


def lose_patience(server: Server, _: str, role: str) -> None:
    """Cancel every statement that takes longer than 1 ms, as every claim does."""
    server.execute(f"ALTER ROLE {role} SET statement_timeout = '1ms'")


def lose_the_store(server: Server, schema: str, _: str) -> None:
    server.execute(f"ALTER SCHEMA {schema} RENAME TO {schema}_away")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["commit", "committed"])
@pytest.mark.parametrize("reason", [lose_the_right, lose_the_login, lose_patience, lose_the_store])
def test_an_outcome_that_cannot_be_settled_is_unknown(
    postgres: Server,
    postgres_proxy: Proxy,
    postgres_schema: str,
    moment: Moment,
    reason: Callable[[Server, str, str], None],
) -> None:
    """The server answers the new connection, but not the question what became of the commit."""
    role = f"{postgres_schema}_role"

    async def create() -> None:
        await (await PostgresMobStores.open(postgres.url(schema=postgres_schema))).close()
        postgres.execute(
            f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {postgres_schema} TO {role};"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {postgres_schema}"
            f" TO {role}"
        )
        postgres.execute(  # so that a claim takes some time
            f"CREATE FUNCTION {postgres_schema}.wait() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END';"
            f"CREATE TRIGGER wait AFTER UPDATE OF epoch ON {postgres_schema}.writers"
            f" FOR EACH ROW EXECUTE FUNCTION {postgres_schema}.wait()"
        )

    async def main() -> None:
        await create()
        url = postgres_proxy.url(schema=postgres_schema, user=role)
        async with PostgresMobStores.open(url, timeout=1) as stores:
            await stores.events.append(tagged_event("before"))
            fault = postgres_proxy.arm(moment, "stall")
            appending = asyncio.create_task(stores.events.append(tagged_event("unknown")))
            await asyncio.to_thread(fault.wait)
            await asyncio.to_thread(reason, postgres, postgres_schema, role)
            postgres_proxy.cut()
            postgres_proxy.resume()
            with pytest.raises(WriteFailedError) as caught:
                await appending
            assert caught.value.maybe_written, str(caught.value)
            assert not caught.value.retry_safe
            assert "read before you write again" in str(caught.value)
            recover()
            happened = ["unknown"] if moment == "committed" else []
            await stores.events.append(tagged_event("after"))
            assert await tags(stores) == ["before", *happened, "after"]

    def recover() -> None:
        if reason is lose_the_store:
            postgres.execute(f"ALTER SCHEMA {postgres_schema}_away RENAME TO {postgres_schema}")
        postgres.execute(f"ALTER ROLE {role} LOGIN; ALTER ROLE {role} RESET statement_timeout")
        postgres.execute(f"GRANT USAGE ON SCHEMA {postgres_schema} TO {role}")

    try:
        asyncio.run(main())
    finally:
        postgres.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
