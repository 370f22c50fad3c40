"""The isolation of a store belongs to it, because two kinds do not notice each other."""

from __future__ import annotations

import asyncio

import pytest

from mobstore import Isolation, PostgresMobStores, UsageError, open_stores
from mobstore.testing.samples import event
from support.postgres.server import Server

KINDS: tuple[Isolation, ...] = ("read committed", "serializable")


def isolation_of_last_write(server: Server) -> str:
    """Return the isolation of the last transaction that the server has logged."""
    begins = [line for line in server.read_log().splitlines() if "READ WRITE" in line]
    return begins[-1].rpartition("LEVEL ")[2].removesuffix(" READ WRITE").lower()


@pytest.mark.parametrize("kind", KINDS)
def test_later_openings_use_it(postgres: Server, postgres_url: str, kind: Isolation) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url, isolation=kind):
            pass
        for opening in (PostgresMobStores.open(postgres_url), open_stores(postgres_url)):
            async with opening as stores:
                await stores.events.append(event("mob"))
                assert isolation_of_last_write(postgres) == kind

    postgres.configure(log_statement="all")
    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_another_one_is_rejected(postgres_url: str, kind: Isolation) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url, isolation=kind):
            with pytest.raises(UsageError, match=f"was created with isolation='{kind}'"):
                await PostgresMobStores.open(postgres_url, isolation=KINDS[1 - KINDS.index(kind)])

    asyncio.run(main())
