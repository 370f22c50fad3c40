"""PgBouncer in front of a server."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import psycopg
from psycopg.rows import dict_row

from support.postgres import programs
from support.postgres.endpoint import HOST, Endpoint, free_port

Mode: TypeAlias = Literal["session", "transaction", "statement"]


class Pooler(Endpoint):
    """A PgBouncer with Debian's defaults that only the superuser passes through.

    Args:
        server: where connections lead.
        mode: what keeps one connection to the server.
        settings: further lines of its section `pgbouncer`, such as default_pool_size.
    """

    def __init__(self, server: Endpoint, mode: Mode = "transaction", **settings: str | int) -> None:
        super().__init__(free_port())
        self._folder = Path(tempfile.mkdtemp(prefix="mobstore-pgbouncer-"))
        users = self._folder / "users"
        users.write_text(f'"{self.user}" ""\n', encoding="utf-8")
        lines = {
            "listen_addr": HOST,
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": users,
            "admin_users": self.user,
            "pool_mode": mode,
            "max_client_conn": 200,
            **settings,
        }
        text = "\n".join(f"{name} = {value}" for name, value in lines.items())
        configuration = self._folder / "pgbouncer.ini"
        target = f"[databases]\n* = host={HOST} port={server.port}\n"
        configuration.write_text(f"{target}[pgbouncer]\n{text}\n", encoding="utf-8")
        programs.give(self._folder)
        self._log = self._folder / "log"
        self._command: list[str | Path] = [programs.path("pgbouncer"), "-q", configuration]
        try:
            self.start()
        except BaseException:
            self.remove()
            raise

    def __enter__(self) -> Pooler:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def show(self, what: str) -> list[dict[str, Any]]:
        """Return the rows of a SHOW command of PgBouncer's console, such as `POOLS`."""
        # The console understands simple queries only.
        with self.connect("pgbouncer") as connection:
            cursor = psycopg.ClientCursor(connection, row_factory=dict_row)
            return cursor.execute(f"SHOW {what}".encode()).fetchall()

    def start(self) -> None:
        """Start PgBouncer, and wait until it accepts connections."""
        self._process = programs.start(self._command, self._folder, self._log)
        self._wait()

    def stop(self) -> None:
        """Stop PgBouncer, which cuts off its clients."""
        self._process.kill()  # its signals differ between versions
        self._process.wait(10)

    def remove(self) -> None:
        """Stop PgBouncer and delete its folder."""
        self.stop()
        shutil.rmtree(self._folder)

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            with suppress(ConnectionRefusedError):
                socket.create_connection((HOST, self.port)).close()
                return
            log = self._log.read_text(encoding="utf-8")
            assert self._process.poll() is None, f"PgBouncer ended:\n{log}"
            assert time.monotonic() < deadline, f"PgBouncer is not ready:\n{log}"
            time.sleep(0.01)
