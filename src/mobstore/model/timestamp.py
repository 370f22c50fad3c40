"""Timestamps in UTC to the nanosecond, in the reference's form.

Python's `datetime` ends at microseconds and at the year 9999, and has no leap seconds; stored data
may have all three. A `Timestamp` is therefore text of fixed width, so that texts sort as times do:

    2026-03-04T05:06:07.089000000Z   years 0 to 9999
    Y012026-03-04T05:...             later years: Y (ISO 8601-2) and six digits
    -999999-03-04T05:...             earlier years: minus and 1000000 + year, so that they sort
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, total_ordering
from time import time_ns
from typing import Any, overload

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

# What chrono 0.4 reads: lenient about blanks and digits, strict about an upper-case "T".
_RELAXED = re.compile(
    r"\s*([+-][0-9]+|[0-9]{1,4})\s*-\s*([0-9]{1,2})\s*-\s*([0-9]{1,2})[T ]"
    r"\s*([0-9]{1,2})\s*:\s*([0-9]{1,2})\s*:\s*([0-9]{1,2})(?:\.([0-9]{1,9})[0-9]*)?"
    r"\s*(?:[Zz]|[Uu][Tt][Cc]|([+\-\u2212])([0-9]{2})[:\s]*([0-5][0-9]))"
)
_COMMON = re.compile(  # newer Pythons accept 24:00 as midnight; chrono does not
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z"
)
_MAX_YEAR = 262_142  # of chrono
# Sortable text with zeros as digits; comparing takes half the time of a pattern.
_FORM = b"0000-00-00T00:00:00.000000000Z"
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_FAR_FORMS = (b"Y000000" + _FORM[4:], b"-000000" + _FORM[4:])
_CYCLE = 400  # years after which the Gregorian calendar repeats
_CYCLE_START = 2000
_CYCLE_LENGTH = timedelta(days=146_097)


@total_ordering
class Timestamp:
    """A time in UTC, exact to the nanosecond; immutable, ordered, hashable.

    `str()` is the reference's JSON form: RFC 3339 with 0, 3, 6 or 9 fraction digits and `Z`.
    Compares with other timestamps and with timezone-aware datetimes.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, time: str | datetime | Timestamp) -> None:
        """Take RFC 3339 text with an offset, a timezone-aware datetime, or another timestamp.

        Raises:
            ValueError: the text is not a timestamp, or the datetime is naive.
        """
        if isinstance(time, Timestamp):
            self._text = time.sortable
        elif isinstance(time, str):
            self._text = _read(time)
        elif isinstance(time, datetime):
            if time.utcoffset() is None:
                raise ValueError("naive datetime; pass a timezone-aware one")
            try:
                utc = time.astimezone(UTC).replace(tzinfo=None)
            except OverflowError:  # in UTC, the year is 0 or 10000
                self._text = _read(time.isoformat())
            else:
                self._text = f"{utc.isoformat(timespec='microseconds')}000Z"
        else:
            # Not a TypeError: pydantic reports only a ValueError as a validation error.
            raise ValueError(f"a timestamp cannot be made from {type(time).__name__}")  # noqa: TRY004

    @classmethod
    def now(cls) -> Timestamp:
        """Return the current time of the system's clock."""
        seconds, nanoseconds = divmod(time_ns(), 1_000_000_000)
        return cls.from_sortable(f"{_second(seconds)}.{nanoseconds:09d}Z")

    @classmethod
    def from_sortable(cls, text: str) -> Timestamp:
        """Return the timestamp of a text that `sortable` returned. Only its form is checked.

        Raises:
            ValueError: the text is not of that form.
        """
        form = text.encode().translate(_ZEROS) if type(text) is str else b""
        if form != _FORM and form not in _FAR_FORMS:
            raise ValueError("not the text of a timestamp")
        timestamp = cls.__new__(cls)
        timestamp._text = text  # noqa: SLF001 - its own
        return timestamp

    @classmethod
    def all_from_sortable(cls, texts: Sequence[str]) -> list[Timestamp]:
        """Return the timestamps of texts as `from_sortable` does, in half the time.

        Raises:
            ValueError: a text is not of that form.
            TypeError: one is not text.
        """
        if not _are_common(texts):
            return list(map(cls.from_sortable, texts))
        new, timestamps = cls.__new__, list[Timestamp]()
        for text in texts:
            timestamp = new(cls)
            timestamp._text = text  # noqa: SLF001 - its own
            timestamps.append(timestamp)
        return timestamps

    @classmethod
    def json_from_sortable(cls, texts: Sequence[str]) -> list[str]:
        """Return `str()` of the timestamps of texts, without the timestamps. Raise as they do."""
        if not _are_common(texts):
            return [str(cls.from_sortable(text)) for text in texts]
        return list(map(_without_zeros, texts))

    @property
    def sortable(self) -> str:
        """Text of fixed width that sorts by time; the form in which stores keep timestamps."""
        return self._text

    @property
    def nanosecond(self) -> int:
        """The fraction of the second, 0 to 999,999,999."""
        return int(self._text[-10:-1])

    def to_datetime(self) -> datetime:
        """Return a datetime in UTC, cut to the microsecond; a leap second is :59.999999.

        Raises:
            ValueError: the year is not within 1 to 9999.
        """
        text = self._text
        if text[17:19] == "60":
            text = f"{text[:17]}59.999999999Z"
        return datetime.fromisoformat(text[:-4] + "+00:00")

    def __str__(self) -> str:
        text = self._text
        if text[0] == "Y":
            text = f"+{int(text[1:7])}{text[7:]}"
        elif text[0] == "-":
            text = f"-{1_000_000 - int(text[1:7]):04d}{text[7:]}"
        return _without_zeros(text)

    def __repr__(self) -> str:
        return f"Timestamp('{self}')"

    def __eq__(self, other: object) -> bool:
        text = _comparable(other)
        return NotImplemented if text is None else self._text == text

    def __lt__(self, other: Timestamp | datetime) -> bool:
        text = _comparable(other)
        return NotImplemented if text is None else self._text < text

    def __add__(self, duration: timedelta) -> Timestamp:
        """Return the time after a duration; a leap second counts as the second after it.

        Raises:
            OverflowError: the year is beyond those of the reference, -262142 to 262142.
        """
        if not isinstance(duration, timedelta):
            return NotImplemented
        text = self._text
        if text[0].isdigit() and text[17:19] != "60":
            try:  # five times as fast as computing in cycles
                time = datetime.fromisoformat(text[:26]) + duration
            except (ValueError, OverflowError):
                pass  # one of the years is 0, or beyond 9999
            else:
                return Timestamp.from_sortable(
                    f"{time.isoformat(timespec='microseconds')}{text[26:]}"
                )
        cycles, time, nanoseconds = _split(text)
        cycles += duration // _CYCLE_LENGTH
        time += duration % _CYCLE_LENGTH
        year = time.year + cycles * _CYCLE
        if abs(year) > _MAX_YEAR:
            raise OverflowError(f"a year is within -{_MAX_YEAR} to {_MAX_YEAR}")
        return Timestamp.from_sortable(
            f"{_sortable_year(year)}{time:-%m-%dT%H:%M:%S.%f}{nanoseconds:03d}Z"
        )

    __radd__ = __add__

    @overload
    def __sub__(self, other: timedelta) -> Timestamp: ...
    @overload
    def __sub__(self, other: Timestamp | datetime) -> timedelta: ...
    def __sub__(self, other: timedelta | Timestamp | datetime) -> Timestamp | timedelta:
        """Return the time before a duration, or the duration since another time.

        The duration is rounded down to the microsecond; leap seconds do not count in it, and a time
        within one is in the second after it.

        Raises:
            OverflowError: the year is beyond those of the reference, -262142 to 262142.
        """
        if isinstance(other, timedelta):
            return self + -other
        text = _comparable(other)
        if text is None:
            return NotImplemented
        cycles, time, nanoseconds = _split(self._text)
        other_cycles, other_time, other_nanoseconds = _split(text)
        borrowed = timedelta(microseconds=nanoseconds < other_nanoseconds)
        return time - other_time - borrowed + (cycles - other_cycles) * _CYCLE_LENGTH

    def __rsub__(self, other: datetime) -> timedelta:
        """Return the duration from this time to a datetime, as `__sub__` does."""
        text = _comparable(other)
        return NotImplemented if text is None else Timestamp.from_sortable(text) - self

    def __hash__(self) -> int:
        try:
            return hash(self.to_datetime())  # equal datetimes must have equal hashes
        except ValueError:
            return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if type(value) is cls else cls(value),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


