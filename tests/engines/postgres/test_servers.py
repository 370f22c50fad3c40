"""The servers of the tests do to their clients what they are for."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from engines.postgres.numbers import create_table, numbers
from support.postgres.pair import Pair
from support.postgres.pooler import Pooler
from support.postgres.server import Server, wait_until_gone

PASSWORD = "p@ss:w/rd %20?#"  # noqa: S105
TESTS = Path(__file__).resolve().parents[2]


def test_a_kill_loses_no_committed_row_and_keeps_no_other(
    postgres: Server, postgres_schema: str
) -> None:
    table = create_table(postgres, postgres_schema)
    acknowledged: list[int] = []

    def insert_until_cut_off() -> None:
        with postgres.connect() as connection:
            while True:
                next_one = len(acknowledged)
                connection.execute(f"INSERT INTO {table} VALUES ({next_one})".encode())
                acknowledged.append(next_one)

    def run() -> None:
        with pytest.raises(psycopg.OperationalError):
            insert_until_cut_off()

    client = threading.Thread(target=run)
    client.start()
    while len(acknowledged) < 50:
        time.sleep(0.01)
    pid = postgres.pid
    postgres.kill()
    client.join()
    assert not postgres.running
    postgres.start()
    assert postgres.pid != pid
    found = numbers(postgres, table)
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1, "at most the one under way"
    assert "was not properly shut down" in postgres.read_log()


def test_a_stop_with_a_checkpoint_needs_no_recovery(postgres: Server) -> None:
    postgres.restart()
    before = len(postgres.read_log())
    postgres.restart()
    assert "not properly shut down" not in postgres.read_log()[before:]
    postgres.restart("immediate")
    assert "not properly shut down" in postgres.read_log()[before:]


def test_clients_are_cut_off(postgres: Server) -> None:
    with postgres.connect() as one, postgres.connect() as other:
        assert postgres.terminate_backends() == 2
        for connection in (one, other):
            with pytest.raises(psycopg.errors.AdminShutdown):
                connection.execute("SELECT 1")


def test_settings_last_until_they_are_restored(postgres: Server) -> None:
    default = postgres.execute("SHOW max_connections")
    postgres.configure(max_connections=50, work_mem="5MB")
    assert postgres.execute("SHOW work_mem") == [("5MB",)]
    postgres.restart()
    assert postgres.execute("SHOW max_connections") == [("50",)]
    postgres.stop()
    postgres.restore()
    assert postgres.execute("SHOW max_connections") == default
    pid = postgres.pid
    postgres.restore()
    assert postgres.pid == pid, "a restart without need"


def test_the_server_is_durable_and_of_utf8(postgres: Server) -> None:
    for setting, value in {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "server_encoding": "UTF8",
    }.items():
        assert postgres.execute(f"SHOW {setting}") == [(value,)]
    locale = "SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()"
    assert postgres.execute(locale) == [("C.UTF-8", "C.UTF-8")]


def test_a_role_with_a_password_needs_it(postgres: Server, postgres_schema: str) -> None:
    role, open_role = f"{postgres_schema}_secret", f"{postgres_schema}_open"
    postgres.create_role(role, PASSWORD)
    postgres.create_role(open_role)
    for user, given in ((role, PASSWORD), (open_role, None)):
        with postgres.connect(user=user, password=given) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (user,)
    for wrong in (None, "other"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            postgres.connect(user=role, password=wrong)


def test_databases_have_the_given_encoding(postgres: Server, postgres_schema: str) -> None:
    postgres.create_database(postgres_schema, encoding="LATIN1", lc_collate="C", lc_ctype="C")
    found = postgres.execute("SHOW server_encoding", database=postgres_schema)
    assert found == [("LATIN1",)]
    postgres.execute(f"DROP DATABASE {postgres_schema}")


@pytest.mark.usefixtures("postgres")
def test_the_socket_needs_no_short_temporary_path(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder, "x" * 150)
        long.mkdir()
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", str(long))
        with Server() as server, psycopg.connect(server.socket_url()) as connection:
            assert server.data.is_relative_to(long)
            assert connection.execute("SELECT inet_server_addr()").fetchone() == (None,)
        assert list(long.iterdir()) == []


@pytest.mark.usefixtures("postgres")
def test_a_server_ends_with_the_process_that_started_it() -> None:
    """So does one that was started in a thread; the thread's own end is not that of the process."""
    code = """if True:
        import os, signal, threading
        from support.postgres.server import Server
        started = []
        thread = threading.Thread(target=lambda: started.append(Server()))
        thread.start()
        thread.join()
        server, = started
        server.execute("SELECT 1")
        print(server.pid, server.data.parent, server.socket_folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)"""
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=TESTS, capture_output=True, text=True, check=False
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    pid, *folders = child.stdout.split()
    with suppress(psutil.NoSuchProcess):
        wait_until_gone(psutil.Process(int(pid)))
    for folder in folders:
        shutil.rmtree(folder)


# The pair --------------------------------------------------------------------------------------


def test_a_failover_loses_no_committed_row(postgres_pair: Pair) -> None:
    pair = postgres_pair
    pair.primary.execute("CREATE TABLE numbers (n int)")
    with psycopg.connect(pair.url(), autocommit=True) as connection:
        assert connection.info.port == pair.primary.port
        for n in range(20):
            connection.execute("INSERT INTO numbers VALUES (%s)", [n])
        pair.kill_primary()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    pair.promote()
    with psycopg.connect(pair.url(), autocommit=True) as connection:
        assert connection.info.port == pair.standby.port
        connection.execute("INSERT INTO numbers VALUES (20)")
    assert numbers(pair.standby, "numbers") == list(range(21))


def test_commits_wait_for_the_standby(postgres_pair: Pair) -> None:
    pair = postgres_pair
    pair.primary.execute("CREATE TABLE numbers (n int)")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        pair.standby.execute("INSERT INTO numbers VALUES (1)")
    pair.standby.stop()
    insert = threading.Thread(target=pair.primary.execute, args=["INSERT INTO numbers VALUES (1)"])
    insert.start()
    insert.join(0.5)
    assert insert.is_alive()
    pair.standby.start()
    insert.join(10)
    assert not insert.is_alive()


# The pooler ------------------------------------------------------------------------------------


def test_clients_share_connections(postgres_pooler: Pooler) -> None:
    pids: set[int] = set()
    clients = [postgres_pooler.connect() for _ in range(20)]
    for client in clients:
        row = client.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        pids.add(row[0])
    assert len(pids) == 1
    pools = [pool for pool in postgres_pooler.show("POOLS") if pool["database"] == "postgres"]
    assert [(pool["cl_active"], pool["pool_mode"]) for pool in pools] == [(20, "transaction")]
    for client in clients:
        client.close()


@pytest.mark.parametrize("postgres_pooler", ["session"], indirect=True)
def test_sessions_share_none(postgres_pooler: Pooler) -> None:
    with postgres_pooler.connect() as one, postgres_pooler.connect() as other:
        pids = [c.execute("SELECT pg_backend_pid()").fetchone() for c in (one, other)]
        assert pids[0] != pids[1]
