"""Times on the command line: a duration back from now, or a time."""

from __future__ import annotations

import re
from datetime import timedelta

import click

from mobstore.errors import UsageError
from mobstore.model.timestamp import Timestamp

_DURATION = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: Timestamp) -> Timestamp:
    """Return the time a duration before `now`, or the time that a text states.

    Args:
        text: a whole number of seconds, minutes, hours, days or weeks, such as 90s, 15m, 1h, 7d or
            2w; or an RFC 3339 time with an offset.
        now: the current time.

    Raises:
        UsageError: it is neither, or before the first year of a timestamp.
    """
    try:
        if duration := _DURATION.fullmatch(text):
            return now - timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        return Timestamp(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text[:40]!r} is neither a duration, such as 90s, 15m, 1h, 7d or 2w, nor a time, such"
            " as 2026-03-04T05:06:07Z"
        ) from error


def to_time(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> Timestamp | None:
    """Read an option that takes a time or a duration back from now, as its callback.

    Raises:
        click.BadParameter: it is neither.
    """
    try:
        return None if text is None else parse_since(text, Timestamp.now())
    except UsageError as error:
        raise click.BadParameter(error.detail) from error
