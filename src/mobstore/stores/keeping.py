"""Keeping a claim: renewing it in the background while a block runs.

* The task that entered the block is cancelled at most once, and only while it is in the block.
* On leaving, that cancellation is taken back as in `asyncio.timeout`, so that those by others,
  before or at the same time, are never swallowed.
* A claim that is released within the block may have another holder before the background task can
  see that it was released. So calls within the block, which are found by a context variable, say
  beforehand that they may release it, and afterwards whether they did. Any other release is a loss,
  as by an operator in another task of this process.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar
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

_MOMENT = 0.01  # seconds between two looks at a call that may release the claim

_blocks: ContextVar[tuple[Keeping, ...]] = ContextVar("mobstore_blocks", default=())
"""The blocks that the running code is in."""
_atomic: ContextVar[Releases | None] = ContextVar("mobstore_releases", default=None)
"""The releases of the atomic call that runs."""


class Releases:
    """Releases of claims in one call, by the blocks that keep them; a context manager.

    If it is left without an error, the claims are released.

    Attributes:
        over: whether the call has ended.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._expected: list[tuple[Keeping, object]] = []
        self.over: bool = False

    def __enter__(self) -> Releases:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.over = True
        for keeping, release in self._expected:
            keeping.settle(release, released=kind is None)

    def enter(self, context: Context) -> None:
        """Collect the releases of the atomic call that runs in a context."""
        context.run(_atomic.set, self)

    def expect(self, name: str, claim: Claim | None) -> list[tuple[Keeping, object]]:
        """Expect a claim on a name to end; None: any claim."""
        kept = [one for one in _blocks.get() if one.keeps(self._engine, name, claim)]
        expected = [(keeping, keeping.expect_release()) for keeping in kept]
        self._expected += expected
        return expected

    def take_back(self, expected: list[tuple[Keeping, object]] | None = None) -> None:
        """Expect these no more, since nothing was released; None: none at all."""
        for one in list(self._expected) if expected is None else expected:
            if one in self._expected:
                self._expected.remove(one)
                one[0].settle(one[1], released=False)


@contextmanager
def releasing(
    engine: Engine, name: str, claim: Claim | None = None
) -> Generator[Callable[[], None]]:
    """Run a call that releases a claim on a name unless it raises; None: any claim.

    Yield a function that says that nothing was released.
    """
    with Releases(engine) as own:
        call = _atomic.get()
        if call is None or call.over:  # as in a task that an atomic call's function has started
            call = own
        expected = call.expect(name, claim)
        try:
            yield lambda: call.take_back(expected)
        except BaseException:
            call.take_back(expected)
            raise


class Keeping(NotPicklable):
    """A context that keeps a claim, from `ClaimStore.keep`; enter it once."""

    def __init__(self, engine: Engine, claim: Claim) -> None:
        self._engine, self._claim = engine, claim
        self._task: asyncio.Task[object] | None = None
        self._renewing: asyncio.Task[None]
        self._cancels = 0  # of the task, before the block
        self._is_inside = False
        self._releases = set[object]()  # calls under way that may release the claim
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
        self._is_inside = True
        _blocks.set((*_blocks.get(), self))
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

        _blocks.set(tuple([one for one in _blocks.get() if one is not self]))
        is_first, self._is_inside = self._is_inside, False
        if self._renewing.get_loop() is not asyncio.get_running_loop():
            raise UsageError(
                "keep was left in another event loop than it was entered in, whose end also ended"
                " the renewals; the claim may be lost"
            )
        if is_first and self._lost is None:
            self._renewing.cancel()
            await asyncio.wait((self._renewing,))
        if self._lost is None or self._task is None:
            return
        cancelled_by_others = self._task.uncancel() > self._cancels
        if kind is None or (kind is asyncio.CancelledError and not cancelled_by_others):
            raise self._lost from (self._lost.__cause__ or error)

    def keeps(self, engine: Engine, name: str, claim: Claim | None) -> bool:
        """Return whether this keeps a claim on a name in the engine's store; None: any claim."""
        kept = self._claim
        same = claim is None or (claim.holder, claim.epoch) == (kept.holder, kept.epoch)
        return engine is self._engine and name == kept.name and same

    def expect_release(self) -> object:
        """Expect the claim to be released by a call; return what `settle` takes."""
        release = object()
        self._releases.add(release)
        return release

    def settle(self, release: object, *, released: bool) -> None:
        """End a call that was expected to release the claim."""
        self._released = self._released or released
        self._releases.discard(release)

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
                while self._releases:  # noqa: ASYNC110 - one may be the reason; ends soon, rare
                    await asyncio.sleep(_MOMENT)
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
        if not self._is_inside or self._released or self._task is None:
            return
        if not isinstance(error, ClaimLostError):
            why = "the store was closed" if isinstance(error, ClosedError) else _LATE
            lost, lost.__cause__ = claims.lost(self._claim, why), error
            error = lost
        self._lost = error
        self._task.cancel()
