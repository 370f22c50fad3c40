"""A private PostgreSQL cluster."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from uuid import uuid4

import psutil  # type: ignore[import-untyped]
from psycopg import sql

from support.postgres import programs
from support.postgres.endpoint import HOST, Endpoint, free_port, make_url

Stop: TypeAlias = Literal["smart", "fast", "immediate"]
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_START_S = 60.0
"""Seconds that a start or a stop may take, recovery after a crash included."""

# Roles of this group need a password; all others, the superuser too, need none.
_GROUP = "with_password"
_HBA = f"""\
local all +{_GROUP} scram-sha-256
host all +{_GROUP} 127.0.0.1/32 scram-sha-256
local all all trust
host all all 127.0.0.1/32 trust
local replication all trust
host replication all 127.0.0.1/32 trust
"""

_SETTINGS: dict[str, str | int] = {
    "listen_addresses": HOST,
    "max_connections": 200,
    "shared_buffers": "64MB",
    "max_parallel_workers_per_gather": 0,
    # A checkpoint at the end of a start or at a base backup writes at once.
    "checkpoint_completion_target": 0,
    # A standby that has lost its primary notices a promotion after this time; by default, 5 s.
    "wal_retrieve_retry_interval": "100ms",
    "log_line_prefix": "%m [%p] %q%a ",
    "log_lock_waits": "on",
}

_numbers = count(1)


def new_schema() -> str:
    """Return the name of a schema that no other test uses."""
    return f"test_{next(_numbers)}_{uuid4().hex[:8]}"


def wait_until_gone(*processes: psutil.Process) -> None:
    """Wait until processes have ended; a zombie has: it holds no sockets, files or memory."""
    deadline = time.monotonic() + _START_S
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, f"it does not end: {process}"
                time.sleep(0.001)


class Role(NamedTuple):
    """A role that may log in with a password."""

    name: str
    password: str


class Server(Endpoint):
    """A cluster in a temporary folder, on a port and a Unix socket of its own, with fsync on.

    It starts at once. `remove` stops it and deletes the folder, as does the end of a `with` block.

    Args:
        primary: a server to copy and to follow as its standby; None for an empty cluster.
        settings: further lines of postgresql.conf.
    """

    def __init__(self, primary: Server | None = None, **settings: str | int) -> None:
        super().__init__(free_port())
        self._process: subprocess.Popen[bytes] | None = None
        # The path of a Unix socket has 107 bytes at most, and TMPDIR may be long.
        self.socket_folder = Path(tempfile.mkdtemp(prefix="mobstore-socket-", dir="/tmp"))
        self._folder = Path(tempfile.mkdtemp(prefix="mobstore-postgres-"))
        self.data = self._folder / "data"
        self.log = self._folder / "log"
        programs.give(self.socket_folder)
        programs.give(self._folder)
        try:
            if primary is None:
                self._create()
            else:
                self._copy(primary)
            self._append(
                {**settings, "port": self.port, "unix_socket_directories": str(self.socket_folder)}
            )
            self.start()
            if primary is None:
                self.execute(f"CREATE ROLE {_GROUP}")
        except BaseException:
            self.remove()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    # Life --------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """True while the main process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the main process, of which all others are children."""
        assert self._process is not None, "the server is stopped"
        return self._process.pid

    def start(self) -> None:
        """Start the server, and wait until it accepts connections; a running one stays as it is."""
        if self.running:
            return
        postgres = programs.path("postgres")
        self._process = programs.start([postgres, "-D", self.data], self._folder, self.log)
        deadline = time.monotonic() + _START_S
        while not self._is_ready():
            assert self.running, f"the server ended:\n{self.read_log()}"
            assert time.monotonic() < deadline, f"the server is not ready:\n{self.read_log()}"
            time.sleep(0.01)

    def stop(self, mode: Stop = "fast") -> None:
        """Stop the server: after its clients have left, cutting them off, or without a checkpoint.

        A stopped server stays as it is.
        """
        if self._process is not None:
            self._process.send_signal(_SIGNALS[mode])
            self._process.wait(_START_S)
            self._process = None

    def restart(self, mode: Stop = "fast") -> None:
        """Stop and start the server."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """Send SIGKILL to all processes of the server, and wait until they are gone."""
        main = psutil.Process(self.pid)
        main.suspend()  # it starts no further process
        processes = [*main.children(recursive=True), main]
        for process in processes:
            process.kill()
        assert self._process is not None
        self._process.wait(_START_S)
        self._process = None
        wait_until_gone(*processes)

    def remove(self) -> None:
        """Stop the server without a checkpoint and delete its folder."""
        self.stop("immediate")
        shutil.rmtree(self._folder)
        shutil.rmtree(self.socket_folder)

    # Content -----------------------------------------------------------------------------------

    def socket_url(self, database: str = "postgres", schema: str | None = None) -> str:
        """Return a URL of the Unix socket."""
        parameters: dict[str, str | int] = {"host": str(self.socket_folder), "port": self.port}
        return make_url("", database, schema, self.user, None, parameters)

    def create_database(self, name: str, **options: str) -> None:
        """Create a database; options are those of CREATE DATABASE, such as encoding."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        for option, value in options.items():
            statement += sql.SQL(" {} {}").format(sql.Identifier(option), sql.Literal(value))
        self._run(statement)

    def drop_schema(self, name: str) -> None:
        """Drop a schema if it exists; fail if a client holds a lock in it."""
        with self.connect() as connection:
            connection.execute("SET lock_timeout = '10s'")
            connection.execute(
                sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name))
            )

    def create_role(self, name: str, password: str | None = None) -> None:
        """Create a role that may log in; with a password, it has to authenticate by SCRAM."""
        statement = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name))
        if password is not None:
            secret = sql.SQL(" PASSWORD {} IN ROLE {}")
            statement += secret.format(sql.Literal(password), sql.Identifier(_GROUP))
        self._run(statement)

    def terminate_backends(self) -> int:
        """Cut off all clients, wait until their processes are gone, and return their number."""
        return len(
            self.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        )

    def configure(self, **settings: str | int) -> None:
        """Change settings with ALTER SYSTEM and load them; some need a restart."""
        for name, value in settings.items():
            statement = sql.SQL("ALTER SYSTEM SET {} = {}")
            self._run(statement.format(sql.Identifier(name), sql.Literal(value)))
        self.execute("SELECT pg_reload_conf()")

    def restore(self) -> None:
        """Start the server if it is stopped, and undo `configure`."""
        self.start()
        if self.execute("SELECT 1 FROM pg_file_settings WHERE sourcefile LIKE '%.auto.conf'"):
            self.execute("ALTER SYSTEM RESET ALL")
            self.restart()

    def read_log(self) -> str:
        """Return what the server has logged."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _run(self, statement: sql.Composed) -> None:
        with self.connect() as connection:
            connection.execute(statement)

    def _create(self) -> None:
        arguments = ["-U", self.user, "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync"]
        programs.run([programs.path("initdb"), "-D", self.data, *arguments], self._folder)
        (self.data / "pg_hba.conf").write_text(_HBA, encoding="utf-8")
        self._append(_SETTINGS)

    def _copy(self, primary: Server) -> None:
        source = f"host={primary.socket_folder} port={primary.port} user={self.user}"
        name = f"application_name={STANDBY}"
        arguments = ["-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", f"{source} {name}"]
        programs.run([programs.path("pg_basebackup"), "-D", self.data, *arguments], self._folder)

    def _append(self, settings: dict[str, str | int]) -> None:
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _is_ready(self) -> bool:
        """Return whether the lock file of this start says so, as `pg_ctl` does."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


STANDBY = "standby"
"""The name under which a standby follows its primary."""
