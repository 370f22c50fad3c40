"""A script and the task that waits for it.

The task is woken at once, within the browser's event that ended its transaction: through the event
loop's queue it would take another turn of the browser's, as long as a transaction itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar, cast

from mobstore.scripts.transaction import LoadingScript, Script

T = TypeVar("T")


class Call(Generic[T]):
    """Awaitable once, by one task: what asyncio asks of a future, and no more.

    Attributes:
        make: makes the script.
        loading: whether it is a loading script.
        alone: whether it must not share a transaction, since one that it shared has failed.
        careful: whether it must ask whether there are the rows that it adds, since some were there.
        ended: whether the script has ended and its writes were made.
        outcome: the script's result, if it has ended.
        error: why it failed.
        settled: whether the task has been told, or has given up waiting.
    """

    def __init__(
        self, make: Callable[[], Script[T] | LoadingScript[T]], *, loading: bool = False
    ) -> None:
        self.make: Callable[[], Script[T] | LoadingScript[T]] = make
        self.loading: bool = loading
        self.alone = loading
        self.careful = False
        self.ended = False
        self.outcome: T | None = None
        self.error: BaseException | None = None
        self.settled: bool = False
        self._cancelled: asyncio.CancelledError | None = None
        self._loop = asyncio.get_running_loop()
        self._wake: Callable[[], None] | None = None
        self._asyncio_future_blocking = False  # the name by which a task knows what to wait for

    def settle(self) -> None:
        """Wake the task; what it awaits next is what it runs until.

        What the task ends with is the event loop's, even where it ends the program: others wait
        for the same transaction.
        """
        if self.settled:
            return
        self.settled = True
        if self._wake is None:
            return
        if asyncio.current_task(self._loop) is None:
            try:
                self._wake()
            except BaseException as error:  # noqa: BLE001 - handed on
                self._loop.call_soon(_raise, error)
        else:  # Python waits within a task (`run_sync`), and two cannot run at once
            self._loop.call_soon(self._wake)

    def __await__(self) -> Generator[Any, Any, T]:
        if not self.settled:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def result(self) -> T:
        """What the script ended with; raises what it failed with."""
        if error := self._cancelled or self.error:
            raise error
        return cast("T", self.outcome)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop whose task may wait; asyncio asks for it."""
        return self._loop

    def add_done_callback(
        self, wake: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Take what wakes the task; asyncio gives it."""

        def run() -> None:
            if context is None:
                wake(self)
            else:
                context.run(wake, self)

        self._wake = run

    def cancel(self, msg: object = None) -> bool:
        """Stop waiting: a script that has not begun never will, one that has will be done."""
        if self.settled:
            return False
        self.settled = True
        self._cancelled = asyncio.CancelledError(*(() if msg is None else (msg,)))
        if self._wake is not None:
            self._loop.call_soon(self._wake)
        return True


def _raise(error: BaseException) -> None:
    raise error
