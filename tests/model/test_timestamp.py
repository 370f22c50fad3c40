"""Timestamps: reading, writing, and their order."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from copy import copy, deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import example, given, strategies as st

from mobstore import Timestamp


def days_from_civil(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 in the Gregorian calendar, for any year."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


class Moment(NamedTuple):
    """A time as text, with an offset in minutes."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int  # 60 in a leap second
    nano: int
    offset: int

    @property
    def instant(self) -> tuple[int, int, int]:
        """Return the sort key of a time: minutes since 1970 in UTC, the second, the fraction."""
        days = days_from_civil(self.year, self.month, self.day)
        return (days * 24 + self.hour) * 60 + self.minute - self.offset, self.second, self.nano

    @property
    def text(self) -> str:
        year = f"{self.year:04d}" if 0 <= self.year <= 9999 else f"{self.year:+05d}"
        sign, offset = "-" if self.offset < 0 else "+", abs(self.offset)
        return (
            f"{year}-{self.month:02d}-{self.day:02d}"
            f"T{self.hour:02d}:{self.minute:02d}:{self.second:02d}.{self.nano:09d}"
            f"{sign}{offset // 60:02d}:{offset % 60:02d}"
        )


# Years around every border of the text form, and few values of the rest, so that many are close.
years = st.one_of(
    st.sampled_from(
        [-262_141, -10_000, -9_999, -1, 0, 1, 1969, 1970, 2026, 9_999, 10_000, 262_141]
    ),
    st.integers(-262_141, 262_141),
)
moments = st.builds(
    Moment,
    years,
    st.sampled_from([1, 2, 3, 12]),
    st.sampled_from([1, 28]),
    st.sampled_from([0, 23]),
    st.sampled_from([0, 59]),
    st.sampled_from([0, 1, 59, 60]),
    st.sampled_from([0, 1, 999, 1_000, 999_999, 1_000_000, 500_000_000, 999_999_999]),
    st.sampled_from([0, 1, -1, 60, -60, 23 * 60 + 59, -(23 * 60 + 59)]),
)


# Order -------------------------------------------------------------------------------------------


@given(moments, moments)
def test_order_is_the_order_of_instants(one: Moment, other: Moment) -> None:
    first, second = Timestamp(one.text), Timestamp(other.text)
    assert (first < second) is (one.instant < other.instant)
    assert (first == second) is (one.instant == other.instant)
    assert (first >= second) is (one.instant >= other.instant)
    assert (first.sortable < second.sortable) is (one.instant < other.instant)
    if first == second:
        assert hash(first) == hash(second)
        assert str(first) == str(second)


@given(moments)
@example(Moment(262_142, 12, 31, 23, 59, 59, 0, 0))
@example(Moment(-262_142, 1, 1, 0, 0, 0, 0, 0))
def test_what_is_written_is_read_back(moment: Moment) -> None:
    stamp = Timestamp(moment.text)
    again = Timestamp(str(stamp))
    assert again == stamp
    assert str(again) == str(stamp)
    assert Timestamp.from_sortable(stamp.sortable) == stamp
    assert len(stamp.sortable) in {30, 33}  # two more and a letter outside the years 0 to 9999
    assert stamp.nanosecond == moment.nano
    assert Timestamp(stamp) == stamp


@pytest.mark.parametrize(
    "text",
    ["+262142-12-31T23:59:59-23:59", "-262142-01-01T00:00:00+00:01", "+262143-01-01T00:00:00Z"],
)
def test_at_the_end_of_time_what_is_accepted_can_be_read_back(text: str) -> None:
    try:
        stamp = Timestamp(text)
    except ValueError:
        return
    assert Timestamp(str(stamp)) == stamp


