"""Two operations in one commit, compared with each alone, in IndexedDB."""

from __future__ import annotations

from collections.abc import Iterator

from bench.browser.contests import Seat, contests
from bench.browser.stage import Stage
from bench.outcome import Outcome, cost
from bench.turns import Settings

BY_HAND = "by hand"
STEP, EVENT = "complete a step", "append its event"
ATOMIC, FOLLOWING = "both in one commit", "both, one after the other"


def atomic(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Complete a step of a loop's iteration, a frame of 5 KB, and append its event."""
    with contests(stage, settings) as contest:
        for durability in ("relaxed", "strict"):
            how = {"durability": durability}
            found = contest(
                [
                    Seat(STEP, "python", "complete", how),
                    Seat(EVENT, "python", "append", {**how, "tasks": 1, "at_once": False}),
                    Seat(ATOMIC, "python", "both", {**how, "together": True}),
                    Seat(FOLLOWING, "python", "both", {**how, "together": False}),
                    Seat(f"{BY_HAND}, {STEP}", "javascript", "complete", how),
                    Seat(f"{BY_HAND}, {ATOMIC}", "javascript", "both", how),
                ]
            )
            dearer = max(found[STEP], found[EVENT], key=lambda one: one.cost)
            yield Outcome(
                f"IndexedDB, {durability}: {STEP} and {EVENT}",
                "calls/s",
                list(found.values()),
                [
                    cost(found[ATOMIC], dearer, 1.2),
                    cost(found[ATOMIC], found[FOLLOWING]),
                    cost(found[f"{BY_HAND}, {ATOMIC}"], found[f"{BY_HAND}, {STEP}"]),
                ],
            )
