"""The subject of the contract kit on a PostgreSQL server."""

from __future__ import annotations

from typing import ClassVar

from mobstore import Isolation, MobStores
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing import Capability, Subject
from support.postgres.server import Server, new_schema


class PostgresSubject(Subject):
    """Stores in a schema of their own, which is dropped at the end."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(("durable", "shared"))

    def __init__(self, server: Server, isolation: Isolation = "read committed") -> None:
        super().__init__()
        self._server = server
        self._isolation: Isolation = isolation
        self._schema = new_schema()

    async def connect(self) -> MobStores:
        url = self._server.url(schema=self._schema)
        return await PostgresMobStores.open(url, isolation=self._isolation, clock=self.clock)

    async def remove(self) -> None:
        self._server.drop_schema(self._schema)
