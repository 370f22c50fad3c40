"""Stores opened by URLs of a real server: schemas, libpq's ways to connect, and failures."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import mobstore
from mobstore import (
    MobStoreError,
    Opening,
    PostgresMobEventStore,
    PostgresMobRunStore,
    PostgresMobSpecStore,
    PostgresMobStores,
    PostgresRealmProfileStore,
    UsageError,
)
from mobstore.testing.samples import definition, make_run, profile
from support.postgres.endpoint import free_port
from support.postgres.server import Role, Server

EVENT = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())


async def append(url: str, **options: Any) -> int:
    """Append an event, and return its cursor."""
    async with mobstore.open_stores(url, **options) as stores:
        return (await stores.events.append(EVENT)).cursor


NAMES = ["Mobs", 'a"b', "a.b", "two words", "Grüße-🦦", "a&b=%+#/?@", "x'; --", "\x1b[0m", "x" * 63]


def test_every_schema_is_a_store_of_its_own(postgres: Server) -> None:
    async def main() -> None:
        for number, name in enumerate(NAMES, start=1):
            url = postgres.url(schema=name)
            assert [await append(url) for _ in range(number)] == [*range(1, number + 1)]

    try:
        asyncio.run(main())
        with postgres.connect() as connection:
            found = connection.execute("SELECT nspname FROM pg_namespace").fetchall()
        assert {(name,) for name in NAMES} <= {*found}
    finally:
        for name in NAMES:
            postgres.drop_schema(name)


def test_each_store_opens_alone(postgres_url: str) -> None:
    async def main() -> None:
        async with PostgresMobEventStore.open(postgres_url) as events:
            assert (await events.append(EVENT)).cursor == 1
        async with PostgresMobRunStore.open(postgres_url, durability="normal") as runs:
            await runs.create_run(make_run())
        async with PostgresMobSpecStore.open(postgres_url, isolation="read committed") as specs:
            await specs.put_spec("m", definition("m"))
        async with PostgresRealmProfileStore.open(postgres_url, timeout=2) as profiles:
            await profiles.create("p", profile())
        async with PostgresMobStores.open(postgres_url, read_only=True, create=False) as stores:
            found = await stores.overview()
            assert (found.events, found.runs, found.specs, found.realm_profiles) == (1, 1, 1, 1)
            with pytest.raises(UsageError, match="read_only"):
                await stores.events.append(EVENT)

    asyncio.run(main())


@pytest.mark.parametrize("way", [mobstore.open_stores, PostgresMobStores.open])
@pytest.mark.parametrize("options", [{"create": False}, {"read_only": True}])
def test_a_missing_store_is_not_created(
    postgres: Server,
    postgres_url: str,
    postgres_schema: str,
    way: Callable[..., Opening[Any]],
    options: dict[str, bool],
) -> None:
    async def main() -> None:
        with pytest.raises(mobstore.ReadFailedError, match="there is no store"):
            await way(postgres_url, **options)

    asyncio.run(main())
    assert not postgres.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", postgres_schema)


def test_libpq_finds_the_server_and_the_password(
    postgres: Server,
    postgres_schema: str,
    postgres_role: Role,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    role, secret = postgres_role
    service, passwords = tmp_path / "services", tmp_path / "passwords"
    service.write_text(
        f"[mobs]\nhost=127.0.0.1\nport={postgres.port}\nuser={role}\ndbname=postgres\n"
    )
    passwords.write_text(f"127.0.0.1:{postgres.port}:*:{role}:{secret}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    here = f"127.0.0.1:{postgres.port}/postgres"
    schema = f"schema={postgres_schema}"
    password = quote(secret, safe="")

    def opened(url: str) -> int:
        return asyncio.run(append(url))

    assert opened(f"postgresql://{role}:{password}@{here}?{schema}") == 1
    assert opened(f"postgres://{role}@{here}?password={password}&{schema}") == 2
    two = f"127.0.0.1:{free_port()},{here}?target_session_attrs=read-write"
    assert opened(f"postgresql://{role}:{password}@{two}&{schema}") == 3
    monkeypatch.setenv("PGPASSWORD", secret)
    assert opened(f"postgresql:///?service=mobs&{schema}") == 4
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert opened(f"postgresql://{role}@{here}?{schema}") == 5
    assert opened(f"postgresql://?{schema}&service=mobs") == 6
    for name, value in (("HOST", "127.0.0.1"), ("PORT", postgres.port), ("USER", role)):
        monkeypatch.setenv(f"PG{name}", str(value))
    assert opened(f"postgresql:///postgres?{schema}") == 7


def test_a_unix_socket(postgres: Server, postgres_schema: str) -> None:
    assert asyncio.run(append(postgres.socket_url(schema=postgres_schema))) == 1
    folder = quote(str(postgres.socket_folder), safe="")
    url = f"postgresql://postgres@{folder}:{postgres.port}/postgres?schema={postgres_schema}"
    assert asyncio.run(append(url)) == 2


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and all errors that led to it, suppressed ones too."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        if error.__context__ is not error.__cause__:
            yield from chain(error.__context__)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Geheim7", "wrongGeheim7"),
        ("postgresql://ann", "postgresql://bob"),
        ("127.0.0.1:", "127.0.0.1:1,[::1]:2,no.such.host.invalid:"),
        ("127.0.0.1", "no.such.host.invalid"),
        ("/postgres?", "/no_such_database?"),
        ("?", "?sslmode=require&"),
        ("?", "?sslmode=bad&"),
        ("?", "?connect_timeout=x&"),
        ("?", "?target_session_attrs=bad&"),
        ("?", "?target_session_attrs=standby&"),
        ("?", "?service=no_such_service&"),
        ("?", "?options=-cno_such%3Dsetting&"),
        ("?", "?sslmode=verify-full&sslrootcert=/no/such/file&"),
    ],
)
@pytest.mark.parametrize("way", [mobstore.open_stores, PostgresMobStores.open])
def test_failures_of_connecting_show_no_password(
    postgres: Server,
    postgres_schema: str,
    postgres_role: Role,
    way: Callable[..., Opening[Any]],
    old: str,
    new: str,
) -> None:
    url = postgres.url(
        schema=postgres_schema, user=postgres_role.name, password=postgres_role.password
    )
    assert old in url
    url = url.replace(old, new, 1)

    async def main() -> None:
        await way(url, timeout=1)

    with pytest.raises(MobStoreError) as caught:
        asyncio.run(main())
    assert not isinstance(caught.value, UsageError)
    for error in chain(caught.value):
        shown = [str(error), repr(error), *traceback.format_exception(error)]
        assert "Geheim7" not in "".join(shown)
