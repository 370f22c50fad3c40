"""Fixtures: a server for all tests of a process, and what is built around it.

tests/conftest.py loads this plugin for all tests. Drivers are imported by the fixtures only, so
that tests without a server start without them.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.postgres.server import Server


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
    postgres.drop_schema(schema)


@pytest.fixture
def postgres_url(postgres: Server, postgres_schema: str) -> str:
    """The URL of a new store."""
    return postgres.url(schema=postgres_schema)
