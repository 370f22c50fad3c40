"""Engine calls: a script and the task that awaits it.

The task is woken within the browser's event that ended its transaction. Waking it through the
event loop's queue would cost another task of the browser, as long as a transaction itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar, cast

from mobstore.scripts.transaction import LoadingScript, Script

T = TypeVar("T")


class Call(Generic[T]):
    """An engine call, awaitable once by one task; implements only what asyncio needs of a future.

    Attributes:
        make: creates the script.
        loading: whether it is a loading script.
        alone: whether it must not share a transaction: a loading script, or a retry.
        careful: whether to read first if the added rows exist; set once an added key was in use.
        ended: whether the script has ended and its writes have been made.
        outcome: the script's result, once it has ended.
        error: the reason for the failure.
        settled: whether the task has been woken or cancelled.
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
        self._asyncio_future_blocking = False  # a task requires it of what it awaits

    def settle(self) -> None:
        """Wake the task, which runs until it next awaits something.

        An exception that ends the program is passed to the event loop, because other tasks wait
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
            except BaseException as error:  # noqa: BLE001 - passed on
                self._loop.call_soon(_raise, error)
        else:  # Python waits within a task (`run_sync`), and two tasks cannot run at once
            self._loop.call_soon(self._wake)

    def __await__(self) -> Generator[Any, Any, T]:
        if not self.settled:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def result(self) -> T:
        """Return the script's result, or raise the error with which it failed."""
        if error := self._cancelled or self.error:
            raise error
        return cast("T", self.outcome)

    @property
    def cancelled(self) -> bool:
        """True once its task has stopped to wait for it."""
        return self._cancelled is not None

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop of the awaiting task; asyncio requires it."""
        return self._loop

    def add_done_callback(
        self, wake: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Set the function with which asyncio wakes the task."""

        def run() -> None:
            if context is None:
                wake(self)
            else:
                context.run(wake, self)

        self._wake = run

    def cancel(self, msg: object = None) -> bool:
        """Stop waiting; a script that has not started is skipped."""
        if self.settled:
            return False
        self.settled = True
        self._cancelled = asyncio.CancelledError(*(() if msg is None else (msg,)))
        if self._wake is not None:
            self._loop.call_soon(self._wake)
        return True


def _raise(error: BaseException) -> None:
    raise error
