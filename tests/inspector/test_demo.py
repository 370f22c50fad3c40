"""The demo: each move is one commit, and the store holds all of its state."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from mobstore import FlowId, KernelState, MobId, MobRun, WriteFailedError
from mobstore.scripts.transaction import Engine, Scan, Script
from support.pages import Page

T = TypeVar("T")
MOVES = 26


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Callable[[], Page]]:
    """Inspectors of one store, like tabs of a browser."""
    opened: list[Page] = []

    def open_page() -> Page:
        opened.append(Page(f"sqlite:{tmp_path / 'mobs.db'}"))
        return opened[-1]

    yield open_page
    for page in opened:
        page.close()


def step(page: Page, run_id: str, *, who: str = "a", keep: bool = False) -> dict[str, Any]:
    """Attempt a move."""
    move: dict[str, Any] = page.ask("demo_move", run_id=run_id, who=who, keep=keep)
    return move


def play(page: Page, run_id: str, who: str = "a") -> list[dict[str, Any]]:
    """Play a run to its end; another tab that holds it is waited for."""
    moves: list[dict[str, Any]] = []
    while True:
        move = step(page, run_id, who=who)
        if move["outcome"] == "ended":
            return moves
        if move["outcome"] != "held":
            moves.append(move)


def events_of(page: Page, run_id: str) -> list[tuple[str, str]]:
    """List kind and step of each event of a run."""
    lines = page.ask("events", run_id=run_id)["events"]
    kinds = [json.loads(page.ask("document", ref=line["event"])["text"]) for line in lines]
    return [(kind["type"], kind.get("step_id", "")) for kind in kinds]


def worked(step: str) -> list[tuple[str, str]]:
    return [(kind, step) for kind in ("step_dispatched", "step_target_completed", "step_completed")]


STORY = [
    ("flow_started", ""),
    *worked("outline"),
    *worked("draft"),
    ("step_dispatched", "critique"),
    ("step_target_failed", "critique"),
    *worked("critique"),
    *worked("draft"),
    *worked("critique"),
    *worked("signoff"),
    ("flow_completed", ""),
]


def require_whole(page: Page, run_id: str) -> None:
    """Check that the run equals an undisturbed one."""
    assert events_of(page, run_id) == STORY
    run = page.ask("run", run_id=run_id)
    assert (run["header"]["status"], run["flow_phase"]) == ("completed", "Completed")
    assert (run["header"]["steps"], run["header"]["failures"]) == (14, 1)
    told = [(each["depth"], each["label"], each["phase"]) for each in run["tree"]]
    assert told == [
        (0, "root", "Completed"),
        (1, "n-revise", "Completed"),
        (2, "iter-0", "Completed"),
        (2, "iter-1", "Completed"),
    ]
    frames = [branch["id"] for branch in run["tree"] if branch["of"] == "frame"]
    nodes = page.ask("nodes", run_id=run_id, frame_ids=frames)["frames"]
    assert {node["status"] for frame in nodes for node in frame["nodes"]} == {"Completed"}
    assert [bar["status"] for bar in run["timeline"]["bars"]].count("failed") == 1
    outputs = page.ask("outputs", run_id=run_id)["outputs"]
    assert [(each["step_id"], each["iteration"]) for each in outputs] == [
        ("outline", None), ("signoff", None),
        ("draft", 0), ("critique", 0), ("draft", 1), ("critique", 1),
    ]  # fmt: skip
    assert page.ask("ledger", run_id=run_id, which="iteration")["total"] == 2


def test_a_whole_run(page: Page) -> None:
    demo = page.ask("demo_start")
    assert (demo["done"], demo["of"], demo["status"]) == (0, MOVES, "pending")
    moves = play(page, demo["run_id"])
    assert [move["demo"]["done"] for move in moves] == list(range(1, MOVES + 1))
    assert {move["outcome"] for move in moves} == {"made"}
    assert demo["next"] == moves[0]["summary"]
    for move, successor in pairwise(moves):
        assert move["demo"]["next"] == successor["summary"]
    assert moves[-1]["demo"]["next"] == ""
    require_whole(page, demo["run_id"])


def test_a_move_has_expected_and_next_states(page: Page) -> None:
    demo = page.ask("demo_start")
    *_, move = (step(page, demo["run_id"]) for _ in range(3))
    assert (move["summary"], move["method"]) == ("editor-1 starts outline", "cas_grant_node_slot")
    assert move["expected"][1] == "root: node_status n-outline Ready"
    assert move["next"][1] == "root: node_status n-outline Running"
    (line,) = page.ask("events", newest_first=True, limit=1)["events"]
    assert [line["cursor"]] == move["events"]
    assert line["type"] == "step_dispatched"


def test_the_mob_is_made_once(page: Page) -> None:
    first, second = page.ask("demo_start"), page.ask("demo_start")
    assert first["run_id"] != second["run_id"]
    (mob,) = page.ask("overview")["mobs"]
    assert (mob["mob_id"], mob["spec_revision"], mob["runs"]) == ("demo-desk", 1, 2)
    members = page.ask("roster", mob_id="demo-desk")["members"]
    assert [(each["member_id"], each["role"], each["state"]) for each in members] == [
        ("editor-1", "editor", "active"),
        ("writer-1", "writer", "active"),
        ("critic-1", "critic", "active"),
    ]
    assert [len(each["wired_to"]) for each in members] == [2, 2, 2]


@pytest.mark.slow
def test_a_reload_continues_after_any_move(pages: Callable[[], Page]) -> None:
    run_id = pages().ask("demo_start")["run_id"]
    for done in range(MOVES):
        reloaded = pages()
        demo = reloaded.ask("demo_state")
        assert (demo["run_id"], demo["done"]) == (run_id, done)
        assert step(reloaded, run_id, who=str(done))["outcome"] == "made"
        # It is not closed, as in a reload.
    last = pages()
    assert last.ask("demo_state")["run_id"] is None
    require_whole(last, run_id)


class Flaky(Engine):
    """Engine that fails at every second write, after the commit or instead of it."""

    def __init__(self, engine: Engine, *, after: bool) -> None:
        self._engine, self._after, self._writes = engine, after, 0

    async def write(self, make: Callable[[], Script[T]]) -> T:
        self._writes += 1
        if self._writes % 2:
            return await self._engine.write(make)
        if self._after:
            await self._engine.write(make)
        raise WriteFailedError("the browser gave up", maybe_written=self._after)

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return await self._engine.read(make)

    async def load(self, make: Any) -> Any:
        return await self._engine.load(make)

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        return self._engine.listen(wake, to)

    def use_clock(self, now: Callable[[], str]) -> None:
        self._engine.use_clock(now)

    async def compact(self) -> None:
        await self._engine.compact()

    async def close(self) -> None:
        await self._engine.close()


@pytest.mark.parametrize("after", [False, True])
def test_a_failed_move_is_retried_and_made_once(
    page: Page, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    run_id = page.ask("demo_start")["run_id"]
    monkeypatch.setattr(page.stores, "_engine", Flaky(page.stores.engine, after=after))
    failures = 0
    while page.ask("demo_state")["run_id"] is not None:
        answer = page.run(
            page.inspector.call("demo_move", json.dumps({"run_id": run_id, "who": "a"}))
        )
        if "error" in answer:
            failures += 1
            assert json.loads(answer)["error"]["kind"] == "storage"
    assert failures >= MOVES // 2 - 1
    require_whole(page, run_id)


@pytest.mark.slow
def test_two_tabs_make_each_move_once(pages: Callable[[], Page]) -> None:
    tabs = [pages(), pages()]
    run_id = tabs[0].ask("demo_start")["run_id"]
    with ThreadPoolExecutor(2) as threads:
        played = list(threads.map(play, tabs, [run_id] * 2, "ab"))
    outcomes = Counter(move["outcome"] for moves in played for move in moves)
    assert outcomes == {"made": MOVES}
    require_whole(tabs[0], run_id)


def test_the_tab_that_lost_its_claim_changes_nothing(
    pages: Callable[[], Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check a tab that another one takes the run from, between its read and its write."""
    fast, slow = pages(), pages()
    run_id = fast.ask("demo_start")["run_id"]
    assert step(slow, run_id, who="slow", keep=True)["outcome"] == "made"
    engine = slow.stores.engine

    class Late(Flaky):
        async def write(self, make: Callable[[], Script[T]]) -> T:
            monkeypatch.undo()  # once
            for method, who in (("demo_take_over", {}), ("demo_move", {"who": "fast"})):
                params = json.dumps({"run_id": run_id, **who})
                assert "error" not in json.loads(await fast.inspector.call(method, params))
            return await engine.write(make)

    monkeypatch.setattr(slow.stores, "_engine", Late(engine, after=False))
    move = step(slow, run_id, who="slow", keep=True)
    assert (move["outcome"], move["summary"]) == ("lost", "The root frame opens")
    assert (move["reason"], move["events"]) == ("it was released", [])
    assert move["demo"]["done"] == 2
    again = step(slow, run_id, who="slow")
    assert again["outcome"] == "made"
    assert int(again["epoch"]) > int(move["epoch"])


