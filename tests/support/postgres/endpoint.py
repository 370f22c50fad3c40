"""Addresses of servers, poolers and proxies on this machine."""

from __future__ import annotations

import random
import socket
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import psycopg

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that no process listens on.

    It is below the ports of clients on Linux, from 32768 on. A client that connects again
    and again to such a port of a stopped server would at some time be connected with itself.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


class Endpoint:
    """A port of 127.0.0.1 that speaks PostgreSQL's protocol."""

    user: ClassVar[str] = "postgres"
    """The superuser; it needs no password."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(
        self,
        database: str = "postgres",
        schema: str | None = None,
        *,
        user: str = user,
        password: str | None = None,
        **parameters: str | int,
    ) -> str:
        """Return a URL; without `schema` it is one that libpq accepts."""
        return make_url(f"{HOST}:{self.port}", database, schema, user, password, parameters)

    def connect(
        self, database: str = "postgres", *, user: str = user, password: str | None = None
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection of psycopg in autocommit mode."""
        url = self.url(database, user=user, password=password, connect_timeout=10)
        return psycopg.connect(url, autocommit=True)

    def execute(
        self, query: str, *parameters: object, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser in a transaction of its own, and return its rows."""
        with self.connect(database) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []


def make_url(
    address: str,
    database: str,
    schema: str | None,
    user: str,
    password: str | None,
    parameters: dict[str, str | int],
) -> str:
    """Return a URL; the address is `HOST:PORT`, or several separated by commas."""
    secret = "" if password is None else f":{quote(password, safe='')}"
    chosen = {} if schema is None else {"schema": schema}
    # libpq takes a plus sign literally, so a blank is %20.
    query = urlencode(chosen | parameters, quote_via=quote)
    end = f"?{query}" if query else ""
    return f"postgresql://{quote(user, safe='')}{secret}@{address}/{quote(database)}{end}"
