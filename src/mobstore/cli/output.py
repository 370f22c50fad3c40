"""Standard output and error: what an encoding cannot hold comes out as backslash escapes.

JSON stays JSON: where the encoding is not UTF-8, its own escapes are used.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import re
import select
import sys
from collections.abc import Coroutine
from io import TextIOWrapper
from typing import Any, TextIO

from mobstore.errors import reason
from mobstore.model.shown import plain

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def configure() -> None:
    """Let no text end a command, whatever the encodings of its streams."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def refused(error: OSError) -> str:
    """What to say when standard output takes nothing; what it still holds is thrown away.

    Without that, Python would try again at its end, and fail with a traceback.
    """
    if error.filename is not None:
        return f"{plain(error.filename)} cannot be used: {reason(error)}"
    discard()
    return f"standard output cannot be written: {reason(error)}; is there room?"


def discard() -> None:
    """Throw away what standard output still holds, and whatever comes after."""
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - for its descriptor
        os.dup2(nothing.fileno(), sys.stdout.fileno())


async def while_read(work: Coroutine[Any, Any, None]) -> None:
    """Do something while anybody can read standard output.

    Raises:
        BrokenPipeError: the reader has gone.
    """
    task, gone = asyncio.current_task(), asyncio.ensure_future(_reader_gone())
    assert task is not None  # noqa: S101 - this is a coroutine

    def end(ended: asyncio.Future[None]) -> None:
        if not ended.cancelled():
            task.cancel()

    gone.add_done_callback(end)
    try:
        await work
    except asyncio.CancelledError:
        if not gone.done():
            raise
        task.uncancel()
        raise BrokenPipeError from None
    finally:
        gone.remove_done_callback(end)
        gone.cancel()


async def _reader_gone() -> None:
    """Wait until nobody can read standard output any more; for ever where that is not told."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are told in any case
        gone = select.POLLERR | select.POLLHUP  # not POLLNVAL: some systems poll no terminals
    except (AttributeError, OSError):  # Windows; no descriptor
        await asyncio.Event().wait()
        return
    while not any(told & gone for _, told in poll.poll(0)):  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(1)


def json_line(value: object, stream: TextIO | None = None) -> None:
    """Print a value as a line of JSON, on standard output unless told otherwise."""
    json_text(json.dumps(value, default=repr, ensure_ascii=False), stream)


def json_text(text: str, stream: TextIO | None = None) -> None:
    """Print JSON text as a line, on standard output unless told otherwise."""
    out = stream or sys.stdout
    if not _is_utf_8(out):
        # Outside of strings JSON is ASCII.
        text = _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    out.write(f"{text}\n")
    out.flush()  # whoever follows a store waits for it


def fitting(text: str) -> str:
    """Text as standard output can show it; a table must know how wide that is."""
    if text.isascii():
        return text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _is_utf_8(stream: TextIO) -> bool:
    return codecs.lookup(stream.encoding or "utf-8").name == "utf-8"
