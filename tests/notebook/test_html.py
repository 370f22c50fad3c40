"""Displays: contents, limits and escaping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from mobstore import (
    FlowId,
    FrameSnapshot,
    KernelState,
    KernelValue,
    Listing,
    LoopSnapshot,
    MobStores,
    NamedVariant,
    OtherEvent,
    open_stores,
)
from mobstore.model.display import Displayed
from mobstore.model.json import JsonInput
from mobstore.testing.samples import (
    definition,
    failure,
    frame,
    full_run,
    iteration,
    make_run,
    run_id,
    step,
    stored_event,
)
from notebook.values import EVERYTHING, HOSTILE, everything, html

MUCH = 64_000  # characters of a large display


class Parts(HTMLParser):
    """The elements of HTML, which must all be closed, and its text without the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.text += f"{data}\n"

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.elements if attrs.get("class") == name]


def parts(shown: Displayed, most: int | None = None) -> Parts:
    text = html(shown)
    assert most is None or len(text) < most
    return Parts(text)


@pytest.mark.parametrize("make", EVERYTHING, ids=lambda make: make.__name__)
def test_text_stays_text(make: Callable[[str], Displayed]) -> None:
    """tests/notebook/test_in_browser.py checks that it does not run."""
    clean, hostile = parts(make("x" * len(HOSTILE))), parts(make(HOSTILE))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in clean.elements]
    assert [set(attrs) for _, attrs in hostile.elements] == [
        set(attrs) for _, attrs in clean.elements
    ]
    assert HOSTILE in hostile.text


@pytest.mark.parametrize("make", EVERYTHING, ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    "text",
    [
        *("\ud800", "\u202e", "\0", "\x1b[31m", "\x9b", "\x7f", "\u2028", "\u200d", "\ufe0f"),
        *("\ufeff", "\u3164", "\u2067", "\U000e0041", "\U000e0100", "\ue000"),
        *("\U00016fe4", "\u0301" * 5),
    ],
    ids=ascii,
)
def test_invisible_text_is_escaped(make: Callable[[str], Displayed], text: str) -> None:
    shown = html(make(f"a{text}b"))
    assert text not in shown
    assert text.encode("unicode_escape").decode() in shown
    shown.encode()


@pytest.mark.parametrize("make", EVERYTHING, ids=lambda make: make.__name__)
def test_text_is_no_formula(make: Callable[[str], Displayed]) -> None:
    r"""A notebook's MathJax would make `$\href{...}{...}$` a link and `$\phantom{...}$` nothing."""
    (_, outermost), *_ = parts(make("$x$")).elements
    assert {"mathjax_ignore", "tex2jax_ignore"} <= set((outermost["class"] or "").split())


@pytest.mark.parametrize("make", EVERYTHING, ids=lambda make: make.__name__)
def test_long_text_is_cut(make: Callable[[str], Displayed]) -> None:
    assert len(html(make("&" * 100_000))) < MUCH


def test_a_run() -> None:
    found = parts(full_run(mob="desk", flow="daily"))
    for text in ("desk", "daily", "2026-03-04 05:06:07", "2 failures", "late", "3 frames, 2 loops"):
        assert text in found.text
    assert str(run_id(1)) in found.text
    statuses = [bar["data-status"] for bar in found.of_class("ms-bar")]
    assert statuses == ["dispatched again", "dispatched", "completed"]


def test_positions_of_bars() -> None:
    second = 10**9
    ledger = (
        step("draft", "ann", at=0),
        step("proof", "bob", at=10 * second),
        step("draft", "ann", "completed", at=20 * second),
        step("proof", "bob", "failed", at=40 * second),
    )
    draft, proof = parts(make_run(step_ledger=ledger)).of_class("ms-bar")
    assert draft["title"] == "draft by ann: completed, 20 s"
    assert draft["style"] == "left:0.00%;width:50.00%;top:2px"
    assert proof["title"] == "proof by bob: failed, 30 s"
    assert proof["style"] == "left:25.00%;width:75.00%;top:2px"


def test_steps_of_one_member_that_overlap_have_lines_of_their_own() -> None:
    ledger = tuple(step(f"s{n}", at=n) for n in range(3))
    tops = [
        bar["style"].split("top:")[1]
        for bar in parts(make_run(step_ledger=ledger)).of_class("ms-bar")
        if bar["style"]
    ]
    assert tops == ["2px", "24px", "46px"]


def test_a_step_that_was_dispatched_again_is_not_running() -> None:
    ledger = (
        step(at=0),
        step(at=10**9),
        step(status="completed", at=2 * 10**9),
        step(at=3 * 10**9),
    )
    titles = [bar["title"] for bar in parts(make_run(step_ledger=ledger)).of_class("ms-bar")]
    assert titles == [
        "step by ann: dispatched again, 1 s",
        "step by ann: completed, 1 s",
        "step by ann: dispatched, not ended",
    ]


