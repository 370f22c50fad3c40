"""A tab that races with others for runs; see `support.claiming`."""

from __future__ import annotations

import asyncio
from typing import Any

from browser.inside.calls import send
from mobstore import open_stores
from support import claiming

NAPS = 12  # runs for each nap


async def ready() -> None:
    """Do nothing: the tab is ready to race once this has ended."""


async def work(name: str, holder: str, ttl: float, creates: bool, variant: str) -> None:
    """Execute runs until all have ended, and send what happens; sometimes block the event loop.

    Args:
        name: the database.
        holder: name of the tab.
        ttl: seconds.
        creates: whether this tab creates the runs.
        variant: one of `claiming.VARIANTS`.
    """
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        working = claiming.Worker(stores, holder, ttl, send, naps=NAPS).work()
        with claiming.VARIANTS[variant]():
            if creates:
                await asyncio.gather(working, claiming.create_runs(stores, ttl / 2))
            else:
                await working


async def check(name: str, notes: list[dict[str, Any]]) -> None:
    """Check what is stored against the messages of all tabs."""
    async with open_stores(f"indexeddb:{name}", create=False) as stores:
        await claiming.check(stores, notes)
