"""The durability that the engine requests from the browser."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import open_stores
from mobstore.engines.indexeddb.database import Connection
from mobstore.testing.samples import event


async def of_transactions(options: dict[str, Any]) -> list[str]:
    """Return the durabilities of the writing transactions of a store with these options."""
    name, found, begin = f"durability-{uuid4()}", set[str](), Connection.begin

    def recording(connection: Connection, mode: Any) -> Any:
        transaction: Any = begin(connection, mode)
        found.add(transaction.durability)
        return transaction

    with patch.object(Connection, "begin", recording):
        async with open_stores(f"indexeddb:{name}", **options) as stores:
            await stores.events.append(event())
    await delete_database(name)
    return sorted(found)
