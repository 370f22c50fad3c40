"""Databases opened with `read_only`."""

from __future__ import annotations

from typing import Any

from browser.inside.handles import described, error_of
from mobstore import MobStoreError, open_stores
from mobstore.testing.samples import event, make_run


async def cursors(name: str) -> list[int] | dict[str, Any]:
    """Return the cursors of all events of a database, or the error of opening it."""
    try:
        async with open_stores(f"indexeddb:{name}", read_only=True) as stores:
            return [one.cursor for one in await stores.events.replay_all()]
    except MobStoreError as error:
        return described(error)


async def writes(name: str) -> list[dict[str, Any] | None]:
    """Return the errors of calls that would write."""
    async with open_stores(f"indexeddb:{name}", read_only=True) as stores:
        return [
            await error_of(stores.events.append(event())),
            await error_of(stores.events.clear()),
            await error_of(stores.runs.create_run(make_run(1))),
            await error_of(stores.compact()),
        ]
