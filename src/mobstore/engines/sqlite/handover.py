"""Handing over to an event loop what another thread has done.

The signal handler of a program may raise wherever its main thread is: celery's time limit, a
watchdog. An event loop logs an ordinary exception of a callback and goes on, so who waits for what
that callback was to bring would wait for ever.
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
    """Have a loop call something that, called again, goes on where it was interrupted.

    It is called twice: if the first call is interrupted, also at its very first instruction, the
    second does what is left. Otherwise the second finds nothing to do.
    """
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)
        loop.call_soon_threadsafe(settle)


def outcome(done: Future[T]) -> asyncio.Future[T]:
    """A future of the running loop for what another thread does.

    To cancel it does not cancel the work.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[T] = loop.create_future()

    # It is given the future, lest the two hold each other, and a large result, until the collector
    # comes.
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
    """Let whoever waits for a future have an error."""
    try:
        waiting.set_exception(error)
    except TypeError as refusal:  # StopIteration cannot be an awaitable's outcome
        refusal.__cause__ = error
        waiting.set_exception(refusal)
