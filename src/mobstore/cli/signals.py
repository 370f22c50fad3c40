"""How a command runs, and how SIGTERM and SIGHUP end it: as Ctrl-C does, files removed, no words.

The first of them cancels the command, so that it undoes what it began; the second ends the process
at once, as it would without all this. What is to be ignored, as under nohup, stays ignored.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

from mobstore.cli import output

_NAMES = ("SIGTERM", "SIGHUP")  # Windows has no hang-up


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a command.

    Raises:
        SystemExit: it was told to end; with 128 and the signal's number, as shells count.
        KeyboardInterrupt: Ctrl-C.
    """
    heard: list[int] = []

    async def heeding() -> None:
        with _heeding(heard):
            await work

    try:
        asyncio.run(heeding())
    except BaseException:  # of a command that was told to end, nothing else matters
        if heard:
            sys.exit(128 + heard[0])
        raise


@contextmanager
def _heeding(heard: list[int]) -> Generator[None]:
    """Cancel the running task when a signal comes, and note which."""
    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[None]", asyncio.current_task())
    signals = _heeded()

    def default() -> None:
        for each in signals:
            signal.signal(each, signal.SIG_DFL)

    def end(number: int, _: FrameType | None) -> None:
        default()
        heard.append(number)
        if asyncio.current_task(loop) is not task:
            loop.call_soon_threadsafe(task.cancel)
            return
        # Maybe within a write that nobody reads: it would never come to where it is cancelled.
        # What standard output still holds would not be read, either.
        output.discard()
        raise asyncio.CancelledError

    for each in signals:
        signal.signal(each, end)
    try:
        yield
    finally:
        default()


def _heeded() -> list[signal.Signals]:
    """The signals that would end the process without a word."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = [signal.Signals[name] for name in _NAMES if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