def _are_common(texts: Sequence[str]) -> bool:
    """Return whether all texts have the sortable form of the years 0 to 9999."""
    # The form has no line break, so the lines are the texts.
    forms = "\n".join(texts).encode().translate(_ZEROS)
    return forms == b"\n".join([_FORM] * len(texts))


def _without_zeros(text: str) -> str:
    """Cut nine fraction digits to 0, 3, 6 or 9."""
    if not text.endswith("000Z"):
        return text
    if text.endswith(".000000000Z"):
        return f"{text[:-11]}Z"
    return f"{text[:-7]}Z" if text.endswith("000000Z") else f"{text[:-4]}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def _comparable(other: object) -> str | None:
    if isinstance(other, Timestamp):
        return other.sortable
    if isinstance(other, datetime) and other.utcoffset() is not None:
        return Timestamp(other).sortable
    return None


def _read(text: str) -> str:
    if common := _COMMON.fullmatch(text):
        seconds, fraction = common.groups("")
        try:
            datetime.fromisoformat(seconds)  # ten times faster than the general pattern
        except ValueError:
            pass  # year 0, a leap second, or not a time
        else:
            return f"{seconds}.{fraction:0<9}Z"
    match = _RELAXED.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 timestamp with an offset")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    leap = second == 60
    # The calendar repeats, so any year can be computed in the cycle that starts in 2000.
    cycles = (year - _CYCLE_START) // _CYCLE
    time = datetime(year - cycles * _CYCLE, month, day, hour, minute, 59 if leap else second)  # noqa: DTZ001 - the offset is subtracted below
    if sign:
        if int(offset_hours) > 23:
            raise ValueError("an offset is less than a day")
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
        time += -offset if sign == "+" else offset
    year = time.year + cycles * _CYCLE
    if abs(year) > _MAX_YEAR:
        raise ValueError(f"a year is within -{_MAX_YEAR} to {_MAX_YEAR}")
    seconds = "60" if leap else f"{time.second:02d}"
    return f"{_sortable_year(year)}{time:-%m-%dT%H:%M}:{seconds}.{fraction or '':0<9}Z"


def _sortable_year(year: int) -> str:
    if year > 9999:
        return f"Y{year:06d}"
    return f"-{1_000_000 + year:06d}" if year < 0 else f"{year:04d}"


def _split(text: str) -> tuple[int, datetime, int]:
    """Return the parts of sortable text with which to calculate.

    Returns:
        Cycles of the calendar, the time within the cycle that starts in 2000, and the nanoseconds
        beyond its microseconds. A leap second is the second after it.
    """
    if text[0] == "Y":
        year, rest = int(text[1:7]), text[7:]
    elif text[0] == "-":
        year, rest = int(text[1:7]) - 1_000_000, text[7:]
    else:
        year, rest = int(text[:4]), text[4:]
    cycles, year = divmod(year - _CYCLE_START, _CYCLE)
    leap = rest[13:15] == "60"
    second = "59" if leap else rest[13:15]
    time = datetime.fromisoformat(f"{_CYCLE_START + year}{rest[:13]}{second}{rest[15:-4]}")
    return cycles, time + timedelta(seconds=leap), int(rest[-4:-1])