@given(moments)
def test_the_form_of_what_is_written(moment: Moment) -> None:
    written = str(Timestamp(moment.text))
    match = re.fullmatch(
        r"(\d{4}|\+\d{5,6}|-\d{4,6})-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{3}|\d{6}|\d{9}))?Z", written
    )
    assert match, written
    fraction = match[2] or ""
    assert not fraction.endswith("000")
    assert int(fraction.ljust(9, "0") or "0") == moment.nano


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-03-04T05:06:07.089Z", "2026-03-04T05:06:07.089Z"),
        ("2026-03-04T05:06:07Z", "2026-03-04T05:06:07Z"),
        ("2026-03-04T05:06:07.000000000Z", "2026-03-04T05:06:07Z"),
        ("2026-03-04T05:06:07.1Z", "2026-03-04T05:06:07.100Z"),
        ("2026-03-04T05:06:07.0001Z", "2026-03-04T05:06:07.000100Z"),
        ("2026-03-04T05:06:07.000000001Z", "2026-03-04T05:06:07.000000001Z"),
        ("2026-03-04T05:06:07.1234567899Z", "2026-03-04T05:06:07.123456789Z"),
        ("2026-03-04T05:06:07+02:00", "2026-03-04T03:06:07Z"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z"),
        ("2024-02-28T23:30:00-01:00", "2024-02-29T00:30:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"),
        ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.500Z"),
        ("2017-01-01T00:29:60+00:30", "2016-12-31T23:59:60Z"),
        ("+10000-01-01T00:00:00Z", "+10000-01-01T00:00:00Z"),
        ("9999-12-31T23:30:00-01:00", "+10000-01-01T00:30:00Z"),
        ("-0001-12-31T23:59:59Z", "-0001-12-31T23:59:59Z"),
        ("0000-01-01T00:00:00+01:00", "-0001-12-31T23:00:00Z"),
        ("0000-02-29T00:00:00Z", "0000-02-29T00:00:00Z"),
        # relaxed forms
        ("2026-03-04 05:06:07Z", "2026-03-04T05:06:07Z"),
        ("2026-03-04T05:06:07z", "2026-03-04T05:06:07Z"),
        ("2026-03-04T05:06:07UTC", "2026-03-04T05:06:07Z"),
        ("2026-03-04T05:06:07 UTC", "2026-03-04T05:06:07Z"),
        ("2026-03-04T05:06:07+0200", "2026-03-04T03:06:07Z"),
        ("2026-03-04T05:06:07 +02:00", "2026-03-04T03:06:07Z"),
        ("2026-3-4T5:6:7Z", "2026-03-04T05:06:07Z"),
        ("  2026-03-04T05:06:07Z", "2026-03-04T05:06:07Z"),
        ("2026-03-04T05:06:07-00:00", "2026-03-04T05:06:07Z"),
    ],
)
def test_reading(text: str, written: str) -> None:
    assert str(Timestamp(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-04",
        "2026-03-04T05:06Z",
        "2026-03-04T05:06:07",
        "2026-03-04t05:06:07Z",
        "2026-03-04T05:06:07.Z",
        "2026-03-04T05:06:07,5Z",
        "2026-03-04T24:00:00Z",
        "2026-03-04T05:60:00Z",
        "2026-03-04T05:06:61Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-03-04T05:06:07+24:00",
        "2026-03-04T05:06:07+02:60",
        "2026-03-04T05:06:07+02",
        "2026-03-04T05:06:07ZZ",
        "12026-03-04T05:06:07Z",
        "+999999-03-04T05:06:07Z",
        "\u0662026-03-04T05:06:07Z",
        "2026-03-04T05:06:07Z\0",
        "\ud800",
        "9" * 10_000,
        "+" + "9" * 10_000 + "-01-01T00:00:00Z",
    ],
)
def test_refused_texts(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Timestamp(text)


@given(st.text(alphabet="0123456789-+:.TZz UtCc", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        stamp = Timestamp(text)
    except ValueError:
        return
    assert Timestamp(str(stamp)) == stamp


# Datetimes ---------------------------------------------------------------------------------------


zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
aware = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - the zone comes from `timezones`
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=zones,
)


@given(aware, aware)
def test_compares_with_datetimes(one: datetime, other: datetime) -> None:
    stamp = Timestamp(one)
    assert stamp == one
    assert one == stamp
    assert hash(stamp) == hash(one)
    assert stamp.to_datetime() == one
    assert (stamp < other) is (one < other)
    assert (other < stamp) is (other < one)
    assert (stamp >= other) is (one >= other)


def test_a_nanosecond_is_more_than_the_same_datetime() -> None:
    moment = datetime(2026, 3, 4, tzinfo=UTC)
    stamp = Timestamp("2026-03-04T00:00:00.000000001Z")
    assert stamp > moment
    assert stamp != moment
    assert stamp.to_datetime() == moment


def test_a_naive_datetime_is_rejected() -> None:
    naive = datetime(2026, 3, 4)  # noqa: DTZ001 - that is the point
    stamp = Timestamp("2026-03-04T00:00:00Z")
    with pytest.raises(ValueError, match="pass a timezone-aware one"):
        Timestamp(naive)
    assert stamp != naive
    with pytest.raises(TypeError):
        _ = stamp < naive


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
)
def test_a_datetime_whose_utc_lies_outside_python_s_years(moment: datetime) -> None:
    """A timestamp has no such limit; it fails only as documented."""
    try:
        stamp = Timestamp(moment)
    except ValueError:
        return
    assert (stamp < Timestamp("2000-01-01T00:00:00Z")) is (moment.year == 1)


def test_comparing_with_such_a_datetime() -> None:
    edge = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))
    assert Timestamp("2000-01-01T00:00:00Z") != edge


