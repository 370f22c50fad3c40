"""The content of a schema when a store is opened or created, and where no store can be."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack

import pytest

from engines.postgres.live_programs import open_each
from engines.support import hear, running, tell
from mobstore import (
    ReadFailedError,
    WriteFailedError,
    open_stores,
)
from mobstore.engines.postgres.layout import ServerFacts, check_server
from mobstore.scripts.tables import FORMAT
from mobstore.testing.samples import tagged_event
from support.postgres.server import Server, new_schema

ORDERED = '"C"'


async def create(url: str) -> None:
    async with open_stores(url) as stores:
        await stores.events.append(tagged_event("e"))


def rejection(url: str, *, read_only: bool = False) -> str:
    """Open a store that must be rejected, and return the message."""

    async def main() -> None:
        await open_stores(url, read_only=read_only)

    with pytest.raises(ReadFailedError) as caught:
        asyncio.run(main())
    return str(caught.value)


def relations(server: Server, schema: str, database: str = "postgres") -> list[str]:
    return [
        name
        for (name,) in server.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s ORDER BY 1",
            schema,
            database=database,
        )
    ]


# Other content ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "CREATE TABLE {schema}.other (n int)",
        "CREATE TABLE {schema}.nothing ()",
        "CREATE VIEW {schema}.one AS SELECT 1 AS n",
        "CREATE MATERIALIZED VIEW {schema}.one AS SELECT 1 AS n",
        "CREATE TABLE {schema}.events (n int) PARTITION BY RANGE (n)",
        "CREATE TABLE {schema}.mobstore (format text); INSERT INTO {schema}.mobstore VALUES ('a')",
        "CREATE TABLE {schema}.mobstore (version int)",
    ],
)
def test_a_schema_with_other_tables_is_left_alone(
    postgres: Server, postgres_schema: str, postgres_url: str, content: str
) -> None:
    postgres.execute(f"CREATE SCHEMA {postgres_schema}")
    for statement in content.format(schema=postgres_schema).split("; "):
        postgres.execute(statement)
    before = relations(postgres, postgres_schema)
    for read_only in (False, True):
        message = rejection(postgres_url, read_only=read_only)
        assert "holds tables that are not mobstore's; use another schema" in message
    assert relations(postgres, postgres_schema) == before


def test_the_schema_public(postgres: Server) -> None:
    """It can be a store as long as it is empty; other tables may come later."""
    database = new_schema()
    postgres.create_database(database, encoding="UTF8")
    url = postgres.url(database, "public")
    try:
        postgres.execute("CREATE TABLE other (n int)", database=database)
        assert "not mobstore's" in rejection(url)
        assert relations(postgres, "public", database) == ["other"]
        postgres.execute("DROP TABLE other", database=database)
        postgres.execute("CREATE FUNCTION f() RETURNS int RETURN 1", database=database)
        postgres.execute("CREATE SEQUENCE numbers", database=database)
        asyncio.run(create(url))
        postgres.execute("CREATE TABLE other (n int)", database=database)
        asyncio.run(create(url))
    finally:
        postgres.execute(f"DROP DATABASE {database} WITH (FORCE)")


def test_an_empty_schema_is_used(postgres: Server, postgres_schema: str, postgres_url: str) -> None:
    postgres.execute(f"CREATE SCHEMA {postgres_schema}")
    for read_only in (False, True):
        if read_only:
            assert "there is no store" in rejection(postgres_url, read_only=True)
        else:
            assert relations(postgres, postgres_schema) == []
    asyncio.run(create(postgres_url))


# Other layouts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DROP TABLE {schema}.specs", "table specs is missing"),
        ("DROP TABLE {schema}.writers", "table writers is missing"),
        ("ALTER TABLE {schema}.events DROP COLUMN type", "column type of table events"),
        (
            "ALTER TABLE {schema}.events ADD COLUMN more text NOT NULL DEFAULT ''",
            "column more of table events",
        ),
        ("ALTER TABLE {schema}.events SET UNLOGGED", "table events is unlogged"),
        (
            "CREATE RULE lose AS ON INSERT TO {schema}.events DO INSTEAD NOTHING",
            "table events has the rule lose",
        ),
        (
            "CREATE TRIGGER lose BEFORE INSERT ON {schema}.events FOR EACH ROW"
            " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "table events has the trigger lose before each row",
        ),
        ("ALTER TABLE {schema}.runs ALTER number TYPE integer", "column number of table runs"),
        ("ALTER TABLE {schema}.runs ALTER mob_id DROP NOT NULL", "column mob_id of table runs"),
        ("ALTER TABLE {schema}.runs ALTER mob_id TYPE varchar", "column mob_id of table runs"),
        (
            'ALTER TABLE {schema}.runs ALTER mob_id TYPE text COLLATE "C.utf8"',
            "column mob_id of table runs",
        ),
        ("ALTER TABLE {schema}.specs DROP CONSTRAINT specs_pkey", "index specs_pkey of table"),
        ("ALTER TABLE {schema}.writers DROP CONSTRAINT writers_pkey", "index writers_pkey"),
        ("DROP INDEX {schema}.events_by_mob", "index events_by_mob of table events"),
        (
            "DROP INDEX {schema}.runs_by_number;"
            "CREATE INDEX runs_by_number ON {schema}.runs (mob_id)",
            "index runs_by_number of table runs",
        ),
        (
            "ALTER TABLE {schema}.specs DROP CONSTRAINT specs_pkey;"
            "CREATE INDEX specs_pkey ON {schema}.specs (mob_id)",
            "index specs_pkey of table specs",
        ),
        ("DELETE FROM {schema}.mobstore", "its format is missing"),
        ("UPDATE {schema}.mobstore SET format = 0", "its format is missing"),
        ("UPDATE {schema}.mobstore SET isolation = 'x'", "its isolation is unknown"),
    ],
)
def test_a_damaged_layout_is_named(
    postgres: Server, postgres_schema: str, postgres_url: str, damage: str, words: str
) -> None:
    asyncio.run(create(postgres_url))
    for statement in damage.format(schema=postgres_schema).split(";"):
        postgres.execute(statement)
    for read_only in (False, True):
        message = rejection(postgres_url, read_only=read_only)
        assert f"is damaged: {words}" in message
        assert message.endswith("; undo this change, or restore a backup")


@pytest.mark.parametrize(
    "addition",
    [
        "CREATE INDEX mine ON {schema}.events (type)",
        "ALTER TABLE {schema}.events ADD COLUMN mine text",
        "ALTER TABLE {schema}.mobstore ADD COLUMN mine integer DEFAULT 1",
        "CREATE TABLE {schema}.mine (n integer)",
        "CREATE TRIGGER mine AFTER INSERT ON {schema}.events FOR EACH STATEMENT"
        " EXECUTE FUNCTION {schema}.mine()",
    ],
)
def test_additions_that_do_no_harm(
    postgres: Server, postgres_schema: str, postgres_url: str, addition: str
) -> None:
    asyncio.run(create(postgres_url))
    postgres.execute(
        f"CREATE FUNCTION {postgres_schema}.mine() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NULL; END'"
    )
    postgres.execute(addition.format(schema=postgres_schema))
    for cursor in (2, 3):
        assert asyncio.run(append(postgres_url)) == cursor


async def append(url: str) -> int:
    async with open_stores(url) as stores:
        appended = await stores.events.append(tagged_event("e"))
        assert await stores.events.replay_all() != []
        return appended.cursor


def test_a_newer_format_is_rejected(
    postgres: Server, postgres_schema: str, postgres_url: str
) -> None:
    """Whatever its tables are; and it is not called damaged."""
    asyncio.run(create(postgres_url))
    postgres.execute(f"UPDATE {postgres_schema}.mobstore SET format = {FORMAT + 1}")
    postgres.execute(f"ALTER TABLE {postgres_schema}.mobstore ADD COLUMN more text")
    postgres.execute(f"ALTER TABLE {postgres_schema}.events RENAME TO log")
    for read_only in (False, True):
        assert (
            f"has format {FORMAT + 1}, and this version of mobstore reads up to {FORMAT}; update"
            in rejection(postgres_url, read_only=read_only)
        )


def test_format_1_is_rejected(postgres: Server, postgres_schema: str, postgres_url: str) -> None:
    """It is not called damaged, although it lacks tables."""
    asyncio.run(create(postgres_url))
    postgres.execute(f"UPDATE {postgres_schema}.mobstore SET format = 1")
    for table in ("claims", "run_claims", "consumers", "event_keys"):
        postgres.execute(f"DROP TABLE {postgres_schema}.{table}")
    for read_only in (False, True):
        told = rejection(postgres_url, read_only=read_only)
        assert "has format 1, of a mobstore before its first release; copy it to a SQLite" in told


def test_a_store_that_was_replaced_is_not_written(
    postgres: Server, postgres_schema: str, postgres_url: str
) -> None:
    """The old opening must not write with the cursors of the other store."""

    async def main() -> None:
        async with open_stores(postgres_url) as stores:
            await stores.events.append(tagged_event("e"))
            await asyncio.to_thread(postgres.drop_schema, postgres_schema)
            async with open_stores(postgres_url) as others:
                for _ in range(2):
                    with pytest.raises(WriteFailedError, match="was removed while it was open"):
                        await stores.events.append(tagged_event("no"))
                assert await others.events.latest_cursor() == 0

    asyncio.run(main())


# Databases and servers -------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_the_database_must_be_utf8(postgres: Server, encoding: str) -> None:
    database = new_schema()
    postgres.create_database(database, encoding=encoding, lc_collate="C", lc_ctype="C")
    try:
        for read_only in (False, True):
            assert rejection(postgres.url(database, "mobs"), read_only=read_only).endswith(
                f"the encoding of the database is {encoding}; create one with UTF8"
            )
        assert relations(postgres, "mobs", database) == []
    finally:
        postgres.execute(f"DROP DATABASE {database}")


def test_servers_before_14_are_rejected() -> None:
    facts = ServerFacts(version=130014, encoding="UTF8", standby=False, process=1, lz4=False)
    with pytest.raises(ReadFailedError, match="PostgreSQL 13 is too old; use 14 or newer"):
        check_server(facts, "here")
    check_server(facts._replace(version=140000), "here")


# Races -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_many_processes_create_one_store(postgres: Server) -> None:
    schemas = [new_schema() for _ in range(6)]
    with ExitStack() as stack:
        processes = [stack.enter_context(running(open_each)) for _ in range(8)]
        for process in processes:
            assert hear(process) == "ready"
        for schema in schemas:
            for process in processes:
                tell(process, postgres.url(schema=schema))
            told = [json.loads(hear(process)) for process in processes]
            assert [one["error"] for one in told] == [None] * 8
            assert len({one["identity"] for one in told}) == 1
            assert sorted(one["cursor"] for one in told) == list(range(1, 9))
            postgres.drop_schema(schema)
