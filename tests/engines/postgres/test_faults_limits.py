"""Limits of the server, settings of roles, and values at the limits."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from engines.postgres.journal import Journal
from mobstore import MobStoreError, MobStores, ReadFailedError, Timestamp, WriteFailedError
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import event, make_run, run_id, step, tag_of, tagged_event
from support.postgres import programs
from support.postgres.server import Server


@pytest.fixture
def role(postgres: Server, postgres_schema: str) -> Iterator[str]:
    """A role that may create a store."""
    name = f"{postgres_schema}_role"
    postgres.execute(f"CREATE ROLE {name} LOGIN; GRANT CREATE ON DATABASE postgres TO {name}")
    yield name
    postgres.start()
    postgres.terminate_backends()
    postgres.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


# Connections -----------------------------------------------------------------------------------


def test_a_server_without_a_free_connection(
    postgres: Server, postgres_schema: str, role: str
) -> None:
    async def main() -> None:
        url = postgres.url(schema=postgres_schema, user=role)
        postgres.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
        with postgres.connect(user=role):
            with pytest.raises(ReadFailedError, match="no connection left") as caught:
                await PostgresMobStores.open(url)
            assert caught.value.retry_safe
        async with PostgresMobStores.open(url, timeout=1) as stores:
            assert await stores.events.latest_cursor() == 0
            with pytest.raises(WriteFailedError, match="no connection left") as rejected:
                await stores.events.append(tagged_event("no"))
            assert rejected.value.retry_safe
            assert not rejected.value.maybe_written
            postgres.execute(f"ALTER ROLE {role} CONNECTION LIMIT 2")
            assert (await stores.events.append(tagged_event("yes"))).cursor == 1

    asyncio.run(main())


@pytest.mark.slow
def test_readers_share_the_connections_that_there_are(
    postgres: Server, postgres_schema: str, role: str
) -> None:
    """One connection for reading suffices for many tasks, however long they read."""

    async def read(stores: MobStores, end: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < end:
            run = await stores.runs.get_run(run_id(1))
            assert run is not None
            assert len(await stores.events.replay_all()) == 1

    async def main() -> None:
        url = postgres.url(schema=postgres_schema, user=role)
        postgres.execute(f"ALTER ROLE {role} CONNECTION LIMIT 2")
        async with PostgresMobStores.open(url, timeout=1) as stores:
            await stores.runs.create_run(make_run(1))
            await stores.events.append(tagged_event("one"))
            end = asyncio.get_running_loop().time() + 3
            await asyncio.gather(*(read(stores, end) for _ in range(40)))

    asyncio.run(main())


# Settings of roles -----------------------------------------------------------------------------

SETTINGS: dict[str, list[str]] = {
    "isolation": [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "default_transaction_deferrable = on",
    ],
    "another isolation": ["default_transaction_isolation = 'repeatable read'"],
    "timeouts": ["lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'"],
    "short sessions": ["idle_session_timeout = '500ms'"],
    "texts": [
        "standard_conforming_strings = off",
        "backslash_quote = on",
        "quote_all_identifiers = on",
        "escape_string_warning = off",
        "client_encoding = 'LATIN1'",
        "bytea_output = 'escape'",
        "array_nulls = off",
        "transform_null_equals = on",
        "\"DateStyle\" = 'German'",
        "\"TimeZone\" = 'Asia/Kolkata'",
        "\"IntervalStyle\" = 'iso_8601'",
    ],
    "names": ["search_path = 'evil, pg_catalog'"],
    "no names": ["search_path = ''"],
    "commits": ["synchronous_commit = off", "client_min_messages = 'error'"],
    "plans": [
        "plan_cache_mode = 'force_generic_plan'",
        "enable_indexscan = off",
        "enable_bitmapscan = off",
    ],
    "other plans": ["plan_cache_mode = 'force_custom_plan'", "enable_seqscan = off"],
    "noise": ["client_min_messages = 'debug5'", "log_min_duration_statement = 0"],
}


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_of_a_role_change_nothing(
    postgres: Server, postgres_schema: str, role: str, settings: str
) -> None:
    """A store is created, written by two openings under load, and read."""
    odd = f"{postgres_schema} '\\\"odd\\\\"
    for setting in SETTINGS[settings]:
        postgres.execute(f"ALTER ROLE {role} SET {setting}")

    async def main() -> None:
        url = postgres.url(schema=odd, user=role)
        one, other = Journal("one"), Journal("other", 200)
        async with PostgresMobStores.open(url) as stores, PostgresMobStores.open(url) as others:
            async with (
                one.load(stores, appending=3, changing=3),
                other.load(others, appending=3, changing=3),
            ):
                await asyncio.gather(one.until(60), other.until(60))
            assert one.errors == other.errors == []
            one.cursors |= other.cursors
            one.steps |= other.steps
            await one.check(stores)
            text = "\0 \1 \\ \\\\ ' \" $1 %s \u0130 \U0001f99d"
            await stores.events.append(tagged_event(text, text))
            await stores.runs.append_step_entry(run_id(100), step(text, output=[text, None, 1.5]))
            (stored,) = await stores.events.poll(len(await stores.events.replay_all()) - 1, 1)
            assert tag_of(stored.kind) == text
            before = Timestamp.now() - timedelta(microseconds=1)
            claim = await stores.claims.acquire("name", "holder", 60)
            assert claim is not None
            assert before <= claim.expires_at - timedelta(seconds=60) <= Timestamp.now()
            assert (await stores.runs.step_entries(run_id(100)))[-1].step_id == text
            await stores.compact()
            if settings == "short sessions":
                await asyncio.sleep(0.8)
                await stores.events.append(tagged_event("later"))
                await asyncio.sleep(0.8)
                assert await stores.events.poll(0, 1)
            assert stores.engine.details()["connections"] == "direct"

    postgres.execute("CREATE SCHEMA evil; CREATE TABLE evil.events (n int)")
    try:
        asyncio.run(main())
    finally:
        postgres.execute("DROP SCHEMA evil CASCADE")
        postgres.execute(f"DROP OWNED BY {role} CASCADE")


@pytest.mark.slow
def test_a_statement_timeout_of_a_role(postgres: Server, postgres_schema: str, role: str) -> None:
    """Statements that take longer fail with a known outcome; a wait for a lock counts, too."""

    async def main() -> None:
        url = postgres.url(schema=postgres_schema, user=role)
        async with PostgresMobStores.open(url) as stores:
            await stores.events.append(tagged_event("before"))
        postgres.execute(f"ALTER ROLE {role} SET statement_timeout = '200ms'")
        async with PostgresMobStores.open(url) as stores:
            await stores.events.append(tagged_event("second"))
            with postgres.connect() as blocker:
                blocker.execute("BEGIN")
                blocker.execute(f"LOCK {postgres_schema}.events IN EXCLUSIVE MODE".encode())
                with pytest.raises(WriteFailedError, match="statement_timeout") as caught:
                    await stores.events.append(tagged_event("never"))
                assert caught.value.retry_safe
                assert not caught.value.maybe_written
            await stores.events.append(tagged_event("after"))
            tags = [tag_of(one.kind) for one in await stores.events.replay_all()]
            assert tags == ["before", "second", "after"]

    asyncio.run(main())


def test_a_lock_of_another_program(postgres: Server, postgres_url: str) -> None:
    """A lock that is held for longer than `timeout` fails the call, and nothing is written."""
    schema = postgres_url.rpartition("=")[2]

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url, timeout=1) as stores:
            await stores.events.append(tagged_event("before"))
            with postgres.connect() as blocker:
                blocker.execute("BEGIN")
                blocker.execute(f"LOCK {schema}.events IN EXCLUSIVE MODE".encode())
                with pytest.raises(WriteFailedError, match="holds a lock") as caught:
                    await stores.events.append(tagged_event("never"))
                assert caught.value.retry_safe
                assert not caught.value.maybe_written
                await stores.runs.create_run(make_run(1))
            assert (await stores.events.append(tagged_event("after"))).cursor == 2

    asyncio.run(main())


# Values ----------------------------------------------------------------------------------------


def test_a_long_id_fails_its_own_call_only(postgres_url: str) -> None:
    """Random text, which the server cannot compress."""
    long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=3000))

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            calls = [
                stores.events.append(event("short 1")),
                stores.events.append(event(long)),
                stores.runs.create_run(make_run(1, mob=long)),
                stores.events.append(event("short 2")),
                stores.runs.create_run(make_run(2)),
                stores.events.append(event("x" * 900)),
            ]
            results = await asyncio.gather(*calls, return_exceptions=True)
            failed = [one for one in results if isinstance(one, BaseException)]
            assert failed == [results[1], results[2]]
            for error in failed:
                assert isinstance(error, WriteFailedError)
                assert "ids of a row are too long" in str(error)
                assert long[:20] not in str(error)
                assert not error.retry_safe
            mobs = [one.mob_id for one in await stores.events.replay_all()]
            assert mobs == ["short 1", "short 2", "x" * 900]
            assert await stores.runs.get_run(run_id(1)) is None
            assert await stores.runs.get_run(run_id(2)) is not None
            assert await stores.specs.get_spec(long) is None

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.usefixtures("postgres")
def test_values_of_nearly_80_mib(postgres_url: str) -> None:
    """Several in one batch, among small ones; each is its own statement."""
    large = "\U0001f99d" * (79 * 2**18)

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            calls = [
                stores.events.append(tagged_event(f"{n}", large if n % 2 else "")) for n in range(5)
            ]
            assert [one.cursor for one in await asyncio.gather(*calls)] == [1, 2, 3, 4, 5]
            for one in await stores.events.replay_all():
                padding = str(getattr(one.kind, "b", ""))
                assert padding == (large if int(tag_of(one.kind)) % 2 else "")

    asyncio.run(main())


# Disk ------------------------------------------------------------------------------------------


@contextmanager
def small_disk(megabytes: int) -> Generator[Path]:
    """Mount a file system in memory that belongs to the servers' user."""
    folder = Path(tempfile.mkdtemp(prefix="mobstore-disk-"))
    size = f"size={megabytes}m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("needs the right to mount a small file system")
    try:
        programs.give(folder)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or shutil.which("mount") is None, reason="needs mount")
