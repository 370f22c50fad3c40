"""The proxy of the tests cuts and stalls connections, at commits too."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import psycopg
import pytest

from engines.postgres.numbers import create_table, numbers
from support.postgres.pooler import Pooler
from support.postgres.proxy import Direction, Moment, Proxy
from support.postgres.server import Server

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


def commit_simply(connection: Connection, insert: str) -> None:
    for statement in ("BEGIN", insert, "COMMIT"):
        connection.execute(statement.encode())


def commit_with_parameters(connection: Connection, insert: str) -> None:
    """Send each statement in the extended protocol."""
    for statement in ("BEGIN", insert, "COMMIT"):
        connection.execute(statement.encode(), binary=True)


def commit_prepared(connection: Connection, insert: str) -> None:
    connection.execute("BEGIN")
    connection.execute(insert.encode())
    connection.execute("COMMIT", prepare=True)


def commit_in_a_pipeline(connection: Connection, insert: str) -> None:
    with connection.pipeline():
        for statement in ("BEGIN", insert, "COMMIT"):
            connection.execute(statement.encode())


def commit_in_one_text(connection: Connection, insert: str) -> None:
    connection.execute(f"BEGIN; {insert}; commit;".encode())


WAYS = [
    commit_simply,
    commit_with_parameters,
    commit_prepared,
    commit_in_a_pipeline,
    commit_in_one_text,
]


@pytest.mark.parametrize("commit", WAYS)
@pytest.mark.parametrize(("moment", "found"), [("commit", [1]), ("committed", [1, 2])])
def test_a_cut_at_a_commit(
    postgres: Server,
    postgres_schema: str,
    postgres_proxy: Proxy,
    commit: Callable[[Connection, str], None],
    moment: Moment,
    found: list[int],
) -> None:
    """The client gets the same error; what is stored differs."""
    table = create_table(postgres, postgres_schema)
    first, second, third = (f"INSERT INTO {table} VALUES ({n})" for n in (1, 2, 3))
    with postgres_proxy.connect() as connection, postgres_proxy.connect() as other:
        commit(connection, first)
        fault = postgres_proxy.arm(moment)
        other.execute("SELECT 1")
        assert not fault.happened.is_set()
        with pytest.raises(psycopg.OperationalError, match="closed the connection"):
            commit(connection, second)
        fault.wait()
        assert postgres_proxy.connections == 1
        commit(other, third)  # a fault happens once
    assert numbers(postgres, table) == [*found, 3]


def test_the_confirmation_of_a_commit_that_was_cut_is_lost(postgres_proxy: Proxy) -> None:
    def commit(pgconn: psycopg.pq.abc.PGconn) -> None:
        pgconn.send_query(b"COMMIT")
        pgconn.flush()
        while pgconn.is_busy():
            select.select([pgconn.socket], [], [], 10)
            pgconn.consume_input()

    with postgres_proxy.connect() as connection:
        connection.execute("BEGIN")
        postgres_proxy.arm("committed")
        with pytest.raises(psycopg.OperationalError, match="closed the connection"):
            commit(connection.pgconn)


def test_a_stall_at_a_commit(postgres: Server, postgres_schema: str, postgres_proxy: Proxy) -> None:
    table = create_table(postgres, postgres_schema)
    moments: list[tuple[Moment, list[int]]] = [("commit", []), ("committed", [1, 2])]
    for n, (moment, found) in enumerate(moments, start=1):
        with postgres_proxy.connect() as connection:
            insert = f"INSERT INTO {table} VALUES ({n})"
            fault = postgres_proxy.arm(moment, "stall")
            client = threading.Thread(target=commit_simply, args=[connection, insert])
            client.start()
            fault.wait()
            client.join(0.2)
            assert client.is_alive()
            assert numbers(postgres, table) == found
            postgres_proxy.resume()
            client.join(10)
            assert not client.is_alive()
    assert numbers(postgres, table) == [1, 2]


@pytest.mark.parametrize(("direction", "found"), [("to_server", []), ("to_client", [1])])
def test_a_stall(
    postgres: Server,
    postgres_schema: str,
    postgres_proxy: Proxy,
    direction: Direction,
    found: list[int],
) -> None:
    table = create_table(postgres, postgres_schema)
    with postgres_proxy.connect() as connection:
        postgres_proxy.stall(direction)
        insert = f"INSERT INTO {table} VALUES (1)".encode()
        client = threading.Thread(target=connection.execute, args=[insert])
        client.start()
        client.join(0.3)
        assert client.is_alive()
        assert numbers(postgres, table) == found
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(postgres_proxy.url(), connect_timeout=2)
        postgres_proxy.resume()
        client.join(10)
        assert not client.is_alive()
    assert numbers(postgres, table) == [1]


def test_a_stalled_connection_can_be_cut(postgres_proxy: Proxy) -> None:
    with postgres_proxy.connect() as connection:
        postgres_proxy.stall()

        def fail() -> None:
            with pytest.raises(psycopg.OperationalError, match="closed the connection"):
                connection.execute("SELECT 1")

        client = threading.Thread(target=fail)
        client.start()
        time.sleep(0.1)
        assert postgres_proxy.cut() == 1
        client.join(10)
        assert not client.is_alive()
    for thread in threading.enumerate():
        if thread.name in {"proxy-requests", "proxy-answers"}:
            thread.join(10)
            assert not thread.is_alive()


def test_a_proxy_that_accepts_nothing_keeps_its_connections(postgres_proxy: Proxy) -> None:
    with postgres_proxy.connect() as connection:
        postgres_proxy.accepting = False
        with pytest.raises(psycopg.OperationalError):
            postgres_proxy.connect()
        assert connection.execute("SELECT 1").fetchone() == (1,)
        postgres_proxy.accepting = True
        postgres_proxy.connect().close()


def test_a_proxy_forwards_the_reason_of_an_end(postgres: Server, postgres_proxy: Proxy) -> None:
    with postgres_proxy.connect() as connection:
        postgres.terminate_backends()
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")
    postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        postgres_proxy.connect()
    postgres.start()
    with postgres_proxy.connect() as connection:
        row = connection.execute("SELECT repeat('x', 50000000)").fetchone()
        assert row is not None
        assert len(row[0]) == 50_000_000


def test_a_proxy_stands_before_a_pooler(postgres_pooler: Pooler) -> None:
    with Proxy(postgres_pooler) as proxy, proxy.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