def test_the_tree_shows_nodes_with_their_statuses() -> None:
    def variant(of: str, name: str) -> NamedVariant:
        return NamedVariant(of, name)

    state = KernelState(
        "Running",
        {
            "ordered_nodes": ("n-a", "n-b"),
            "node_status": {
                "n-a": variant("NodeStatus", "Completed"),
                "n-b": variant("NodeStatus", "Running"),
            },
        },
    )
    run = make_run(
        frames={"root": FrameSnapshot(kernel_state=state), "odd::iter-0": frame(1)},
        loops={"root::n-b": LoopSnapshot(kernel_state=KernelState("Idle"))},
        loop_iteration_ledger=(iteration(0, "root::n-b", "odd::iter-0"),),
    )
    found = parts(run)
    assert [(node["title"], node["data-status"]) for node in found.of_class("ms-node")] == [
        ("n-a: Completed", "completed"),
        ("n-b: Running", "running"),
    ]
    assert [(one["title"], one["style"]) for one in found.of_class("ms-branch")] == [
        ("root", "--ms-depth:0"),
        ("root::n-b", "--ms-depth:1"),
        ("odd::iter-0", "--ms-depth:2"),
    ]


def test_a_definition_shows_the_frames_of_its_flows() -> None:
    found = parts(definition())
    assert "at most 4,294,967,295 times, until x > {" in found.text
    assert [one["style"] for one in found.of_class("ms-branch")] == [
        f"--ms-depth:{depth}" for depth in (0, 1, 0, 1)
    ]


# Limits ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_of_100_000_entries_is_small() -> None:
    ledger = tuple(
        step(f"step-{n % 40}", f"member-{n % 9}", "completed" if n // 9 % 2 else "dispatched", at=n)
        for n in range(100_000)
    )
    run = make_run(step_ledger=ledger, failure_ledger=(failure(),) * 100_000)
    found = parts(run, MUCH)
    assert len(found.of_class("ms-bar")) > 50
    assert "steps not shown" in found.text
    assert "99,988 failures not shown" in found.text


@pytest.mark.slow
def test_a_run_of_many_frames_is_small() -> None:
    nodes: dict[KernelValue, KernelValue] = {
        f"node-{n}": NamedVariant("NodeStatus", "Completed") for n in range(1000)
    }
    many = FrameSnapshot(kernel_state=KernelState("Running", {"node_status": nodes}))
    run = make_run(
        frames={f"frame-{n}": many for n in range(200)},
        root_step_outputs={f"step-{n}": "x" * 1000 for n in range(1000)},
    )
    found = parts(run, MUCH)
    assert "140 frames and loops not shown" in found.text
    assert "997 nodes not shown" in found.text


def test_a_large_definition_is_small() -> None:
    one = definition()
    (flow,) = one.flows.values()
    (a_step, _) = flow.steps.values()
    big = flow.model_copy(update={"steps": {f"step-{n}": a_step for n in range(1000)}})
    flows = {FlowId(f"flow-{n}"): big for n in range(100)}
    found = parts(one.model_copy(update={"flows": flows}), MUCH)
    assert "90 flows not shown" in found.text
    assert "988 steps not shown" in found.text


def test_a_long_listing_shows_its_ends() -> None:
    listing = Listing([step(f"step-{n}", at=n) for n in range(1000)])
    found = parts(listing, MUCH)
    assert "960 records not shown" in found.text
    for shown, text in [(True, "step-0"), (True, "step-999"), (False, "step-500")]:
        assert (f"{text}\n" in found.text) is shown


def test_unknown_statuses_are_limited() -> None:
    """A damaged store may hold any number of them."""
    runs = [make_run().model_copy(update={"status": f"{n}-" + "x" * 500}) for n in range(1000)]
    found = parts(Listing(runs), MUCH)
    assert "and 960 others" in found.text


def test_a_listing_of_nothing() -> None:
    assert "0 records" in parts(Listing([])).text


def test_unreadable_states() -> None:
    broken = KernelState.from_canonical('{"phase":7}')
    run = make_run(flow_state=broken, frames={"f": FrameSnapshot(kernel_state=broken)})
    assert parts(run).text.count("cannot be read") == 2


def test_stores_name_the_calls_to_await() -> None:
    async def shown() -> tuple[str, MobStores]:
        async with open_stores("memory:") as stores:
            return html(stores), stores

    text, stores = asyncio.run(shown())
    assert "MemoryEngine()" in text
    assert "await stores.overview()" in text
    assert Parts(html(stores))  # closed stores have a display, too


def test_every_display_is_tested() -> None:
    tried = {type(thing).__name__ for thing in everything("x")} | {"MobStores"}

    def kinds(of: type) -> set[str]:
        ours = {of.__name__} if of.__module__.startswith("mobstore.") else set[str]()
        return ours.union(*map(kinds, of.__subclasses__()))

    inherited = {"SqliteMobStores", "IndexedDbMobStores", "PostgresMobStores"}
    assert kinds(Displayed) - {"Displayed"} - inherited == tried


def test_other_events_are_shown_in_part() -> None:
    fields: dict[str, JsonInput] = {f"name {n}": "<b>" * 1000 for n in range(2000)}
    text = html(stored_event(kind=OtherEvent(type="mob_stopped<i>" * 99, fields=fields)))
    found = Parts(text)
    assert "mob stopped<i>" in found.text
    assert "name 0" in found.text
    assert "name 1999" in found.text
    assert "1,960 fields not shown" in found.text
    assert len(text) < MUCH
    assert {kind for kind, _ in found.elements} <= {"div", "span", "b", "style"}
    listed = html(Listing([stored_event(kind=OtherEvent(type="x", fields={"by": {"z": 1}}))]))
    assert 'by={"z": 1}' in Parts(listed).text
