"""A store that is removed, replaced or altered while it is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mobstore import MobStoreError, MobStores, ReadFailedError, Stores, WriteFailedError
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import make_run, run_id, step, tag_of, tagged_event
from support.postgres.server import Server

READS: dict[str, Callable[[MobStores], Awaitable[object]]] = {
    "one row": lambda stores: stores.runs.get_run_header(run_id(1)),
    "several reads": lambda stores: stores.runs.get_run(run_id(1)),
    "rows in order": lambda stores: stores.events.poll(0, 10),
    "a missing row": lambda stores: stores.specs.get_spec("none"),
    "counts": lambda stores: stores.overview(),
}
WRITES: dict[str, Callable[[MobStores], Awaitable[object]]] = {
    "append": lambda stores: stores.events.append(tagged_event("late")),
    "change": lambda stores: stores.runs.append_step_entry(run_id(1), step("late")),
    "clear": lambda stores: stores.events.clear(),
}


async def fill(stores: MobStores, tag: str) -> None:
    await stores.events.append(tagged_event(tag))
    await stores.runs.create_run(make_run(1, mob=tag))


async def use(stores: MobStores) -> None:
    """Make connections, and prepare statements often enough for the server to plan them once."""
    for _ in range(7):
        for call in READS.values():
            await call(stores)
    await asyncio.gather(*(stores.events.latest_cursor() for _ in range(40)))


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_a_removed_store(
    postgres: Server, postgres_schema: str, again: bool, isolation: str
) -> None:
    """Every call raises, even if there is a new store of the same name, which stays as it is."""
    url = postgres.url(schema=postgres_schema)

    async def main() -> None:
        stores = await PostgresMobStores.open(url, isolation=isolation)  # type: ignore[arg-type]
        await fill(stores, "old")
        await use(stores)
        await asyncio.to_thread(postgres.drop_schema, postgres_schema)
        if again:
            async with PostgresMobStores.open(url) as new:
                await fill(new, "new")
        for _ in range(2):
            for name, read in READS.items():
                with pytest.raises(ReadFailedError, match=r"was removed.*open it again"):
                    print(name, await read(stores))
            for name, write in WRITES.items():
                with pytest.raises(WriteFailedError, match=r"was removed.*open it again") as caught:
                    print(name, await write(stores))
                assert not caught.value.maybe_written
        await stores.close()
        if again:
            async with PostgresMobStores.open(url) as new:
                assert [tag_of(one.kind) for one in await new.events.replay_all()] == ["new"]
                run = await new.runs.get_run(run_id(1))
                assert run is not None
                assert run.step_ledger == ()
                writers = postgres.execute(
                    f"SELECT count(*) FROM {postgres_schema}.writers WHERE writer > ''"
                )
                assert writers == [(0,)]

    asyncio.run(main())


@pytest.mark.slow
def test_a_store_that_is_replaced_under_load(postgres: Server, postgres_schema: str) -> None:
    """Not one of many calls by one task reaches the new store."""
    url = postgres.url(schema=postgres_schema)

    async def main() -> None:
        stores = await PostgresMobStores.open(url)
        stop = asyncio.Event()
        errors: list[MobStoreError] = []

        async def write(n: int) -> None:
            while not stop.is_set():
                try:
                    await stores.events.append(tagged_event(f"old {n}"))
                except MobStoreError as error:
                    errors.append(error)

        async def read() -> None:
            while not stop.is_set():
                try:
                    found = await stores.events.poll(0, 5)
                except MobStoreError as error:
                    errors.append(error)
                else:
                    assert all(tag_of(one.kind).startswith("old") for one in found)
                    assert not replaced

        replaced = False
        async with asyncio.TaskGroup() as tasks:
            for n in range(4):
                tasks.create_task(write(n))
                tasks.create_task(read())
            await asyncio.sleep(0.1)
            for _ in range(5):
                await asyncio.to_thread(postgres.drop_schema, postgres_schema)
                async with PostgresMobStores.open(url) as new:
                    await new.events.append(tagged_event("new"))
                    replaced = True
                    await asyncio.sleep(0.1)
                    assert len(await new.events.replay_all()) == 1
            stop.set()
        assert {type(error) for error in errors} == {ReadFailedError, WriteFailedError}
        assert all("was removed" in str(error) for error in errors)
        await stores.close()

    asyncio.run(main())


ALTERATIONS = {
    "DROP TABLE {}.specs": "was removed, or its tables were changed",
    "ALTER TABLE {}.events DROP COLUMN mob_id": "was removed, or its tables were changed",
    "ALTER TABLE {}.events RENAME TO other": "was removed, or its tables were changed",
    "ALTER TABLE {}.events ADD n int, ADD CHECK (n IS NOT NULL) NOT VALID": "check constraint",
    "ALTER TABLE {}.events ADD CHECK (mob_id <> 'mob') NOT VALID": "check constraint",
    "REVOKE INSERT ON {}.events FROM {}": "the role lacks a right",
    "REVOKE UPDATE ON {}.counters FROM {}": "the role lacks a right",
    "REVOKE ALL ON {}.writers FROM {}": "the role lacks a right",
    "REVOKE USAGE ON SCHEMA {} FROM {}": "the role lacks a right",
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_store(postgres: Server, postgres_schema: str, alteration: str) -> None:
    """A call that this concerns fails with a known outcome, and others go on."""
    role = f"{postgres_schema}_role"
    postgres.execute(f"CREATE ROLE {role} LOGIN")

    async def main() -> None:
        async with PostgresMobStores.open(postgres.url(schema=postgres_schema)) as stores:
            await fill(stores, "before")
        postgres.execute(
            f"GRANT USAGE ON SCHEMA {postgres_schema} TO {role};"
            f"GRANT ALL ON ALL TABLES IN SCHEMA {postgres_schema} TO {role}"
        )
        url = postgres.url(schema=postgres_schema, user=role)
        async with PostgresMobStores.open(url, create=False) as stores:
            await stores.events.append(tagged_event("second"))
            await use(stores)
            postgres.execute(alteration.format(postgres_schema, role))
            with pytest.raises(MobStoreError, match=ALTERATIONS[alteration]) as caught:
                await stores.atomic(both)
            assert isinstance(caught.value, WriteFailedError)
            assert not caught.value.maybe_written
            if "ON SCHEMA" not in alteration:
                assert await stores.runs.get_run_header(run_id(1)) is not None
        count = postgres.execute(f"SELECT value FROM {postgres_schema}.counters ORDER BY name")
        assert count[0] == (3,), "part of a failed call was written"

    async def both(at: Stores) -> None:
        await at.specs.get_spec("none")
        await at.events.append(tagged_event("third"))

    try:
        asyncio.run(main())
    finally:
        postgres.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_column_of_another_type(postgres: Server, postgres_schema: str) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres.url(schema=postgres_schema)) as stores:
            assert await stores.specs.get_spec("none") is None  # prepares the statement
            postgres.execute(f"ALTER TABLE {postgres_schema}.specs ALTER mob_id TYPE varchar")
            with pytest.raises(ReadFailedError, match=r"its tables were changed.*open it again"):
                await stores.specs.get_spec("none")
        with pytest.raises(ReadFailedError, match="column mob_id of table specs is not one"):
            await PostgresMobStores.open(postgres.url(schema=postgres_schema))

    asyncio.run(main())
