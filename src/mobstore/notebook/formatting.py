"""Times, durations, values and names as text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from mobstore.model.text import cut
from mobstore.model.timestamp import Timestamp

_UNITS = ((60, "min", 1, "s"), (3_600, "h", 60, "min"), (86_400, "d", 3_600, "h"))

LONGEST_VALUE = 100
"""Characters of a value."""
_MOST_FIELDS = 100
MOST_NAMES = 8
"""Names in a list, such as the dependencies of a step."""


def format_time(time: Timestamp | datetime | None) -> str:
    """Return a time in UTC to the second."""
    if time is None:
        return "-"
    return str(Timestamp(time)).removesuffix("Z").split(".")[0].replace("T", " ")


def to_datetime(time: Timestamp) -> datetime | None:
    """Return a time as a datetime; None if its year is outside of 1 to 9999."""
    try:
        return time.to_datetime()
    except ValueError:
        return None


def format_duration(duration: timedelta) -> str:
    """Return a duration as text: "412 ms", "13.2 s", "4 min 5 s", "2 h 10 min", "8 d 3 h"."""
    seconds = duration.total_seconds()
    if seconds < 0:
        return f"-{format_duration(-duration)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    size, unit, lower_size, lower = max(one for one in _UNITS if one[0] <= seconds)
    whole, rest = divmod(int(seconds), size)
    return f"{whole:,} {unit}" + (f" {rest // lower_size} {lower}" if rest >= lower_size else "")


def format_value(value: object, most: int = LONGEST_VALUE) -> str:
    """Return a value on one line: text as it is, times to the second, other values as JSON."""
    if isinstance(value, (Timestamp, datetime)):
        return format_time(value)
    if isinstance(value, (str, UUID)):
        return cut(str(value), most)
    return "" if value is None else cut(_start_of_json(value, most), most)


def format_fields(fields: Mapping[str, object]) -> str:
    """Return the first fields on one line, as `name=value name=value`, without those of None."""
    return " ".join(
        f"{cut(name, 60)}={format_value(value, 24 if isinstance(value, (dict, list)) else 60)}"
        for name, value in islice(fields.items(), _MOST_FIELDS)
        if value is not None
    )


def _start_of_json(value: object, most: int) -> str:
    """Return the JSON of a value, or its beginning: it is built in pieces, as it may be huge."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece
        if len(text) > most:
            break
    return text


def name_text(name: str) -> str:
    """Return a name, or a placeholder for the empty name."""
    return name or "(empty name)"


def format_names(names: Sequence[str]) -> str:
    """Return the first `MOST_NAMES` names, separated by commas."""
    listed = ", ".join(cut(name_text(name), 40) for name in names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return listed if more <= 0 else f"{listed} and {more:,} more"
