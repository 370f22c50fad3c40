"""Standard output and error: what an encoding cannot hold comes out as backslash escapes.

JSON stays JSON: where the encoding is not UTF-8, its own escapes are used.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from io import TextIOWrapper
from typing import TextIO

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def configure() -> None:
    """Let no text end a command, whatever the encodings of its streams."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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
