"""Standard output and error: all stored text, arguments and file names pass through here.

Invisible characters and those that a terminal would interpret are escaped by `model.text.plain`.
So are characters that the encoding of the stream does not have. JSON uses its own escapes: it can
be read back exactly, and is harmless in a terminal.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from contextlib import suppress
from functools import lru_cache
from io import TextIOWrapper
from typing import TextIO

import click

from mobstore.errors import InternalError, MobStoreError, reason
from mobstore.model.text import bounded, plain, replace_invisible
from mobstore.stores.urls import shown_url

_LONGEST_MESSAGE = 2_000

_PIECE = 2**20  # characters of JSON that are escaped at once: escapes are up to six times as long
_SIZE = re.compile(r"[0-9]{1,6}")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def error_text(error: MobStoreError) -> str:
    """Return an error's text; without the kind if it is "Internal error", which suggests a bug."""
    return error.detail if isinstance(error, InternalError) else str(error)


def configure() -> None:
    """Configure the streams so that no text, encoding or variable makes a command fail."""
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        # Otherwise click would use standard output, and the next file would get descriptor 2.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for name in ("COLUMNS", "LINES"):
        if not _SIZE.fullmatch(os.environ.get(name, "1")):  # rich would fail to parse it
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show_error(error: click.ClickException) -> None:
    """Print an error on standard error; a very long one loses its middle."""
    message = plain(_without_passwords(error.message))
    if len(message) > _LONGEST_MESSAGE:
        half = _LONGEST_MESSAGE // 2
        message = f"{message[:half]} … {message[-half:]}"
    vars(error).update(message=message)
    with suppress(OSError):  # the exit code remains
        error.show(sys.stderr)  # by default click takes ASCII for UTF-8


def _without_passwords(message: str) -> str:
    """Return a message without passwords: click quotes arguments that it does not expect."""
    for argument in sys.argv[1:]:
        for text in (argument, *argument.split("=", 1)):
            if (shown := shown_url(text)) != text:
                for quoted in (text, repr(text)[1:-1]):
                    message = message.replace(quoted, shown)
    return message


def print_note(text: str) -> None:
    """Print a line on standard error if it can be written."""
    with suppress(OSError):
        click.echo(bounded(text, _LONGEST_MESSAGE), file=sys.stderr)


def describe_os_error(error: OSError) -> str:
    """Return the message for an error of a file or of standard output.

    The buffer of standard output is discarded after its error. Otherwise Python would write it
    again at exit, and print a traceback.
    """
    if error.filename is not None:
        return f"{plain(error.filename)} cannot be used: {reason(error)}"
    discard_output()
    return f"standard output cannot be written: {reason(error)}; is the disk full?"


def discard_output() -> None:
    """Discard the buffer of standard output, and all later output."""
    with open(os.devnull, "wb") as null:  # noqa: PTH123 - for its descriptor
        os.dup2(null.fileno(), sys.stdout.fileno())


def json_line(value: object, stream: TextIO | None = None) -> None:
    """Print a value as a line of JSON, by default on standard output."""
    json_text(json.dumps(value, default=repr, ensure_ascii=False), stream)


def json_text(text: str, stream: TextIO | None = None) -> None:
    """Print JSON text as a line, by default on standard output."""
    out = stream or sys.stdout
    is_utf_8 = _is_utf_8(out)
    for start in range(0, len(text), _PIECE):
        # Only strings contain characters to escape.
        piece = replace_invisible(text[start : start + _PIECE], _json_escape)
        if not is_utf_8:
            piece = _BEYOND_ASCII.sub(lambda found: _json_escape(found[0]), piece)
        out.write(piece)
    out.write("\n")
    out.flush()  # the reader of --follow waits for it


@lru_cache(maxsize=1024)
def _json_escape(char: str) -> str:
    return "".join(
        f"\\u{unit:04x}" for unit in memoryview(char.encode("utf-16-le", "surrogatepass")).cast("H")
    )


def _is_utf_8(stream: TextIO) -> bool:
    return codecs.lookup(stream.encoding or "utf-8").name == "utf-8"