@pytest.mark.slow
def test_a_kept_run_is_held(pages: Callable[[], Page]) -> None:
    first, second = pages(), pages()
    run_id = first.ask("demo_start")["run_id"]
    move = step(first, run_id, who="first", keep=True)
    claim = move["demo"]["claim"]
    assert (claim["state"], claim["holder"]) == ("held", "first")
    assert claim["epoch"] == move["epoch"]

    held = step(second, run_id, who="second")
    assert (held["outcome"], held["epoch"], held["summary"]) == ("held", None, "")
    assert held["demo"]["claim"]["holder"] == "first"
    assert second.ask("run", run_id=run_id)["header"]["claim"]["holder"] == "first"

    taken = second.ask("demo_take_over", run_id=run_id)
    assert (taken["claim"], taken["done"]) == (None, 1)
    own = step(second, run_id, who="second", keep=True)
    assert (own["outcome"], int(own["epoch"])) == ("made", int(move["epoch"]) + 1)
    lost = step(first, run_id, who="first", keep=True)
    assert lost["outcome"] == "lost"
    assert lost["reason"] == f"second holds it, epoch {own['epoch']}"
    assert step(first, run_id, who="first")["outcome"] == "held"
    second.ask("demo_release")
    assert step(first, run_id, who="first")["outcome"] == "made"
    require_whole_after(first, run_id)


