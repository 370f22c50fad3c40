"""The timeline of a run: a line for each member, a bar for each of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from mobstore.model.run import StepLedgerEntry
from mobstore.model.text import count, cut
from mobstore.notebook.bars import Bar, bars
from mobstore.notebook.formatting import instant, named, span
from mobstore.notebook.markup import Markup, block, inline, left_out, mark, together

BARS = 120
"""Steps that are drawn: the last of the ledger, since what happens now is what one looks for."""
LINES = 60
"""Lines that are drawn; a member has several when its steps overlap."""

_LINE = 22  # pixels
_NARROW = 5  # per cent of the whole, below which a bar has no room for text
_RIGHTMOST = 99.4  # per cent; there even the shortest bar lies within
_TICKS = 6
_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 1800, 3600, 10_800, 21_600, 43_200),
)
_DAY = 86_400


class _Piece(NamedTuple):
    """A bar and when it was; `end` is None while it is at work."""

    bar: Bar
    start: datetime
    end: datetime | None


def timeline(ledger: Sequence[StepLedgerEntry]) -> Markup | None:
    """The steps of a run over time; None if there are none."""
    if not ledger:
        return None
    found = bars((entry.step_id, entry.meerkat_id, entry.status) for entry in ledger)
    pieces = [piece for bar in found[-BARS:] if (piece := _piece(bar, ledger))]
    lanes = _lanes(pieces)
    drawn = [piece for lane in lanes.values() for line in lane for piece in line]
    return together(
        block("title", _told(found), inline("quiet", _since(drawn))),
        left_out(len(found) - len(drawn), "step"),
        _grid(lanes, drawn) if drawn else None,
    )


def _told(found: Sequence[Bar]) -> str:
    members = len({bar.member_id for bar in found})
    return f"{count(len(found), 'step')} by {count(members, 'member')}"


def _since(drawn: Sequence[_Piece]) -> str:
    return f" since {min(piece.start for piece in drawn):%Y-%m-%d %H:%M:%S}" if drawn else ""


def _piece(bar: Bar, ledger: Sequence[StepLedgerEntry]) -> _Piece | None:
    start = instant(ledger[bar.first].timestamp)
    end = None if bar.end is None else instant(ledger[bar.end].timestamp)
    return None if start is None else _Piece(bar, start, end)


def _lanes(pieces: list[_Piece]) -> dict[str, list[list[_Piece]]]:
    """For each member lines of bars that do not overlap."""
    lanes: dict[str, list[list[_Piece]]] = {piece.bar.member_id: [] for piece in pieces}
    lines = 0
    for piece in sorted(pieces, key=lambda piece: piece.start):
        lane = lanes[piece.bar.member_id]
        for line in lane:
            if line[-1].end is not None and line[-1].end <= piece.start:
                line.append(piece)
                break
        else:
            if lines < LINES:
                lane.append([piece])
                lines += 1
    return {member: lane for member, lane in lanes.items() if lane}


def _grid(lanes: dict[str, list[list[_Piece]]], drawn: Sequence[_Piece]) -> Markup:
    begun = min(piece.start for piece in drawn)
    ended = max(moment for piece in drawn for moment in (piece.start, piece.end) if moment)
    whole = max((ended - begun).total_seconds(), 0.001)
    step = next((one for one in _STEPS if whole / one <= _TICKS), 0)
    step = step or ceil(whole / _DAY / _TICKS) * _DAY

    def part(time: timedelta | float) -> float:
        seconds = time.total_seconds() if isinstance(time, timedelta) else time
        return 100 * seconds / whole

    def box(piece: _Piece, line: int) -> Markup:
        bar = piece.bar
        at_work_no_more = bar.status == "dispatched" and bar.end is not None
        status = "dispatched again" if at_work_no_more else bar.status
        left = min(part(piece.start - begun), _RIGHTMOST)
        wide = max(0.0, part((piece.end or ended) - piece.start))  # a ledger need not be in order
        took = span(piece.end - piece.start) if piece.end else "not ended"
        told = f"{cut(named(bar.step_id), 60)} by {cut(named(bar.member_id), 60)}"
        return block(
            "bar",
            f"{mark(status)} {cut(named(bar.step_id), 60)}" if wide >= _NARROW else "",
            title=f"{told}: {status}, {took}",
            data_status=status,
            style=f"left:{left:.2f}%;width:{wide:.2f}%;top:{line * _LINE + 2}px",
        )

    def tick(seconds: float) -> Markup:
        at = part(seconds)
        text = f"+{span(timedelta(seconds=seconds))}" if seconds else "0"
        return inline(
            "tick", text, style=f"left:{at:.2f}%" if at < 90 else f"right:{100 - at:.2f}%"
        )

    ticks = (n * step for n in range(int(whole / step) + 1))
    cells = [block("axis", *map(tick, ticks))]
    for member, lane in lanes.items():
        cells.append(block("member", named(member), title=member))
        cells.append(
            block(
                "lane",
                *(box(piece, n) for n, line in enumerate(lane) for piece in line),
                style=f"height:{len(lane) * _LINE}px",
            )
        )
    return block("time", *cells, style=f"--ms-step:{part(step):.3f}%")
