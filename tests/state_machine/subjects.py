"""Subjects of the machine: stores that can be opened again, also while they are open."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import mobstore
from mobstore import MobEvent, MobStores, NewMobEvent, Timestamp
from state_machine.elsewhere import Elsewhere
from support.pending import PendingEngine

if TYPE_CHECKING:
    from support.postgres.server import Server


class Subject(ABC):
    """Stores that can be opened again; durable engines keep their content.

    Attributes:
        shared: whether they can be opened again while they are open.
        elsewhere: another process that can open them.
    """

    shared = False
    elsewhere: Elsewhere | None = None

    def __init__(self) -> None:
        self.now = "2026-03-04T05:06:07Z"

    def clock(self) -> Timestamp:
        return Timestamp(self.now)

    @abstractmethod
    async def open(self, way: int = 0, *, read_only: bool = False) -> MobStores:
        """Open them, in one of several ways that must not differ."""

    async def reopen(self, stores: MobStores, way: int) -> MobStores:
        """Close and open them, if they keep their content."""
        await stores.close()
        return await self.open(way)

    def append_elsewhere(self, event: NewMobEvent, way: int) -> MobEvent:
        """Let another process open them, append an event and close them."""
        raise NotImplementedError

    @abstractmethod
    def dispose(self) -> None:
        """Remove the files."""


class Memory(Subject):
    async def open(self, way: int = 0, *, read_only: bool = False) -> MobStores:  # noqa: ARG002
        return await mobstore.open_stores("memory:", clock=self.clock)

    async def reopen(self, stores: MobStores, way: int) -> MobStores:  # noqa: ARG002
        return stores

    def dispose(self) -> None:
        """Do nothing: there are no files."""


class Pending(Memory):
    """A subject whose operations see each other's writes as in one long atomic call."""

    async def open(self, way: int = 0, *, read_only: bool = False) -> MobStores:  # noqa: ARG002
        return MobStores(PendingEngine(), clock=self.clock)


class Sqlite(Subject):
    """A file that is opened by its own path and by symbolic links to it and to its directory."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        top = Path(self.directory.name)
        folder = top / "folder"
        folder.mkdir()
        (top / "link.db").symlink_to(folder / "mobs.db")
        (top / "linked").symlink_to(folder)
        (top / "far.db").symlink_to(top / "linked" / "mobs.db")
        self._paths = [folder / "mobs.db", top / "link.db", top / "linked/mobs.db", top / "far.db"]

    def _url(self, way: int) -> str:
        return f"sqlite:{self._paths[way]}"

    async def open(self, way: int = 0, *, read_only: bool = False) -> MobStores:
        return await mobstore.open_stores(
            self._url(way), durability="normal", clock=self.clock, read_only=read_only
        )

    def append_elsewhere(self, event: NewMobEvent, way: int) -> MobEvent:
        assert self.elsewhere is not None
        return self.elsewhere.append(self._url(way), event)

    def dispose(self) -> None:
        self.directory.cleanup()


class Postgres(Subject):
    """A schema that is opened through TCP and through a Unix socket.

    Attributes:
        server: where it is.
    """

    shared = True
    server: Server

    def __init__(self) -> None:
        from support.postgres.server import new_schema

        super().__init__()
        self._schema = new_schema()
        self._urls = [
            make(schema=self._schema) for make in (self.server.url, self.server.socket_url)
        ]

    async def open(self, way: int = 0, *, read_only: bool = False) -> MobStores:
        from mobstore.stores.postgres import PostgresMobStores

        return await PostgresMobStores.open(
            self._urls[way % 2],
            durability="full" if way > 1 else "normal",
            clock=self.clock,
            read_only=read_only,
        )

    def append_elsewhere(self, event: NewMobEvent, way: int) -> MobEvent:
        assert self.elsewhere is not None
        return self.elsewhere.append(self._urls[way % 2], event)

    def dispose(self) -> None:
        self.server.drop_schema(self._schema)
