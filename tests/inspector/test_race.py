"""The race: each round has one winner."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mobstore import run_claim_name
from support.pages import Page


def test_one_tab_alone_wins_everything(page: Page) -> None:
    opened = page.ask("race_open", rounds=3)
    assert (opened["winners"], opened["over"], opened["rounds"]) == ([], False, 3)
    page.told.clear()
    race = page.ask("race", run_id=opened["run_id"], who="a")
    assert (race["winners"], race["won"], race["fenced"], race["over"]) == (["a"] * 3, 3, 0, True)
    assert page.told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert race["epochs"] == sorted(set(race["epochs"]), key=int)
    assert race["claim"] is None
    header = page.ask("run", run_id=opened["run_id"])["header"]
    assert (header["status"], header["claim"]) == ("completed", None)
    events = page.ask("events", run_id=opened["run_id"])["events"]
    assert [event["type"] for event in events] == ["flow_completed"]


@pytest.mark.slow
@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d"], ["same", "same"]])
def test_no_round_is_won_twice(tmp_path: Path, names: list[str]) -> None:
    tabs = [Page(f"sqlite:{tmp_path / 'mobs.db'}") for _ in names]
    try:
        run_id = tabs[0].ask("race_open", rounds=60)["run_id"]

        def take_part(tab: Page, who: str) -> dict[str, Any]:
            race: dict[str, Any] = tab.ask("race", run_id=run_id, who=who)
            return race

        with ThreadPoolExecutor(len(tabs)) as threads:
            races = list(threads.map(take_part, tabs, names))
        (winners,) = {tuple(race["winners"]) for race in races}
        assert len(winners) == 60
        claimed: Counter[str] = Counter()
        for race, who in zip(races, names, strict=True):
            claimed[who] += race["won"]
        assert claimed == Counter(winners)
        (epochs,) = {tuple(map(int, race["epochs"])) for race in races}
        assert list(epochs) == sorted(set(epochs))
        assert len(epochs) == 60
        assert tabs[-1].ask("race_state", run_id=run_id)["winners"] == list(winners)
    finally:
        for tab in tabs:
            tab.close()


@pytest.mark.slow
def test_the_fence_rejects_what_a_frozen_tab_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that another tab wins the round of a tab that freezes in every second attempt."""
    monkeypatch.setattr("inspector.race._FREEZES_IN", 2)
    monkeypatch.setattr("inspector.race._TTL", 0.05)
    tabs = [Page(f"sqlite:{tmp_path / 'mobs.db'}") for _ in "ab"]
    try:
        run_id = tabs[0].ask("race_open", rounds=6)["run_id"]

        def take_part(tab: Page, who: str) -> dict[str, Any]:
            race: dict[str, Any] = tab.ask("race", run_id=run_id, who=who)
            return race

        with ThreadPoolExecutor(len(tabs)) as threads:
            races = list(threads.map(take_part, tabs, "ab"))
        assert sum(race["won"] for race in races) == 6
        assert sum(race["fenced"] for race in races) > 0
        assert {tuple(race["winners"]) for race in races} == {tuple(races[0]["winners"])}
    finally:
        for tab in tabs:
            tab.close()


def test_the_state_has_the_claim(page: Page) -> None:
    run_id = page.ask("race_open", rounds=2)["run_id"]
    name = run_claim_name(run_id)
    claim = page.run(page.stores.claims.acquire(name, "tab b", 60))
    assert claim is not None
    state = page.ask("race_state", run_id=run_id)["claim"]
    assert (state["state"], state["holder"], state["epoch"]) == ("held", "tab b", str(claim.epoch))


def test_a_late_tab_reads_the_winners(page: Page) -> None:
    run_id = page.ask("race_open", rounds=2)["run_id"]
    page.ask("race", run_id=run_id, who="a")
    late = page.ask("race", run_id=run_id, who="b")
    assert (late["winners"], late["won"], late["fenced"]) == (["a", "a"], 0, 0)


def test_other_runs_are_no_races(tide_desk: Page) -> None:
    race = tide_desk.ask("race_open", rounds=1)["run_id"]
    assert tide_desk.failure("demo_move", run_id=race, who="a")["kind"] == "gone"
    assert tide_desk.ask("demo_state")["run_id"] is None
    demo = tide_desk.ask("demo_start")["run_id"]
    assert tide_desk.failure("race", run_id=demo, who="a")["kind"] == "gone"


@pytest.mark.parametrize("rounds", [0, -1, 1001])
def test_the_number_of_rounds_is_checked(page: Page, rounds: int) -> None:
    assert page.failure("race_open", rounds=rounds)["kind"] == "rejected"
    assert page.ask("overview")["runs"] == 0
