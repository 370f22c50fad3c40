"""What follows a store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Subscription(AsyncIterator[T_co]):
    """What `subscribe` and `watch` give: the next one whenever there is one.

    It holds its place and nothing else. A task that is cancelled while it waits, as by
    `asyncio.wait_for(anext(subscription), 5)`, may ask again: nothing was missed. So may one that
    got an error; what is still wrong raises again.

    Use it in `async for`, or ask with `anext`. Leave it by `aclose`, best by `async with`; one
    that nobody holds any more closes itself.
    """

    @abstractmethod
    async def __anext__(self) -> T_co:
        """Wait for the next one.

        Raises:
            StopAsyncIteration: there will be none; or the subscription was closed, also while
                this task waited.
            InternalError: another task waits already; or this is another event loop than that in
                which it was first asked; or the store is closed.
            ReadFailedError: the store's medium failed, or is gone.

        Contract: events.subscribe.cancelled-step, events.subscribe.one-task,
        events.subscribe.leaving.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Leave the store alone from now on; closing twice is fine.

        Contract: events.subscribe.leaving.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
