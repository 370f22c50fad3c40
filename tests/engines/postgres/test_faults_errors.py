"""No exception of the driver escapes, and none shows a password or what is stored."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator

import pytest

from engines.support import RUN, every_call, new_run
from mobstore import MobStoreError, MobStores
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import make_run, run_id, step, tagged_event
from support.postgres.proxy import Proxy
from support.postgres.server import Server

PASSWORD = "s3cr3t-p@ss"  # noqa: S105
SECRET = "stored-secret"  # noqa: S105


@pytest.fixture
def role(postgres: Server, postgres_schema: str) -> Iterator[str]:
    name = f"{postgres_schema}_role"
    postgres.create_role(name, PASSWORD)
    postgres.execute(f"GRANT CREATE ON DATABASE postgres TO {name}")
    yield name
    postgres.start()
    postgres.terminate_backends()
    postgres.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def chain(error: BaseException) -> list[BaseException]:
    """Return an error with all its causes and contexts."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


def check_error(error: BaseException) -> None:
    """Check the kind of an error, and the texts of its causes and of its traceback."""
    assert isinstance(error, MobStoreError), repr(error)
    for one in chain(error):
        for text in (str(one), repr(one), repr(one.args)):
            assert PASSWORD not in text
            assert SECRET not in text
            assert len(text) < 3000
    shown = "".join(traceback.format_exception(error))
    assert PASSWORD not in shown
    assert SECRET not in shown


def stop(server: Server, _: str, __: str) -> None:
    server.stop()


def kill(server: Server, _: str, __: str) -> None:
    server.kill()


def drop(server: Server, schema: str, _: str) -> None:
    server.drop_schema(schema)


def revoke(server: Server, schema: str, role: str) -> None:
    server.execute(
        f"REVOKE ALL ON SCHEMA {schema} FROM {role}; ALTER SCHEMA {schema} OWNER TO postgres"
    )


def revoke_tables(server: Server, schema: str, _: str) -> None:
    for (table,) in server.execute(
        f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"
    ):
        server.execute(f"ALTER TABLE {schema}.{table} OWNER TO postgres")


def change_password(server: Server, _: str, role: str) -> None:
    server.execute(f"ALTER ROLE {role} PASSWORD 'another'")
    server.terminate_backends()


def forbid_login(server: Server, _: str, role: str) -> None:
    server.execute(f"ALTER ROLE {role} NOLOGIN")
    server.terminate_backends()


def reject_values(server: Server, schema: str, _: str) -> None:
    """Let the server quote what is stored in its messages."""
    server.execute(
        f"CREATE FUNCTION {schema}.reject() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'no' USING DETAIL = NEW; END$$"
    )
    for (table,) in server.execute(
        f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"
    ):
        server.execute(
            f"CREATE TRIGGER reject BEFORE INSERT OR UPDATE ON {schema}.{table}"
            f" FOR EACH ROW EXECUTE FUNCTION {schema}.reject()"
        )


FAULTS: list[Callable[[Server, str, str], None]] = [
    stop,
    kill,
    drop,
    revoke,
    revoke_tables,
    change_password,
    forbid_login,
    reject_values,
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_call_fails_in_words(
    postgres: Server,
    postgres_schema: str,
    role: str,
    fault: Callable[[Server, str, str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = postgres.url(schema=postgres_schema, user=role, password=PASSWORD)
    errors: list[BaseException] = []

    async def note(call: Awaitable[object]) -> None:
        try:
            await call
        except Exception as error:  # noqa: BLE001 - which ones come is what is tested
            errors.append(error)

    async def main() -> None:
        stores = await PostgresMobStores.open(url, timeout=1)
        await stores.runs.create_run(new_run(RUN))
        await stores.runs.append_step_entry(RUN, step(SECRET, output=SECRET))
        await stores.events.append(tagged_event(SECRET, SECRET))
        await asyncio.to_thread(fault, postgres, postgres_schema, role)
        waiting = {"subscribe", "watch", "follow"}
        calls = [call for call in every_call(stores) if call.method not in waiting]
        await asyncio.gather(
            *(note(call.make()) for call in calls),
            note(stores.atomic(lambda at: at.events.append(tagged_event(SECRET)))),
            note(stores.identity()),
            note(stores.overview()),
            note(stores.compact()),
            note(stores.runs.create_run(make_run(5, mob=SECRET))),
        )
        await note(_open(url))
        await stores.close()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    assert len(errors) > 5
    for error in errors:
        check_error(error)
    assert PASSWORD not in caplog.text
    assert SECRET not in caplog.text
    errors.clear()
    gc.collect()


async def _open(url: str) -> None:
    await (await PostgresMobStores.open(url, timeout=1)).close()


async def read_events(stores: MobStores) -> object:
    return await stores.events.replay_all()


async def append(stores: MobStores) -> object:
    return await stores.events.append(tagged_event("x"))


async def _set(server: Server, schema: str, statement: str) -> None:
    await asyncio.to_thread(server.execute, statement.format(schema))


@pytest.mark.parametrize(
    ("statement", "call"),
    [
        ("UPDATE {}.events SET kind = '" + SECRET + "'", read_events),
        ("UPDATE {}.counters SET value = -5", append),
    ],
)
def test_foreign_values_are_reported_without_their_content(
    postgres: Server,
    postgres_schema: str,
    statement: str,
    call: Callable[[MobStores], Awaitable[object]],
) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres.url(schema=postgres_schema)) as stores:
            await stores.runs.create_run(new_run(run_id(1), step_ledger=(step("s"),)))
            await stores.events.append(tagged_event("e"))
            await _set(postgres, postgres_schema, statement)
            with pytest.raises(MobStoreError) as caught:
                await call(stores)
            check_error(caught.value)

    asyncio.run(main())


def test_a_key_in_use_names_it_like_other_engines(postgres: Server, postgres_schema: str) -> None:
    """Counters that are behind the rows fail their own calls; others of the batch succeed."""

    async def main() -> None:
        async with PostgresMobStores.open(postgres.url(schema=postgres_schema)) as stores:
            await stores.events.append_batch([tagged_event(f"{n}") for n in range(3)])
            await _set(postgres, postgres_schema, "UPDATE {}.counters SET value = 2")
            results = await asyncio.gather(
                stores.events.append(tagged_event("x")),
                stores.runs.create_run(make_run(1)),
                stores.specs.get_spec("none"),
                return_exceptions=True,
            )
            assert isinstance(results[0], MobStoreError)
            assert "table events already has a row with the key 2" in str(results[0])
            assert results[1] is results[2] is None
            assert len(await stores.events.replay_all()) == 3

    asyncio.run(main())


async def start(url: str) -> MobStores:
    return await PostgresMobStores.open(url, timeout=1)


@pytest.mark.slow
def test_opening_while_connections_are_cut(
    postgres_proxy: Proxy, postgres_schema: str, role: str
) -> None:
    """Opening fails in words, or succeeds, wherever the connection is cut."""
    url = postgres_proxy.url(schema=postgres_schema, user=role, password=PASSWORD)

    async def main() -> None:
        opened = pause = 0
        while pause < 60 or not opened:  # on a busy machine, it takes longer than the 60th pause
            opening = asyncio.create_task(start(url))
            await asyncio.sleep(pause**2 / 10_000)  # 0.35 s after 60
            pause += 1
            postgres_proxy.cut()
            try:
                stores = await opening
            except MobStoreError as error:
                check_error(error)
            else:
                opened += 1
                await stores.close()

    asyncio.run(main())
    gc.collect()
