"""Handover of a thread's results to an event loop.

A signal handler may raise at any instruction of the main thread: celery's time limit, a watchdog.
An event loop logs an ordinary exception of a callback and continues, so a task would wait for ever
for the result that the callback was about to set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def hand_over(loop: asyncio.AbstractEventLoop, settle: Callable[[], None]) -> None:
    """Call a function on a loop; a second call must complete one that was interrupted.

    The function is called twice. If the first call is interrupted, even at its first instruction,
    the second completes it. Otherwise the second call has nothing to do.
    """
    with suppress(RuntimeError):  # the loop is closed, so no task waits
        loop.call_soon_threadsafe(settle)
        loop.call_soon_threadsafe(settle)


def outcome(done: Future[T]) -> asyncio.Future[T]:
    """Return a future of the running loop for a thread's future.

    Cancelling it does not cancel the work.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[T] = loop.create_future()

    # The thread's future is an argument: as a closure the two would refer to each other, and keep
    # a large result until the garbage collector runs.
    def settle(done: Future[T]) -> None:
        if not waiting.done():
            error = done.exception()
            if error is None:
                waiting.set_result(done.result())
            else:
                fail(waiting, error)

    done.add_done_callback(lambda done: hand_over(loop, partial(settle, done)))
    return waiting


def fail(waiting: asyncio.Future[T], error: BaseException) -> None:
    """Set the exception of a future."""
    try:
        waiting.set_exception(error)
    except TypeError as rejection:  # a future cannot raise StopIteration
        rejection.__cause__ = error
        waiting.set_exception(rejection)
