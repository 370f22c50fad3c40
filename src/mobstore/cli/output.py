"""Standard output and error: all text that is not the command line's own passes through here.

What shows nothing of itself, or what a terminal would obey, is escaped as `model.shown.plain` says,
as is what an encoding cannot hold. JSON stays JSON, with its own escapes: it can be read back, and
it does no harm to whoever looks at it.
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
from contextlib import suppress
from functools import lru_cache
from io import TextIOWrapper
from typing import Any, TextIO

import click
from rich.text import Text

from mobstore.errors import reason
from mobstore.model.text import bounded, plain, replace_invisible

LONGEST_CELL = 1_000
"""Characters of a cell or a name; `--json` has all of them."""
_LONGEST_MESSAGE = 2_000

_PIECE = 2**20  # characters of JSON that are escaped at once: they may become six times as many
_SIZE = re.compile(r"[0-9]{1,6}")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def configure() -> None:
    """Let no text end a command, whatever the encodings of its streams and its environment."""
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        # Else click would take standard output for it, and the next file its descriptor.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for name in ("COLUMNS", "LINES"):
        if not _SIZE.fullmatch(os.environ.get(name, "1")):  # rich would try to read it
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show(error: click.ClickException) -> None:
    """Print an error on standard error; its beginning and its end if it is very long."""
    message = plain(error.message)
    if len(message) > _LONGEST_MESSAGE:
        half = _LONGEST_MESSAGE // 2
        message = f"{message[:half]} … {message[-half:]}"
    vars(error).update(message=message)
    with suppress(OSError):  # the exit code tells, too
        error.show(sys.stderr)  # of its own accord click takes ASCII for UTF-8


def note(text: str) -> None:
    """Print a line on standard error, if it can be written."""
    with suppress(OSError):
        click.echo(bounded(text, _LONGEST_MESSAGE), file=sys.stderr)


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
    is_utf_8 = _is_utf_8(out)
    for start in range(0, len(text), _PIECE):
        piece = replace_invisible(
            text[start : start + _PIECE], _json_escape
        )  # only strings need it
        if not is_utf_8:
            piece = _BEYOND_ASCII.sub(lambda found: _json_escape(found[0]), piece)
        out.write(piece)
    out.write("\n")
    out.flush()  # whoever follows a store waits for it


@lru_cache(maxsize=1024)
def _json_escape(char: str) -> str:
    return "".join(
        f"\\u{unit:04x}" for unit in memoryview(char.encode("utf-16-le", "surrogatepass")).cast("H")
    )


def cell(of: object, style: str = "") -> Text:
    """Text for a cell or a line, at most `LONGEST_CELL` characters, all of them to be seen."""
    return Text(fitting(bounded(of, LONGEST_CELL)), style=style)


def fitting(text: str) -> str:
    """Text as standard output can show it; a table must know how wide that is."""
    if text.isascii():
        return text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _is_utf_8(stream: TextIO) -> bool:
    return codecs.lookup(stream.encoding or "utf-8").name == "utf-8"
