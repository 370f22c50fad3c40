"""SIGTERM and SIGHUP: they end a command as Ctrl-C does, files removed and without a message.

The first signal cancels the command, so that it undoes its work. The second ends the process at
once, by the default action. Signals that are ignored, as SIGHUP is under nohup, stay ignored.
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

_NAMES = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


def run(command: Coroutine[Any, Any, None]) -> None:
    """Run a command.

    Raises:
        SystemExit: a signal ended it; the code is 128 and the number of the signal.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    received: list[int] = []

    async def handle_and_run() -> None:
        with _handlers(received):
            await command

    try:
        asyncio.run(handle_and_run())
    except BaseException:  # after a signal, no other error matters
        if received:
            sys.exit(128 + received[0])
        raise


@contextmanager
def _handlers(received: list[int]) -> Generator[None]:
    """Cancel the running task at the first signal, and record its number."""
    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[None]", asyncio.current_task())
    signals = _handled()

    def reset() -> None:
        for each in signals:
            signal.signal(each, signal.SIG_DFL)

    def end(number: int, _: FrameType | None) -> None:
        reset()
        received.append(number)
        if asyncio.current_task(loop) is not task:
            loop.call_soon_threadsafe(task.cancel)
            return
        # The task may be blocked in a write without a reader, and would never reach an await.
        # The buffer of standard output has no reader, either.
        output.discard_output()
        raise asyncio.CancelledError

    for each in signals:
        signal.signal(each, end)
    try:
        yield
    finally:
        reset()


def _handled() -> list[signal.Signals]:
    """Return the signals whose default action would end the process."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = [signal.Signals[name] for name in _NAMES if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
