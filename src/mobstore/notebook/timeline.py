"""The timeline of a run: a lane for each member, a bar for each of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from mobstore.model.run import StepLedgerEntry
from mobstore.model.text import count, cut
from mobstore.notebook.bars import Bar, bars
from mobstore.notebook.formatting import format_duration, name_text, to_datetime
from mobstore.notebook.markup import Markup, block, inline, join, omission, symbol

BARS = 120
"""Steps: the last of the ledger, because a reader looks for what happens now."""
LINES = 60
"""Lines; a member has several if its steps overlap."""

_LINE = 22  # pixels
_NARROW = 5  # per cent of the width, below which a bar has no room for text
_RIGHTMOST = 99.4  # per cent; there even the shortest bar is inside
_TICKS = 6
_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 1800, 3600, 10_800, 21_600, 43_200),
)
_DAY = 86_400


class _TimedBar(NamedTuple):
    """A bar with its times; `end` is None while it is running."""

    bar: Bar
    start: datetime
    end: datetime | None


def timeline(ledger: Sequence[StepLedgerEntry]) -> Markup | None:
    """Draw the steps of a run over time; None if there are none."""
    if not ledger:
        return None
    found = bars((entry.step_id, entry.meerkat_id, entry.status) for entry in ledger)
    timed = [one for bar in found[-BARS:] if (one := _timed(bar, ledger))]
    lanes = _lanes(timed)
    drawn = [one for lane in lanes.values() for line in lane for one in line]
    return join(
        block("title", _title(found), inline("quiet", _since(drawn))),
        omission(len(found) - len(drawn), "step"),
        _grid(lanes, drawn) if drawn else None,
    )


def _title(found: Sequence[Bar]) -> str:
    members = len({bar.member_id for bar in found})
    return f"{count(len(found), 'step')} by {count(members, 'member')}"


def _since(drawn: Sequence[_TimedBar]) -> str:
    return f" since {min(one.start for one in drawn):%Y-%m-%d %H:%M:%S}" if drawn else ""


def _timed(bar: Bar, ledger: Sequence[StepLedgerEntry]) -> _TimedBar | None:
    start = to_datetime(ledger[bar.first].timestamp)
    end = None if bar.end is None else to_datetime(ledger[bar.end].timestamp)
    return None if start is None else _TimedBar(bar, start, end)


def _lanes(timed: list[_TimedBar]) -> dict[str, list[list[_TimedBar]]]:
    """Return lines of bars that do not overlap, by member."""
    lanes: dict[str, list[list[_TimedBar]]] = {one.bar.member_id: [] for one in timed}
    lines = 0
    for one in sorted(timed, key=lambda one: one.start):
        lane = lanes[one.bar.member_id]
        for line in lane:
            if line[-1].end is not None and line[-1].end <= one.start:
                line.append(one)
                break
        else:
            if lines < LINES:
                lane.append([one])
                lines += 1
    return {member: lane for member, lane in lanes.items() if lane}


def _grid(lanes: dict[str, list[list[_TimedBar]]], drawn: Sequence[_TimedBar]) -> Markup:
    start = min(one.start for one in drawn)
    end = max(time for one in drawn for time in (one.start, one.end) if time)
    whole = max((end - start).total_seconds(), 0.001)
    step = next((one for one in _STEPS if whole / one <= _TICKS), 0)
    step = step or ceil(whole / _DAY / _TICKS) * _DAY

    def percent(time: timedelta | float) -> float:
        seconds = time.total_seconds() if isinstance(time, timedelta) else time
        return 100 * seconds / whole

    def box(one: _TimedBar, line: int) -> Markup:
        bar = one.bar
        is_repeated = bar.status == "dispatched" and bar.end is not None
        status = "dispatched again" if is_repeated else bar.status
        left = min(percent(one.start - start), _RIGHTMOST)
        # Not negative, although the entries of a ledger need not be in order.
        width = max(0.0, percent((one.end or end) - one.start))
        took = format_duration(one.end - one.start) if one.end else "not ended"
        names = f"{cut(name_text(bar.step_id), 60)} by {cut(name_text(bar.member_id), 60)}"
        return block(
            "bar",
            f"{symbol(status)} {cut(name_text(bar.step_id), 60)}" if width >= _NARROW else "",
            title=f"{names}: {status}, {took}",
            data_status=status,
            style={
                "left": f"{left:.2f}%",
                "width": f"{width:.2f}%",
                "top": f"{line * _LINE + 2}px",
            },
        )

    def tick(seconds: float) -> Markup:
        at = percent(seconds)
        text = f"+{format_duration(timedelta(seconds=seconds))}" if seconds else "0"
        place = {"left": f"{at:.2f}%"} if at < 90 else {"right": f"{100 - at:.2f}%"}
        return inline("tick", text, style=place)

    ticks = (n * step for n in range(int(whole / step) + 1))
    cells = [block("axis", *map(tick, ticks))]
    for member, lane in lanes.items():
        cells.append(block("member", name_text(member), title=member))
        cells.append(
            block(
                "lane",
                *(box(one, n) for n, line in enumerate(lane) for one in line),
                style={"height": f"{len(lane) * _LINE}px"},
            )
        )
    return block("time", *cells, style={"--ms-step": f"{percent(step):.3f}%"})
