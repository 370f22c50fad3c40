"""A primary server and a synchronous standby."""

from __future__ import annotations

import time

from support.postgres.endpoint import HOST, make_url
from support.postgres.server import STANDBY, Server


class Pair:
    """A primary whose commits wait until a streaming standby has written them to disk.

    Attributes:
        primary: the first server.
        standby: its copy; it accepts reads only, until `promote`.
    """

    def __init__(self, **settings: str | int) -> None:
        self.primary = Server(None, **settings)
        try:
            self.standby = Server(self.primary)
        except BaseException:
            self.primary.remove()
            raise
        self.primary.configure(synchronous_standby_names=STANDBY)
        self._wait_until_synchronous()

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def url(
        self,
        database: str = "postgres",
        schema: str | None = None,
        *,
        user: str = Server.user,
        password: str | None = None,
        **parameters: str | int,
    ) -> str:
        """Return a URL of both servers, which leads to the one that accepts writes."""
        address = f"{HOST}:{self.primary.port},{HOST}:{self.standby.port}"
        writable = {"target_session_attrs": "read-write", **parameters}
        return make_url(address, database, schema, user, password, writable)

    def kill_primary(self) -> None:
        """Send SIGKILL to all processes of the primary, and wait until they are gone."""
        self.primary.kill()

    def promote(self) -> None:
        """Make the standby a server that accepts writes; its commits wait for no other server."""
        assert self.standby.execute("SELECT pg_promote()") == [(True,)]

    def remove(self) -> None:
        """Stop both servers and delete their folders."""
        self.standby.remove()
        self.primary.remove()

    def wait_until_replayed(self) -> None:
        """Wait until reads on the standby find all commits; it acknowledges them before that."""
        ((written,),) = self.primary.execute("SELECT pg_current_wal_insert_lsn()::text")
        deadline = time.monotonic() + 30
        behind = f"SELECT pg_last_wal_replay_lsn() < '{written}'::pg_lsn"
        while self.standby.execute(behind) != [(False,)]:
            assert time.monotonic() < deadline, self.standby.read_log()
            time.sleep(0.01)

    def _wait_until_synchronous(self) -> None:
        deadline = time.monotonic() + 10
        while self.primary.execute("SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
            assert time.monotonic() < deadline, self.standby.read_log()
            time.sleep(0.01)
