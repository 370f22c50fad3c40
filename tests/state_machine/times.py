"""Times of the oracle: nanoseconds since 1970, of any year."""

from __future__ import annotations

import re

_TIME = re.compile(r"([+-]?\d+)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?Z")
_DAY = 86_400 * 10**9


def to_nanoseconds(text: str) -> int:
    match = _TIME.fullmatch(text)
    assert match is not None, text
    year, month, day, hour, minute, second = map(int, match.groups("0")[:6])
    seconds = (hour * 60 + minute) * 60 + second
    return _days(year, month, day) * _DAY + seconds * 10**9 + int(f"{match[7] or '':0<9}")


def to_text(nanoseconds: int) -> str:
    days, rest = divmod(nanoseconds, _DAY)
    year = 1970 + days // 366 if days >= 0 else 1970 + days // 365 - 1
    while _days(year + 1, 1, 1) <= days:
        year += 1
    month = next(month for month in range(12, 0, -1) if _days(year, month, 1) <= days)
    day = days - _days(year, month, 1) + 1
    seconds, fraction = divmod(rest, 10**9)
    digits = f"{fraction:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    years = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+05d}"
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{years}-{month:02d}-{day:02d}T{clock}{'.' if digits else ''}{digits}Z"


def _days(year: int, month: int, day: int) -> int:
    """Return the days since 1970 in the Gregorian calendar, which is extended both ways."""
    year -= month <= 2  # years begin in March, so that the leap day is the last one
    days = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + days - 719_468
