"""Crossings of the bridge between Python and JavaScript: what bounds single operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.browser.contests import BATCH
from bench.browser.stage import Stage
from bench.outcome import Check, Outcome
from bench.turns import Settings

_ALONE = {"durability": "relaxed", "tasks": 1, "at_once": False}
_OPERATIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("CAS of a flow state", "swap", _ALONE),
    ("append", "append", _ALONE),
    ("complete a step", "complete", {"durability": "relaxed"}),
    ("both in one commit", "both", {"durability": "relaxed", "together": True}),
    (f"poll of {BATCH:,} events", "poll", {"size": BATCH}),
)


def bridge(stage: Stage, settings: Settings) -> Iterator[Outcome]:  # noqa: ARG001 - as all works
    """Count the crossings of operations, and compare costs in a row and after a transaction."""
    with stage.browser() as browser:
        page = browser.new_page()
        page.goto(f"{stage.origin}/bench/contest.html")

        def ask(method: str, **params: Any) -> Any:
            request = {"method": method, "params": params}
            return page.evaluate("request => globalThis.ask(request)", request)

        yield Outcome(
            "calls, reads and assignments that cross the bridge, and events, per operation",
            "",
            checks=[
                Check(name, ask("crossings", job=job, options=options), unit="")
                for name, job, options in _OPERATIONS
            ],
        )
        costs = ask("costs")
    cross, stay = costs["cross"], costs["stay"]
    yield Outcome(
        "the same code in a row, and each time after a transaction in JavaScript",
        "",
        checks=[
            Check("read a short text over the bridge, in a row", cross[0] * 1e6, unit="µs"),
            Check("read a short text over the bridge, rested", cross[1] * 1e6, unit="µs"),
            Check("cost: rested / in a row, over the bridge", cross[1] / cross[0]),
            Check("cost: rested / in a row, 50 turns of a loop in Python", stay[1] / stay[0]),
        ],
        notes=[
            "in a row, code and data stay in the caches of the processor; this is the likely reason"
        ],
    )