def test_a_full_disk(postgres: Server, postgres_schema: str) -> None:
    """Calls fail with a known outcome while the disk is full, and go on when it is not."""
    url, table = postgres.url(schema=postgres_schema), f"{postgres_schema}.events"
    space = f"small_{postgres_schema}"

    async def main(stack: ExitStack) -> None:
        folder = stack.enter_context(small_disk(12))
        async with PostgresMobStores.open(url) as stores:
            postgres.execute(f"CREATE TABLESPACE {space} LOCATION '{folder}'")
            postgres.execute(f"ALTER TABLE {table} SET TABLESPACE {space}")
            noise = random.Random(1)
            cursors: list[int] = []
            errors: list[MobStoreError] = []
            for n in range(60):
                padding = noise.randbytes(200_000).hex()
                try:
                    stored = await stores.events.append(tagged_event(f"{n}", padding))
                except WriteFailedError as error:
                    errors.append(error)
                else:
                    cursors.append(stored.cursor)
            assert len(errors) > 5
            assert len(cursors) > 5
            for failed in errors:
                assert "disk is full" in str(failed)
                assert failed.retry_safe
                assert not failed.maybe_written
            events = await stores.events.replay_all()
            assert [one.cursor for one in events] == cursors == list(range(1, len(cursors) + 1))
            postgres.execute(f"ALTER TABLE {table} SET TABLESPACE pg_default")
            assert (await stores.events.append(tagged_event("after"))).cursor == len(cursors) + 1

    def remove() -> None:
        postgres.drop_schema(postgres_schema)
        postgres.execute(f"DROP TABLESPACE IF EXISTS {space}")

    with ExitStack() as stack:
        try:
            asyncio.run(main(stack))
        finally:
            remove()
