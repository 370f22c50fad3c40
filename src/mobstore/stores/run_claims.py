"""Claiming runs to execute, one after the other."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from mobstore.codec.arguments import choice, mob_and_flow, positive
from mobstore.codec.claims import holder_text, microseconds
from mobstore.codec.runs import UNFINISHED_STATUSES
from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.errors import MobStoreError, UsageError
from mobstore.model.claim import RunClaim
from mobstore.operations import claims
from mobstore.operations.claims import Work
from mobstore.scripts.transaction import Engine
from mobstore.stores.subscription import Subscription

if TYPE_CHECKING:
    import asyncio

_LONGEST_WAIT = 60.0  # seconds, since clocks may be set


def to_work(
    holder: str,
    ttl: float | timedelta,
    *,
    statuses: Collection[str],
    mob_id: str | None,
    flow_id: str | None,
    most: int | None,
) -> Work:
    """Check which runs a worker executes.

    Raises:
        UsageError: an argument is wrong, or a flow is passed without its mob.
    """
    if isinstance(statuses, str) or not isinstance(statuses, Collection) or not statuses:
        raise UsageError("statuses must be one or more of pending, running")
    return Work(
        holder_text(holder),
        microseconds(ttl, "ttl"),
        tuple(sorted({choice(one, UNFINISHED_STATUSES, "a status") for one in statuses})),
        *mob_and_flow(mob_id, flow_id),
        None if most is None else positive(most, "most"),
    )


class RunClaims(Subscription[RunClaim]):
    """An iterator over claims on runs, from `MobRunStore.claims`.

    Claiming is a task of its own: one that waits for it may be cancelled, and must not lose a
    claim that was committed. The next step, or `aclose`, continues with that task.
    """

    def __init__(self, engine: Engine, work: Work) -> None:
        if isinstance(engine, ReadOnlyEngine):
            raise UsageError("the store was opened read-only; open it without read_only to claim")
        super().__init__(engine, claims.due_runs(work))
        self._work = work
        self._claiming: asyncio.Task[RunClaim | None] | None = None
        self._ready: RunClaim | None = None

    def _next(self) -> RunClaim | None:
        found, self._ready = self._ready, None
        return found

    async def _read(self) -> bool:
        """Claim a run if one is due, else compute how long to wait."""
        import asyncio

        if self._claiming is None:
            pause = await self._engine.read(lambda: claims.pause_of(self._work))
            if self._over:
                return True
            # The end of a claim that it holds is not found in the index of its mob.
            is_new = self._listen().hear({name: claims.scan_of(name) for name in pause.held})
            if (seconds := pause.seconds) != 0:
                self._patience = None if seconds is None else min(seconds, _LONGEST_WAIT)
                return not is_new
            self._claiming = asyncio.create_task(self._claim())
        claiming = self._claiming
        await asyncio.wait((claiming,))
        if self._claiming is claiming:  # else `aclose` releases it
            self._claiming = None
            self._ready = claiming.result()
        return False  # None: another worker was faster, or the clock was set

    async def _claim(self) -> RunClaim | None:
        return await self._engine.write(lambda: claims.claim_next(self._work))

    async def aclose(self) -> None:
        """End it, and release a claim that no task has received; may be called twice."""
        import asyncio

        self._end()
        claiming, self._claiming = self._claiming, None
        if claiming is not None:  # a cancelled task must not interrupt this
            await asyncio.shield(asyncio.create_task(self._release(claiming)))

    async def _release(self, claiming: asyncio.Task[RunClaim | None]) -> None:
        with suppress(MobStoreError):
            claim = await claiming
            if claim is not None:
                await self._engine.write(lambda: claims.release(claim, None))
