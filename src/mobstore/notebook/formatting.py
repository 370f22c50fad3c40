"""Moments, spans of time and values as text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from mobstore.model.text import cut
from mobstore.model.timestamp import Timestamp

_UNITS = ((60, "min", 1, "s"), (3_600, "h", 60, "min"), (86_400, "d", 3_600, "h"))

LONGEST_VALUE = 100
"""Characters of a value."""
MOST_NAMES = 8
"""Names in a row, such as those of the steps before one."""


def moment(at: Timestamp | datetime | None) -> str:
    """A moment in UTC to the second."""
    if at is None:
        return "-"
    return str(Timestamp(at)).removesuffix("Z").split(".")[0].replace("T", " ")


def instant(at: Timestamp) -> datetime | None:
    """A moment to reckon with; None where the year is not within 1 to 9999."""
    try:
        return at.to_datetime()
    except ValueError:
        return None


def span(time: timedelta) -> str:
    """How long: "412 ms", "13.2 s", "4 min 5 s", "2 h 10 min", "8 d 3 h"."""
    seconds = time.total_seconds()
    if seconds < 0:
        return f"-{span(-time)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    size, unit, lower_size, lower = max(one for one in _UNITS if one[0] <= seconds)
    whole, rest = divmod(int(seconds), size)
    return f"{whole:,} {unit}" + (f" {rest // lower_size} {lower}" if rest >= lower_size else "")


def value(of: object, most: int = LONGEST_VALUE) -> str:
    """Any value on one line: text as it stands, moments to the second, the rest as JSON."""
    if isinstance(of, (Timestamp, datetime)):
        return moment(of)
    if isinstance(of, (str, UUID)):
        return cut(str(of), most)
    return "" if of is None else cut(_json(of, most), most)


def fields(of: Mapping[str, object]) -> str:
    """Several values on one line, as `name=value name=value`; those that are None are left out."""
    return " ".join(
        f"{name}={value(part, 24 if isinstance(part, (dict, list)) else 60)}"
        for name, part in of.items()
        if part is not None
    )


def _json(of: object, most: int) -> str:
    """The JSON of a value, or at least its beginning, made in pieces: it may be huge."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(of):
        text += piece
        if len(text) > most:
            break
    return text


def named(name: str) -> str:
    """A name that may be empty."""
    return name or "(empty name)"


def joined(names: Sequence[str]) -> str:
    """Names in a row, at most `MOST_NAMES`."""
    shown = ", ".join(cut(named(name), 40) for name in names[:MOST_NAMES])
    left_out = len(names) - MOST_NAMES
    return shown if left_out <= 0 else f"{shown} and {left_out:,} more"
