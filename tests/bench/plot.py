"""Plots as SVG: panels one below the other, with the same logarithmic axis of sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

from bench.outcome import number

_WIDTH, _LEFT, _RIGHT = 720, 64, 560  # of the picture; the plot's edges, names come after them
_HEIGHT, _GAP, _TOP = 260, 62, 66  # of a logarithmic panel; above each panel; above the first
_LOW = 90  # the height of a panel from 0
_APART = 15  # between names at the end of lines

_STYLE = """
    svg { color-scheme: light dark; }
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .title { font-size: 15px; font-weight: 600; }
    .minor { fill: #57606a; }
    .back { fill: #ffffff; }
    .grid { stroke: #d0d7de; }
    .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
    .c0 { stroke: #0969da; } .c1 { stroke: #1a7f37; } .c2 { stroke: #bc4c00; }
    .c3 { stroke: #8250df; } .c4 { stroke: #cf222e; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; } .minor { fill: #9ea7b3; }
      .back { fill: #161b22; } .grid { stroke: #3d444d; }
      .c0 { stroke: #4493f8; } .c1 { stroke: #3fb950; } .c2 { stroke: #f0883e; }
      .c3 { stroke: #ab7df8; } .c4 { stroke: #f85149; }
    }
"""
_COLORS = 5


class Line(NamedTuple):
    """The values of one thing, a value for each size; `name` is written at its end."""

    name: str
    values: Sequence[float]


class Panel(NamedTuple):
    """A part of the plot.

    Attributes:
        title: what its values are, with their unit.
        lines: at most five.
        bottom: the lowest value of its axis; None: the axis is logarithmic.
    """

    title: str
    lines: Sequence[Line]
    bottom: float | None = None


def draw(
    title: str, labels: Sequence[str], sizes: Sequence[float], of: str, panels: Sequence[Panel]
) -> str:
    """Return the plot as the text of an SVG file.

    Args:
        title: of the whole.
        labels: the names of the sizes.
        sizes: the sizes, ascending.
        of: what the sizes count.
        panels: the panels from top to bottom.
    """
    first, last = log10(sizes[0]), log10(sizes[-1])
    places = [_LEFT + (log10(s) - first) / (last - first) * (_RIGHT - _LEFT) for s in sizes]
    parts = [f'<text class="title" x="16" y="28">{escape(title)}</text>']
    top = _TOP
    for panel in panels:
        height = _HEIGHT if panel.bottom is None else _LOW
        parts += _panel(panel, places, top, height)
        top += height + _GAP
    bottom = top - _GAP + 20
    for place, label in zip(places, labels, strict=True):
        parts.append(f'<text x="{place:.0f}" y="{bottom}" text-anchor="middle">{label}</text>')
    parts.append(f'<text class="minor" x="{_RIGHT + 40}" y="{bottom}">{escape(of)}</text>')
    size = f"{_WIDTH} {bottom + 18}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            '<rect class="back" width="100%" height="100%" rx="6"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, places: Sequence[float], top: int, height: int) -> Iterator[str]:
    values = [value for line in panel.lines for value in line.values]
    scale: Callable[[float], float]
    if panel.bottom is None:
        lowest, highest = floor(log10(min(values))), ceil(log10(max(values)))
        ticks = [10.0**power for power in range(lowest, highest + 1)]
        scale = log10
    else:
        step = 10.0 ** floor(log10(max(values)))
        ticks = [panel.bottom, step * ceil(max(values) / step)]
        scale = float
    start, end = scale(ticks[0]), scale(ticks[-1])

    def at(value: float) -> float:
        return top + height - (scale(value) - start) / (end - start) * height

    yield f'<text class="minor" x="16" y="{top - 14}">{escape(panel.title)}</text>'
    for tick in ticks:
        y = at(tick)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>'
        place = f'x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end"'
        yield f'<text class="minor" {place}>{tick:,g}</text>'
    free = top + height + _APART  # names must not overlap: each is moved above the one below
    ends = sorted(enumerate(panel.lines), key=lambda one: -at(one[1].values[-1]))
    for nth, line in ends:
        color = f"c{nth % _COLORS}"
        points = " ".join(
            f"{x:.1f},{at(value):.1f}" for x, value in zip(places, line.values, strict=True)
        )
        free = min(free - _APART, round(at(line.values[-1])) + 4)
        name = f"{line.name} {number(line.values[-1])}".strip()
        yield f'<polyline class="line {color}" points="{points}"/>'
        yield f'<path class="line {color}" d="M{_RIGHT + 4} {free - 4}h14"/>'
        yield f'<text x="{_RIGHT + 24}" y="{free}">{escape(name)}</text>'