def require_whole_after(page: Page, run_id: str) -> None:
    play(page, run_id)
    require_whole(page, run_id)
    assert page.ask("run", run_id=run_id)["header"]["claim"] is None


def test_a_claim_is_released_with_the_store(pages: Callable[[], Page]) -> None:
    first, second = pages(), pages()
    run_id = first.ask("demo_start")["run_id"]
    step(first, run_id, who="first", keep=True)
    first.ask("open", url="memory:")
    assert second.ask("demo_state")["claim"] is None
    assert step(second, run_id)["outcome"] == "made"


@pytest.mark.slow
def test_a_claim_is_renewed_while_it_is_kept(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.demo_claim.TTL", 0.3)
    run_id = page.ask("demo_start")["run_id"]
    step(page, run_id, keep=True)
    page.run(asyncio.sleep(0.8))
    assert page.ask("demo_state")["claim"]["state"] == "held"
    page.ask("demo_release")
    assert page.ask("demo_state")["claim"] is None


def test_a_complete_run_has_no_move(page: Page) -> None:
    run_id = page.ask("demo_start")["run_id"]
    play(page, run_id)
    move = step(page, run_id)
    assert (move["outcome"], move["summary"]) == ("ended", "")
    assert move["demo"]["status"] == "completed"
    assert page.ask("demo_state")["run_id"] is None


def test_other_runs_are_not_played(tide_desk: Page) -> None:
    running = "82b33599-8604-4719-a6de-bfdb8825ae56"
    assert tide_desk.failure("demo_move", run_id=running, who="a")["kind"] == "gone"
    assert tide_desk.ask("demo_state")["run_id"] is None


@pytest.mark.slow
def test_a_run_of_another_version_is_rejected(page: Page) -> None:
    page.ask("demo_start")
    other = MobRun.pending(MobId("demo-desk"), FlowId("story"), KernelState("Elsewhere"))
    page.run(page.stores.runs.create_run(other))
    failure = page.failure("demo_move", run_id=str(other.run_id), who="a")
    assert (failure["kind"], failure["way_out"]) == ("rejected", "Start a new run.")
    found = page.ask("demo_state")["run_id"]
    assert found is not None
    assert UUID(found) != other.run_id
