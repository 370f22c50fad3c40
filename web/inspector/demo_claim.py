"""The claim of this tab on a demo run, renewed in the background while the tab plays."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mobstore import Claim, MobStores, run_claim_name
from mobstore.errors import MobStoreError

TTL = 4.0
"""Seconds until the claim of a tab that was closed or reloaded expires."""


class DemoClaim:
    """At most one claim, kept by a task of its own until it is released.

    If another tab takes the claim, it stays here, so that the next move meets the fence.
    """

    def __init__(self) -> None:
        self._stores: MobStores | None = None
        self._claim: Claim | None = None
        self._task: asyncio.Task[None] | None = None

    async def acquire(self, stores: MobStores, run_id: str, who: str) -> Claim | None:
        """Return the claim on a run, acquired now or before; None if another tab holds it."""
        name = run_claim_name(run_id)
        if self._claim is None or self._claim.name != name:
            await self.release()
            self._stores, self._claim = stores, await stores.claims.acquire(name, who, TTL)
        return self._claim

    def keep(self) -> None:
        """Renew the claim in the background from now on."""
        if self._claim is not None and self._stores is not None and self._task is None:
            self._task = asyncio.create_task(_keep(self._stores, self._claim))

    async def release(self) -> None:
        """Release the claim, if there is one; nothing happens if it is lost."""
        task, self._task = self._task, None
        claim, self._claim = self._claim, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if claim is not None and self._stores is not None:
            await self._stores.claims.release(claim)


async def _keep(stores: MobStores, claim: Claim) -> None:
    with suppress(MobStoreError):  # the fence says it to the next move
        async with stores.claims.keep(claim):
            await asyncio.Event().wait()
