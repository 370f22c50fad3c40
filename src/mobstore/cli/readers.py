"""The reader of standard output: a command that follows a store ends when the reader exits."""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Coroutine
from typing import Any


async def run_until_reader_exits(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine, and cancel it when the reader of standard output exits.

    Raises:
        BrokenPipeError: the reader has exited.
    """
    task, exited = asyncio.current_task(), asyncio.ensure_future(_reader_exited())
    assert task is not None  # noqa: S101 - this is a coroutine

    def cancel(ended: asyncio.Future[None]) -> None:
        if not ended.cancelled():
            task.cancel()

    exited.add_done_callback(cancel)
    try:
        await work
    except asyncio.CancelledError:
        if not exited.done():
            raise
        task.uncancel()
        raise BrokenPipeError from None
    finally:
        exited.remove_done_callback(cancel)
        exited.cancel()


async def _reader_exited() -> None:
    """Wait until standard output has no reader; forever if the system does not report that."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always reported
        # Without POLLNVAL: some systems cannot poll terminals.
        exit_events = select.POLLERR | select.POLLHUP
    except (AttributeError, OSError):  # Windows; no descriptor
        await asyncio.Event().wait()
        return
    while not any(events & exit_events for _, events in poll.poll(0)):  # noqa: ASYNC110 - no event
        await asyncio.sleep(1)
