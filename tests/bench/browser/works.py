"""The kinds of work in a browser, by name: mobstore and JavaScript on IndexedDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from bench.browser.atomic import atomic
from bench.browser.bridge import bridge
from bench.browser.contests import BATCH, Contest, Language, Seat, contests
from bench.browser.scrolling import scrolling
from bench.browser.stage import Stage
from bench.browser.starts import cold_start, first_paint
from bench.browser.tabs import tabs
from bench.outcome import Outcome, cost, speed
from bench.turns import Settings

Work: TypeAlias = Callable[[Stage, Settings], Iterator[Outcome]]

OURS, RAW = "mobstore", "JavaScript"
TASKS = 64
LANGUAGES: tuple[tuple[str, Language], ...] = ((OURS, "python"), (RAW, "javascript"))


def cas(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure compare-and-swap by one task."""
    with contests(stage, settings) as contest:
        for durability, target in (("relaxed", 0.75), ("strict", 0.8)):
            yield _duel(
                contest,
                f"CAS of a 5 KB flow state, one task, {durability}",
                "swaps/s",
                ("swap", {"durability": durability, "tasks": 1, "at_once": False}),
                target,
            )


def complete_step(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure the transaction of a step's output and its frame."""
    with contests(stage, settings) as contest:
        outcome = _duel(
            contest,
            "complete a step of a loop's iteration, relaxed",
            "steps/s",
            ("complete", {"durability": "relaxed"}),
            0.7,
        )
    outcome.notes.append(
        "by hand: reads of the frame and of the number of iterations; writes of the frame, the"
        " output and that number. The frame has 5 KB, every step begins a further iteration"
    )
    yield outcome


def tasks(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure 64 tasks that share commits; JavaScript has a transaction per operation."""
    jobs = (("swap", "CAS of 5 KB flow states", "swaps/s"), ("append", "append", "events/s"))
    with contests(stage, settings) as contest:
        for durability, target in (("relaxed", 2), ("strict", 4)):
            for job, title, unit in jobs:
                options = {"durability": durability, "tasks": TASKS}
                found = contest(
                    [
                        Seat(f"{name}, {manner}", language, job, {**options, "at_once": at_once})
                        for manner, at_once in ((f"{TASKS} at once", True), ("long-lived", False))
                        for name, language in LANGUAGES
                    ]
                )
                at_once, raw_at_once, lasting, raw_lasting = found.values()
                yield Outcome(
                    f"{title}, {TASKS} tasks, {durability}",
                    unit,
                    list(found.values()),
                    [speed(at_once, raw_at_once, target), speed(lasting, raw_lasting, target)],
                    [
                        f"at once: {TASKS} calls are gathered, then the next {TASKS};"
                        " long-lived: each task makes one call after the other"
                    ],
                )


def append_batch(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure many events in one call."""
    with contests(stage, settings) as contest:
        yield _duel(
            contest,
            f"append_batch of {BATCH:,} events, relaxed",
            "events/s",
            ("batch", {"durability": "relaxed", "size": BATCH}),
            0.8,
            per_operation=BATCH,
        )


def poll(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure polls of many events into models and JSON; JavaScript reads them into objects."""
    texts = f"{OURS}, poll_json"
    with contests(stage, settings) as contest:
        found = contest(
            [
                Seat(OURS, "python", "poll", {"size": BATCH}),
                Seat(texts, "python", "poll_json", {"size": BATCH}),
                Seat(RAW, "javascript", "poll", {"size": BATCH}),
            ],
            per_operation=BATCH,
        )
    yield Outcome(
        f"poll of {BATCH:,} events",
        "events/s",
        list(found.values()),
        [speed(found[OURS], found[RAW], 0.5), speed(found[texts], found[RAW])],
    )


def ledger(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure appends to ledgers of different length: the cost must not grow."""
    sizes = (10, 1_000, 10_000 if settings.quick else 100_000)
    with contests(stage, settings) as contest:
        found = contest(
            [
                Seat(
                    f"{OURS}, {size:,} entries",
                    "python",
                    "ledger",
                    {"durability": "relaxed", "entries": size},
                )
                for size in sizes
            ]
        )
    cheapest, *_, dearest = sorted(found.values(), key=lambda one: one.cost)
    yield Outcome(
        "append to a step ledger, relaxed",
        "appends/s",
        list(found.values()),
        [cost(dearest, cheapest, 1.3)],
        ["no ledger grows beyond twice its length; then a new one of the length replaces it"],
    )


def _duel(
    contest: Contest,
    title: str,
    unit: str,
    job: tuple[str, dict[str, Any]],
    target: float,
    *,
    per_operation: int = 1,
) -> Outcome:
    """Compare mobstore with JavaScript in the same job."""
    seats = [Seat(name, language, *job) for name, language in LANGUAGES]
    found = contest(seats, per_operation=per_operation)
    return Outcome(
        title, unit, list(found.values()), [speed(found[OURS], found[RAW], target)]
    )  # fmt: skip


WORKS: dict[str, Work] = {
    "cas": cas,
    "complete-step": complete_step,
    "tasks-64": tasks,
    "append-batch": append_batch,
    "poll": poll,
    "ledger": ledger,
    "atomic": atomic,
    "bridge": bridge,
    "tabs": tabs,
    "cold-start": cold_start,
    "first-paint": first_paint,
    "scrolling": scrolling,
}
