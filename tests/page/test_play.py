"""The demo and the race: in one tab, in two, and across reloads."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from page.page_tabs import PageTabs, go, ready

pytestmark = pytest.mark.slow

MOVES = 26
ROUNDS = 50
FASTER = """
const wait = globalThis.setTimeout;
globalThis.pause = 90;
globalThis.setTimeout = (work, ms, ...rest) => wait(work, ms === 900 ? pause : ms, ...rest);
"""
"""Shortens the pause between two moves, and nothing else."""


@pytest.fixture(scope="module")
def tabs(page_tabs: PageTabs) -> tuple[Page, Page]:
    """Two tabs on one store; a link in the first one opens the second."""
    page_tabs.chromium.context.add_init_script(FASTER)
    first = page_tabs.open("play", page="demo")
    with first.context.expect_page() as opening:
        first.get_by_role("link", name="Open a second tab").click()
    second = opening.value
    page_tabs.watch(second)
    ready(second)
    return first, second


def made(page: Page) -> Locator:
    return page.get_by_role("main").get_by_role("status")


def press(page: Page, button: str) -> None:
    page.get_by_role("main").get_by_role("button", name=button, exact=True).click()


def moves_of(page: Page) -> Locator:
    moves = page.get_by_role("list", name="Moves made in this tab")
    return moves.locator(":scope > li")


def headings(page: Page) -> Locator:
    return moves_of(page).get_by_role("heading")


def test_a_flow_in_two_tabs_and_across_a_reload(tabs: tuple[Page, Page]) -> None:
    first, second = tabs
    expect(first.get_by_role("button", name="Step", exact=True)).to_be_disabled()
    press(first, "Start a flow")
    for tab in tabs:
        expect(made(tab)).to_contain_text(f"0 of {MOVES} moves made")
    press(first, "Step")
    expect(headings(first)).to_have_text(["The run starts"])
    expect(moves_of(first).first).to_contain_text('run: phase "Pending" → run: phase "Running"')
    expect(made(second)).to_contain_text(f"1 of {MOVES} moves made")
    press(second, "Step")
    for tab in tabs:
        expect(made(tab)).to_contain_text(f"2 of {MOVES} moves made")

    press(first, "Play")
    expect(made(first)).to_contain_text(re.compile(rf"[4-9] of {MOVES} moves made"))
    expect(made(first)).to_contain_text(re.compile(r"held by this tab, epoch \d+, until \d\d:"))
    expect(made(second)).to_contain_text(re.compile(r"held by tab \w{3}, epoch \d+, until"))
    press(second, "Step")
    expect(headings(second).first).to_have_text("Not this tab's turn")

    for tab in tabs:
        tab.evaluate("globalThis.pause = 5000")  # the run must not end before its claim moves
    press(second, "Take over")
    lost = moves_of(first).filter(has_text="Claim lost")
    expect(lost).to_contain_text(re.compile(r"tab \w{3} holds it, epoch \d+|it was released"))
    expect(lost).to_contain_text("The fence rejected the move, and nothing of it was written.")
    expect(lost).to_contain_text("not swapped")
    expect(first.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(made(second)).to_contain_text("held by this tab")

    press(first, "Play")
    expect(made(first)).to_contain_text("This tab waits for the claim.")
    press(second, "Pause")
    expect(made(first)).to_contain_text("held by this tab")
    first.reload()  # the claim of the tab that is gone expires
    ready(first)
    expect(first.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    for tab in tabs:  # it continues after the reload
        expect(made(tab)).to_contain_text(f"{MOVES} of {MOVES} moves made", timeout=120_000)
        expect(made(tab)).to_contain_text("completed")
    expect(first.get_by_role("button", name="Play", exact=True)).to_be_visible()

    second.get_by_role("link", name="Open run").click()
    expect(second.get_by_role("heading", level=1)).to_contain_text("completed")


def winners(page: Page) -> list[str]:
    """List the winners of the rounds, without the remark about this tab."""
    rounds = page.get_by_role("list", name="Winner of each round").get_by_role("listitem")
    expect(rounds).to_have_count(ROUNDS)
    titles = [item.get_attribute("title") or "" for item in rounds.all()]
    assert [title.partition(":")[0] for title in titles] == [
        f"Round {number}" for number in range(1, ROUNDS + 1)
    ]
    found = [re.fullmatch(r"Round \d+: (tab \w+)( \(this tab\))?, epoch (\d+)", t) for t in titles]
    epochs = [int(match[3]) for match in found if match]
    assert epochs == sorted(set(epochs))
    return [match[1] for match in found if match]


def test_a_race_has_one_winner_a_round(tabs: tuple[Page, Page]) -> None:
    for tab in tabs:
        go(tab, page="race")
        expect(made(tab)).to_contain_text("1 other tab on this store")
    names = [made(tab).inner_text().removeprefix("This is ")[: len("tab xyz")] for tab in tabs]
    first, second = tabs
    for here, there in [(first, second), (second, first)]:
        press(here, "Race another tab")
        expect(
            here.get_by_role("heading", name=f"{ROUNDS} rounds, each with one winner")
        ).to_be_visible()
        notice = there.locator(".job").filter(has_text="Another tab raced this one")
        expect(notice).to_be_visible()
        won = int(re.findall(r"(\d+) rounds? won here", notice.inner_text())[0])
        notice.get_by_role("link", name="Show the winners").click()
        notice.get_by_role("button", name="Dismiss").click()

        assert winners(here) == winners(there)
        assert set(winners(here)) <= set(names)
        name = names[tabs.index(there)]
        assert winners(here).count(name) == won
        expect(notice).to_have_count(0)
        expect(here.locator(".score")).to_contain_text(f"{name} won {won}")


def test_both_tabs_start_a_race_at_once(tabs: tuple[Page, Page]) -> None:
    for tab in tabs:
        go(tab, page="race")
    for tab in tabs:
        press(tab, "Race another tab")
    for tab in tabs:
        winners(tab)
        expect(tab.locator(".job").filter(has_text="Another tab raced this one")).to_be_visible()
    first, second = tabs
    address = second.url.partition("#")[2]
    own = winners(second)
    first.goto(f"{first.url.partition('#')[0]}#{address}")
    assert winners(first) == own


def test_a_closed_tab_is_not_counted(page_tabs: PageTabs, tabs: tuple[Page, Page]) -> None:
    first, _ = tabs
    go(first, page="race")
    third = page_tabs.open("play")
    expect(made(first)).to_contain_text("2 other tabs on this store")
    third.close(run_before_unload=True)
    expect(made(first)).to_contain_text("1 other tab on this store")
