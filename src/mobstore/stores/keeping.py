"""Keeping a claim: renewing it in the background while a block runs.

* The task that entered the block is cancelled at most once, and only while it is in the block.
* On leaving, that cancellation is taken back as in `asyncio.timeout`, so that those by others,
  before or at the same time, are never swallowed.
* A claim that is released within the block may have another holder before the background task can
  see that it was released. So this process announces each release to its blocks. A release that
  was not announced, as by an operator, is a loss.
"""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from mobstore.errors import ClaimLostError, ClosedError, UsageError
from mobstore.model.claim import Claim
from mobstore.operations import claims
from mobstore.scripts.transaction import Engine
from mobstore.stores.base import NotPicklable
from mobstore.stores.subscription import CommitSignal

if TYPE_CHECKING:
    import asyncio

_RENEWALS = 3  # within the time to live
_PAUSE = 0.2  # seconds after a failed renewal
_LATE = "it could not be renewed before it expired"

entered: dict[int, Keeping] = {}  # by `id`; a dict is changed and copied at once, on any thread


def expect_release(name: str, claim: Claim | None = None) -> None:
    """Announce that a claim on a name will end, perhaps in an atomic call; None: any claim."""
    for keeping in list(entered.values()):
        keeping.expect_release(name, claim)


class Keeping(NotPicklable):
    """A context that keeps a claim, from `ClaimStore.keep`; enter it once."""

    def __init__(self, engine: Engine, claim: Claim) -> None:
        self._engine, self._claim = engine, claim
        self._task: asyncio.Task[object] | None = None
        self._renewing: asyncio.Task[None]
        self._cancels = 0  # of the task, before the block
        self._released = False
        self._lost: ClaimLostError | None = None

    async def __aenter__(self) -> Claim:
        """Renew the claim, and return it.

        Raises:
            ClaimLostError: it is lost.
            UsageError: it was entered before, or there is no task.
        """
        import asyncio

        task = asyncio.current_task()
        if task is None or self._task is not None:
            raise UsageError("keep needs a task, and can be entered once")
        self._task = task
        signal = CommitSignal(
            self._engine, claims.scan_of(self._claim.name), asyncio.get_running_loop()
        )
        try:
            began = monotonic()
            self._claim = await self._engine.write(lambda: claims.renew(self._claim, None))
        except BaseException:
            signal.close()
            raise
        self._cancels = task.cancelling()
        entered[id(self)] = self
        self._renewing = asyncio.create_task(self._keep(signal, began))
        self._renewing.add_done_callback(self._ended)
        # Not in the task, which is cancelled before its first step if the block never waits.
        self._renewing.add_done_callback(lambda _: signal.close())
        return self._claim

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import asyncio

        if entered.pop(id(self), None) is not None and self._lost is None:
            self._renewing.cancel()
            await asyncio.wait((self._renewing,))
        if self._lost is None or self._task is None:
            return
        cancelled_by_others = self._task.uncancel() > self._cancels
        if kind is None or (kind is asyncio.CancelledError and not cancelled_by_others):
            raise self._lost from (self._lost.__cause__ or error)

    def expect_release(self, name: str, claim: Claim | None) -> None:
        """Announce that a claim on a name will end; None: any claim."""
        kept = self._claim
        ends = claim is None or (claim.holder, claim.epoch) == (kept.holder, kept.epoch)
        if name == kept.name and ends:
            self._released = True

    async def _keep(self, signal: CommitSignal, renewed: float) -> None:
        """Renew the claim until it is released; cancel the block once it is lost.

        Args:
            signal: signals commits that may have changed the claim.
            renewed: the time before the last renewal, by the monotonic clock.
        """
        import asyncio

        pause = min(_PAUSE, self._claim.ttl / _RENEWALS)
        expiry, due = renewed + self._claim.ttl, renewed + self._claim.ttl / _RENEWALS
        while True:
            await signal.wait(due - monotonic())
            signal.clear()
            now = monotonic()
            try:
                # A frozen process gets time for one attempt: perhaps the claim is still its.
                async with asyncio.timeout(max(expiry - now, pause)):
                    await (self._check() if now < due else self._renew())
                if now >= due:
                    expiry, due = now + self._claim.ttl, now + self._claim.ttl / _RENEWALS
            except (ClaimLostError, ClosedError) as error:
                self._lose(error)
                return
            except Exception as error:  # noqa: BLE001 - it is not renewed, whatever the reason
                due = monotonic() + pause
                if due >= expiry:
                    self._lose(error)
                    return

    def _ended(self, renewing: asyncio.Task[None]) -> None:
        """Count the claim as lost if renewing has failed, as by a signal handler that raises."""
        if not renewing.cancelled() and isinstance(error := renewing.exception(), Exception):
            self._lose(error)

    async def _renew(self) -> None:
        """Renew the claim, or raise ClaimLostError."""
        await self._engine.write(lambda: claims.renew(self._claim, None))

    async def _check(self) -> None:
        """Raise ClaimLostError if the claim is lost."""
        await self._engine.read(lambda: claims.hold(self._claim))

    def _lose(self, error: Exception) -> None:
        """Cancel the block, unless it has been left or has released the claim."""
        if id(self) not in entered or self._released or self._task is None:
            return
        if not isinstance(error, ClaimLostError):
            why = "the store was closed" if isinstance(error, ClosedError) else _LATE
            lost, lost.__cause__ = claims.lost(self._claim, why), error
            error = lost
        self._lost = error
        self._task.cancel()
