"""Subscriptions to the log from another tab."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import BrowserContext, Page

from bench.browser.stage import Stage
from bench.outcome import Check, Outcome
from bench.turns import Settings

_BEYOND = 10
"""Milliseconds beyond a bare message."""


def tabs(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Compare an event that another tab receives by subscription with one sent as a message."""
    count = 100 if settings.quick else 500
    with stage.browser() as browser:
        following, writing = _tab(stage, browser), _tab(stage, browser)
        for durability in ("relaxed", "strict"):
            name = f"tabs-{durability}"
            _ask(following, "follow", name=name)
            times = _ask(writing, "write", name=name, durability=durability, count=count)
            ours, channel = times["mobstore"], times["channel"]
            beyond = [one - other for one, other in zip(ours, channel, strict=True)]
            yield Outcome(
                f"from an append, {durability}, until a subscribed tab has confirmed the event",
                "",
                checks=[
                    Check("longer than over BroadcastChannel alone, median", median(beyond),
                          _BEYOND, at_most=True, unit="ms"),
                    Check("99th percentile", _late(beyond), _BEYOND, at_most=True, unit="ms"),
                    Check("mobstore, median", median(ours), unit="ms"),
                    Check("BroadcastChannel alone, median", median(channel), unit="ms"),
                ],
                notes=[
                    f"{count} round trips each, in turns; the clocks start when the append has"
                    " returned, so without its commit, and when the message is sent"
                ],
            )  # fmt: skip


def _late(times: list[float]) -> float:
    return quantiles(times, n=100, method="inclusive")[98]


def _tab(stage: Stage, browser: BrowserContext) -> Page:
    page = browser.new_page()
    page.goto(f"{stage.origin}/bench/tab.html")
    return page


def _ask(page: Page, method: str, **params: Any) -> Any:
    return page.evaluate("request => globalThis.ask(request)", {"method": method, "params": params})
