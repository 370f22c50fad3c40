"""Several tabs on one database, and tabs reloaded while they write."""

from __future__ import annotations

import time
from typing import Any

import pytest

from browser.browsers import Chromium, ChromiumTab, InsideError, Tab
from support import claiming

pytestmark = pytest.mark.slow

RELOADS = 2
TTL = 1.0  # seconds


@pytest.fixture(scope="module")
def tabs(chromium: Chromium, tab: ChromiumTab, other_tab: ChromiumTab) -> list[ChromiumTab]:
    return [tab, other_tab, chromium.tab(), chromium.tab()]


@pytest.mark.parametrize(("racing", "tasks", "wins"), [(2, 1, 40), (2, 8, 8), (4, 4, 8)])
def test_no_update_is_lost(tabs: list[ChromiumTab], racing: int, tasks: int, wins: int) -> None:
    name = f"race-{racing}-{tasks}"
    tabs[0].call("races:prepare", name)
    for tab in tabs[:racing]:
        tab.start("races:increment", name, racing, tasks, wins)
    outcomes = [tab.finish() for tab in tabs[:racing]]

    everything = list(range(1, racing * tasks * wins + 1))
    assert sorted(value for values, _, _ in outcomes for value in values) == everything
    assert sorted(cursor for _, cursors, _ in outcomes for cursor in cursors) == everything
    lost = sum(lost for _, _, lost in outcomes)
    assert lost >= racing * tasks - 1, "two won the number with which all began"
    value, cursors, steps = tabs[-1].call("races:outcome", name)
    assert (value, cursors) == (everything[-1], everything)
    assert sorted(steps) == sorted(f"s{value}" for value in everything)


def test_a_tab_subscribes_to_the_others(tabs: list[ChromiumTab]) -> None:
    tabs[0].call("races:prepare", "followed")
    tabs[0].start("subscriptions:follow", "followed", 90)
    assert listen(tabs[0], seconds=0) == ["following"]
    for tab in tabs[1:]:
        tab.start("subscriptions:append", "followed", 30)
    written = [cursor for tab in tabs[1:] for cursor in tab.finish()]
    assert sorted(written) == list(range(1, 91))
    assert tabs[0].finish() == list(range(1, 91)), "each once, in order"


def test_reloads_while_it_writes(tabs: list[ChromiumTab]) -> None:
    tab = tabs[-1]
    acknowledged: list[dict[str, Any]] = []
    for reload in range(RELOADS):
        tab.start("work:forever", "reloaded", "normal", f"tag-{reload}")
        acknowledged += listen(tab, seconds=0.5)
        tab.page.reload()
        tab.call("work:check", "reloaded", acknowledged)
    assert len(acknowledged) > RELOADS * 20


def race_for_runs(chromium: Chromium, tabs: list[ChromiumTab], name: str, variant: str) -> None:
    """Execute runs in four tabs; some block their event loop beyond the ttl, one is closed."""
    racing = [*tabs[:3], chromium.tab()]
    for tab in racing:
        tab.call("claiming:ready", seconds=200)
    for n, tab in enumerate(racing):
        tab.messages()
        tab.start("claiming:work", name, f"tab {n}", TTL, n == 0, variant, seconds=200)
    notes = listen(racing[3], seconds=1)
    assert claiming.count(notes, "claimed"), "a tab without a run was closed"
    racing.pop().close()
    for tab in racing:
        tab.finish()
        notes += tab.messages()
    tabs[3].call("claiming:check", name, notes)
    assert claiming.count(notes, "claimed") > claiming.RUNS, "no run was taken over"


def test_each_run_is_executed_once(chromium: Chromium, tabs: list[ChromiumTab]) -> None:
    race_for_runs(chromium, tabs, "claimed", "none")


def test_a_race_without_a_fence_is_noticed(chromium: Chromium, tabs: list[ChromiumTab]) -> None:
    with pytest.raises((AssertionError, InsideError), match=claiming.NOT_FENCED):
        race_for_runs(chromium, tabs, "unfenced", "no fence")


def listen(tab: Tab, seconds: float) -> list[Any]:
    """Return the messages of this many seconds, from the first one on."""
    messages: list[dict[str, Any]] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.02)
        messages += tab.messages()
        if messages and deadline > time.monotonic() + seconds:
            deadline = time.monotonic() + seconds
    assert messages, "nothing was acknowledged"
    return messages
