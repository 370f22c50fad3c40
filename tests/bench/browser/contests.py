"""Contests between mobstore and JavaScript in a worker of the page."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from bench.browser.stage import Stage
from bench.turns import Measured, Settings

BATCH = 10_000
"""Events of a large call."""

SLICE = 0.04
"""Seconds of one turn; short turns spread other load of the machine over both contestants."""


Language: TypeAlias = Literal["python", "javascript"]


class Seat(NamedTuple):
    """A contestant.

    Attributes:
        name: name in the results.
        language: "python" runs a function of `inside.py`, "javascript" one of `raw.js`.
        job: name of the function.
        options: arguments of the function; any JSON.
    """

    name: str
    language: Language
    job: str
    options: dict[str, Any]


Contest: TypeAlias = Callable[..., dict[str, Measured]]
"""`contest(seats, per_operation=1)`, see `bench.turns.compete`."""


@contextmanager
def contests(stage: Stage, settings: Settings) -> Generator[Contest]:
    """Start a browser for contests."""
    with stage.browser() as browser:
        page = browser.new_page()
        page.goto(f"{stage.origin}/bench/contest.html")

        def contest(seats: Sequence[Seat], *, per_operation: int = 1) -> dict[str, Measured]:
            rules = {"rounds": settings.rounds, "seconds": settings.seconds, "slice": SLICE}
            costs = cast(
                "list[list[float]]",
                page.evaluate(
                    "params => globalThis.ask({ method: 'contest', params })",
                    {"seats": [seat._asdict() for seat in seats], "rules": rules},
                ),
            )
            return {
                seat.name: Measured(seat.name, [cost / per_operation for cost in each])
                for seat, each in zip(seats, costs, strict=True)
            }

        yield contest
