"""Fixtures: a server for all tests of a process, and what is built around it.

tests/conftest.py loads this plugin for all tests. Drivers are imported by the fixtures only, so
that tests without a server start without them.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from support.postgres.pair import Pair
    from support.postgres.pooler import Pooler
    from support.postgres.proxy import Proxy
    from support.postgres.server import Role, Server


@pytest.fixture(scope="session")
def postgres_server() -> Generator[Server]:
    """The server of all tests of this process; tests use `postgres`."""
    from support.postgres.server import Server

    with Server() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Server) -> Generator[Server]:
    """A running server that a test may stop, kill and configure."""
    yield postgres_server
    postgres_server.restore()


@pytest.fixture
def postgres_schema(postgres: Server) -> Generator[str]:
    """The name of a schema that does not exist yet; it is dropped after the test."""
    from support.postgres.server import new_schema

    schema = new_schema()
    yield schema
    postgres.start()
    postgres.terminate_backends()
    postgres.drop_schema(schema)


@pytest.fixture
def postgres_role(postgres: Server) -> Generator[Role]:
    """A role with a password, which may create schemas; dropped after the test, with them."""
    from support.postgres.server import Role

    role = Role(f"ann_{uuid4().hex[:8]}", "it's @/?# Geheim7")
    postgres.create_role(*role)
    postgres.execute(f"GRANT CREATE ON DATABASE postgres TO {role.name}")
    yield role
    postgres.execute(f"DROP OWNED BY {role.name} CASCADE")
    postgres.execute(f"DROP ROLE {role.name}")


@pytest.fixture
def postgres_url(postgres: Server, postgres_schema: str) -> str:
    """The URL of a new store."""
    return postgres.url(schema=postgres_schema)


@pytest.fixture
def postgres_proxy(postgres: Server) -> Generator[Proxy]:
    """A proxy in front of the server, with faults on command."""
    from support.postgres.proxy import Proxy

    with Proxy(postgres) as proxy:
        yield proxy


@pytest.fixture
def postgres_pooler(postgres: Server, request: pytest.FixtureRequest) -> Generator[Pooler]:
    """PgBouncer in front of the server; indirect parameters are its modes, else `transaction`."""
    from support.postgres.pooler import Pooler

    with Pooler(postgres, getattr(request, "param", "transaction")) as pooler:
        yield pooler


@pytest.fixture
def postgres_pair() -> Generator[Pair]:
    """A primary and a synchronous standby, for one test."""
    from support.postgres.pair import Pair

    with Pair() as pair:
        yield pair