@pytest.mark.parametrize("value", [None, 5, 1.5, b"2026-03-04T05:06:07Z", [], object()])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot be made from"):
        Timestamp(value)
    assert Timestamp.now() != value


def test_a_leap_second_is_the_end_of_its_minute_for_a_datetime() -> None:
    stamp = Timestamp("2016-12-31T23:59:60.250Z")
    assert stamp.to_datetime() == datetime(2016, 12, 31, 23, 59, 59, 999_999, UTC)
    assert stamp < Timestamp("2017-01-01T00:00:00Z")
    assert stamp > Timestamp("2016-12-31T23:59:59.999999999Z")


@pytest.mark.parametrize("text", ["-0001-01-01T00:00:00Z", "+10000-01-01T00:00:00Z"])
def test_no_datetime_for_such_years(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Timestamp(text).to_datetime()
    assert hash(Timestamp(text)) == hash(Timestamp(text))


def test_now_is_now() -> None:
    before = datetime.now(UTC)
    now = Timestamp.now()
    assert before <= now <= datetime.now(UTC)


def test_copies_and_pickles() -> None:
    stamp = Timestamp("2026-03-04T05:06:07.000000001Z")
    for again in (copy(stamp), deepcopy(stamp), pickle.loads(pickle.dumps(stamp))):  # noqa: S301
        assert again == stamp
        assert type(again) is Timestamp
    assert repr(stamp) == "Timestamp('2026-03-04T05:06:07.000000001Z')"


# Durations ---------------------------------------------------------------------------------------


def nanoseconds(moment: Moment) -> int:
    """Return the nanoseconds since 1970 in UTC; a leap second is the second after it."""
    minutes, second, nano = moment.instant
    return (minutes * 60 + second) * 10**9 + nano


def micros(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


durations = st.one_of(
    st.timedeltas(),
    st.timedeltas(timedelta(days=-400), timedelta(days=400)),
    st.timedeltas(timedelta(seconds=-2), timedelta(seconds=2)),
    st.sampled_from([timedelta(0), timedelta.resolution, timedelta(days=146_097)]),
)


@given(aware, st.timedeltas(timedelta(days=-300), timedelta(days=300)), aware)
def test_durations_are_those_of_datetimes(
    one: datetime, duration: timedelta, other: datetime
) -> None:
    stamp = Timestamp(one)
    assert stamp - other == stamp - Timestamp(other) == one - Timestamp(other) == one - other
    if 3 <= one.year <= 9996:
        assert stamp + duration == duration + stamp == one + duration
        assert stamp - duration == one - duration


@given(moments, durations)
@example(Moment(2016, 12, 31, 23, 59, 60, 250_000_001, 0), timedelta(0))
@example(Moment(262_142, 12, 31, 23, 59, 59, 999_999_999, 0), timedelta.resolution)
@example(Moment(-262_142, 1, 1, 0, 0, 0, 0, 0), -timedelta.resolution)
@example(Moment(-1, 12, 31, 23, 59, 60, 5, 0), timedelta(days=366))
def test_adding_is_exact_to_the_nanosecond(moment: Moment, duration: timedelta) -> None:
    stamp = Timestamp(moment.text)
    expected = nanoseconds(moment) + micros(duration) * 1000
    lowest = days_from_civil(-262_142, 1, 1) * 86_400 * 10**9
    end = days_from_civil(262_143, 1, 1) * 86_400 * 10**9
    if not lowest <= expected < end:
        with pytest.raises(OverflowError, match=r"."):
            _ = stamp + duration
        return
    after = stamp + duration
    assert Timestamp(str(after)) == after
    assert after.nanosecond == expected % 10**9
    epoch = Timestamp("1970-01-01T00:00:00Z")
    assert micros(after - epoch) == expected // 1000
    assert after.nanosecond % 1000 == stamp.nanosecond % 1000
    if moment.second < 60:
        assert after - stamp == duration
        assert after - duration == stamp
        assert (stamp < after) is (duration > timedelta(0))


@given(moments, moments)
def test_a_difference_is_rounded_down(one: Moment, other: Moment) -> None:
    difference = Timestamp(one.text) - Timestamp(other.text)
    assert micros(difference) == (nanoseconds(one) - nanoseconds(other)) // 1000


@pytest.mark.parametrize("duration", [timedelta.max, timedelta.min])
def test_the_longest_durations(duration: timedelta) -> None:
    for text in ("2016-12-31T23:59:60Z", "2026-03-04T05:06:07Z"):
        with pytest.raises(OverflowError):
            _ = Timestamp(text) + duration
        with pytest.raises(OverflowError):
            _ = Timestamp(text) - duration


@pytest.mark.parametrize("other", [None, 5, 1.5, "1", datetime(2026, 3, 4)])  # noqa: DTZ001 - a naive one
def test_what_has_no_duration(other: Any) -> None:
    stamp = Timestamp("2026-03-04T05:06:07Z")
    calculations: list[Callable[[], object]] = [
        lambda: stamp + other,
        lambda: other + stamp,
        lambda: stamp - other,
        lambda: other - stamp,
    ]
    for calculation in calculations:
        with pytest.raises(TypeError):
            calculation()
    with pytest.raises(TypeError):
        _ = stamp + cast("Any", stamp)
    with pytest.raises(TypeError):
        _ = timedelta(1) - cast("Any", stamp)


SORTABLE = (
    "2026-03-04T05:06:07.000000000Z",
    "2026-03-04T05:06:07.080000000Z",
    "2026-03-04T05:06:07.000100000Z",
    "2026-03-04T05:06:07.000089000Z",
    "2026-03-04T05:06:07.100000100Z",
    "2016-12-31T23:59:60.999999999Z",
)
FAR = ("Y012026-01-01T00:00:00.123000000Z", "-999956-03-15T12:00:00.000000001Z")


@pytest.mark.parametrize("texts", [(), SORTABLE[:1], SORTABLE, (*SORTABLE, *FAR), FAR])
def test_many_sortable_texts_are_read_as_one_by_one(texts: tuple[str, ...]) -> None:
    assert Timestamp.all_from_sortable(texts) == [Timestamp.from_sortable(text) for text in texts]
    assert Timestamp.json_from_sortable(texts) == [
        str(Timestamp.from_sortable(text)) for text in texts
    ]


@pytest.mark.parametrize(
    "texts",
    [
        (SORTABLE[0] + SORTABLE[1][:1], SORTABLE[1][1:]),
        (f"{SORTABLE[0]}\n{SORTABLE[1]}",),
        (f"{SORTABLE[0]}\n", SORTABLE[1]),
        (*SORTABLE, ""),
        ("", *SORTABLE),
        (*SORTABLE, "yesterday"),
        (SORTABLE[0][:-1],),
    ],
)
def test_many_texts_of_which_one_is_not_sortable(texts: tuple[str, ...]) -> None:
    for read in (Timestamp.all_from_sortable, Timestamp.json_from_sortable):
        with pytest.raises(ValueError, match="not the text of a timestamp"):
            read(texts)


def test_many_texts_of_which_one_is_not_text() -> None:
    wrong: Any = (*SORTABLE, 5)
    for read in (Timestamp.all_from_sortable, Timestamp.json_from_sortable):
        with pytest.raises(TypeError):
            read(wrong)
