"""Views of the sample: events, members, and the details of runs."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Locator, Page, expect

from page.page_tabs import PageTabs, dismiss_notice, drop, facts, fragment, go, rows
from page.stores import MANY, export, long_log

pytestmark = pytest.mark.slow

DAILY = "49b64a08-72e6-4c3a-babc-ed2057ee05cd"  # with failures
POLISH = "82b33599-8604-4719-a6de-bfdb8825ae56"  # with a loop, still running


@pytest.fixture(scope="module")
def desk(page_tabs: PageTabs) -> Page:
    """A tab with the sample, opened with one click."""
    page = page_tabs.open("look")
    page.get_by_role("button", name="Open the sample").click()
    dismiss_notice(page, "The sample was imported: 99 events, 8 runs")
    return page


@pytest.fixture(scope="module")
def kinds(tide_desk: Path) -> list[dict[str, Any]]:
    """The events as meerkat-mob stored them."""
    with closing(sqlite3.connect(tide_desk)) as database:
        stored = database.execute("SELECT event_json FROM mob_events ORDER BY cursor").fetchall()
    return [json.loads(text)["kind"] for (text,) in stored]


def status(page: Page) -> Locator:
    """Locate the number of results above a list."""
    return page.get_by_role("main").get_by_role("status")


def choice(page: Page, name: str) -> Locator:
    """Locate a filter above a list."""
    return page.get_by_role("combobox", name=name, exact=True)


def open_row(page: Page, label: str, text: str) -> Locator:
    """Click a row, and return its details."""
    rows(page, label).filter(has_text=text).first.click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel).to_be_visible()
    return panel


def fields_of(panel: Locator) -> Mapping[str, Any]:
    """Parse the document in the details."""
    content = panel.get_by_label("Content").first
    expect(content).to_be_visible()
    return cast("Mapping[str, Any]", json.loads(content.inner_text()))


def test_the_sample_is_one_click_away(desk: Page) -> None:
    go(desk)
    expect(facts(desk).get_by_role("listitem")).to_have_text(["2 mobs", "99 events", "8 runs"])
    desk.get_by_role("navigation", name="Mobs and tools").get_by_text("tide-desk").click()
    expect(desk.get_by_role("heading", name="writer-1")).to_be_visible()
    expect(desk).to_have_title(re.compile("tide-desk"))


def test_events_are_filtered(desk: Page, kinds: list[dict[str, Any]]) -> None:
    go(desk, mob="tide-desk", tab="events")
    found = status(desk)
    expect(found).to_have_text("99 events")
    types = Counter(kind["type"] for kind in kinds)
    runs = Counter(kind.get("run_id") for kind in kinds)

    kind = desk.get_by_role("main").locator(".kinds")
    kind.locator("summary").click()
    kind.get_by_label("step target failed").check()
    expect(found).to_have_text(f"{types['step_target_failed']} of 99 events")
    expect(rows(desk, "Events")).to_have_count(types["step_target_failed"])
    kind.get_by_label("mob created").check()
    two = types["step_target_failed"] + types["mob_created"]
    expect(found).to_have_text(f"{two} of 99 events")
    expect(kind.locator("summary")).to_have_text("2 kinds")
    expect(desk).to_have_url(re.compile("type=mob_created%2Cstep_target_failed"))
    desk.keyboard.press("Escape")
    expect(kind.get_by_label("mob created")).to_be_hidden()
    expect(kind.locator("summary")).to_be_focused()
    desk.get_by_role("button", name="Clear the filters").click()

    member, run = desk.get_by_label("Member"), desk.get_by_label("Run", exact=True)
    member.fill("writer-2")
    named = sum(
        "writer-2" in {kind.get(f) for f in ("meerkat_id", "a", "b", "local", "owner")}
        for kind in kinds
    )
    assert 0 < named < 99
    expect(found).to_have_text(f"{named} of 99 events")
    options = desk.locator(f"#{member.get_attribute('list')} option")
    assert "writer-1" in options.evaluate_all("options => options.map(({value}) => value)")
    member.fill("")
    run.fill(DAILY)
    expect(found).to_have_text(f"{runs[DAILY]} of 99 events")
    kind.locator("summary").click()
    kind.get_by_label("step dispatched").check()
    both = sum(k["type"] == "step_dispatched" and k.get("run_id") == DAILY for k in kinds)
    expect(found).to_have_text(f"{both} of 99 events")

    desk.reload()  # the address contains the filter
    expect(found).to_have_text(f"{both} of 99 events", timeout=90_000)
    expect(kind.locator("summary")).to_have_text("step dispatched")
    desk.get_by_role("button", name="Clear the filters").click()
    expect(found).to_have_text("99 events")
    expect(rows(desk, "Events").first).to_contain_text("99")
    desk.get_by_label("Newest first").uncheck()
    expect(rows(desk, "Events").first).to_contain_text("mob created")


def test_events_since_a_time(desk: Page, tide_desk: Path) -> None:
    with closing(sqlite3.connect(tide_desk)) as database:
        stored = database.execute("SELECT event_json FROM mob_events").fetchall()
    times = [json.loads(text)["timestamp"] for (text,) in stored]
    late = sum(at >= "2026-03-02T08:05" for at in times)
    assert 0 < late < 99
    go(desk, mob="tide-desk", tab="events")
    choice(desk, "Time").select_option("Last hour")
    expect(status(desk)).to_have_text("0 of 99 events")
    choice(desk, "Time").select_option("From a time")
    expect(status(desk)).to_have_text("99 events")
    desk.get_by_label("From (UTC)").fill("2026-03-02T08:05")
    expect(status(desk)).to_have_text(f"{late} of 99 events")
    desk.reload()
    expect(status(desk)).to_have_text(f"{late} of 99 events", timeout=90_000)
    expect(desk.get_by_label("From (UTC)")).to_have_value("2026-03-02T08:05")
    desk.get_by_role("button", name="Clear the filters").click()
    expect(choice(desk, "Time")).to_have_value("")


def test_an_event_opens(desk: Page, kinds: list[dict[str, Any]]) -> None:
    go(desk, mob="tide-desk", tab="events", type="step_target_failed")
    panel = open_row(desk, "Events", DAILY[:8])
    cursor = int(panel.get_by_role("definition").first.inner_text())
    assert fields_of(panel) == kinds[cursor - 1]
    panel.get_by_role("link", name=DAILY).click()
    expect(desk.get_by_role("heading", name="daily")).to_be_visible()


def test_runs_are_listed(desk: Page) -> None:
    go(desk, mob="tide-desk", tab="runs")
    expect(status(desk)).to_have_text("8 runs")
    expect(rows(desk, "Runs")).to_have_count(8)
    choice(desk, "Flow").select_option("polish")
    expect(status(desk)).to_have_text("3 runs")
    choice(desk, "Status").select_option("running")
    expect(status(desk)).to_have_text("1 run")
    expect(choice(desk, "Status").get_by_role("option", name="running (1)")).to_have_count(1)
    desk.get_by_label("Unclaimed").check()
    expect(status(desk)).to_have_text("1 run")
    choice(desk, "Status").select_option("completed")
    expect(status(desk)).to_have_text("0 runs")
    desk.get_by_label("Unclaimed").uncheck()
    choice(desk, "Status").select_option("running")
    expect(status(desk)).to_have_text("1 run")
    row = rows(desk, "Runs").filter(has_text=POLISH[:8])
    expect(row).to_contain_text("running")
    row.get_by_role("link").click()
    expect(desk.get_by_role("heading", name="polish")).to_contain_text("running")
    expect(desk).to_have_url(re.compile(f"#run={POLISH}$"))


def test_the_timeline_of_a_run(desk: Page) -> None:
    go(desk, run=DAILY)
    expect(desk.get_by_role("img", name="6 steps by 5 members")).to_be_visible()
    expect(rows(desk, "Steps")).to_have_count(6)
    desk.get_by_role("button", name="Zoom in").click()
    picture = desk.get_by_role("img", name="6 steps by 5 members")
    drawn = picture.evaluate(
        """canvas => new Set(new Uint32Array(canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
    )
    assert drawn > 2, "nothing is drawn"
    panel = open_row(desk, "Steps", "draft")
    expect(panel).to_contain_text("writer-1")
    expect(panel.get_by_label("Content").first).to_be_visible()


def test_frames_and_loops_with_their_state(desk: Page) -> None:
    go(desk, run=POLISH, tab="tree")
    branches = rows(desk, "Frames and loops")
    expect(branches).to_have_count(3)
    expect(branches.nth(2)).to_have_attribute("aria-level", "3")
    expect(branches.nth(0)).to_contain_text("n-outline")
    branches.nth(1).locator(".twist").click()
    expect(branches).to_have_count(2)
    branches.nth(1).locator(".twist").click()
    expect(branches).to_have_count(3)

    panel = open_row(desk, "Frames and loops", "root")
    expect(panel.get_by_role("table", name="Nodes").get_by_role("row")).to_have_count(3)
    expect(panel.get_by_label("Content")).to_have_count(
        0
    )  # a document is decoded when it is opened
    panel.get_by_text("Kernel state").click()
    shown = fields_of(panel)
    assert shown["phase"] == "Completed"
    assert shown["fields"]["frame_id"] == f"{POLISH}-root"


def test_ledgers(desk: Page) -> None:
    for tab, label, count in [
        ("ledger", "Step ledger", 12),
        ("failures", "Failure ledger", 4),
        ("outputs", "Outputs", 4),
    ]:
        go(desk, run=DAILY, tab=tab)
        expect(rows(desk, label)).to_have_count(count)
    panel = open_row(desk, "Outputs", "outline")
    expect(panel.get_by_label("Content")).to_be_visible()
    go(desk, run=DAILY, tab="failures")
    reason = rows(desk, "Failure ledger").first.get_by_role("gridcell").last.inner_text()
    expect(open_row(desk, "Failure ledger", reason)).to_contain_text(reason)
    go(desk, run=POLISH, tab="iterations")
    expect(rows(desk, "Loop iteration ledger")).to_have_count(1)
    go(desk, run=DAILY, tab="iterations")
    expect(desk.get_by_role("heading", name="No iterations")).to_be_visible()


def test_the_state_of_a_run_is_decoded_when_it_is_opened(desk: Page) -> None:
    go(desk, run=DAILY, tab="state")
    main = desk.get_by_role("main")
    expect(main.get_by_text("Flow state: Completed")).to_be_visible()
    expect(main.get_by_label("Content")).to_have_count(0)
    main.get_by_text("Flow state: Completed").click()
    assert fields_of(main)["phase"] == "Completed"


def test_a_missing_run(desk: Page) -> None:
    go(desk, run="00000000-0000-0000-0000-000000000000")
    expect(desk.get_by_role("heading", name="Not found", exact=True)).to_be_visible()
    desk.get_by_role("main").get_by_role("link", name="All mobs").click()
    expect(facts(desk)).to_contain_text("99 events")


def test_only_visible_events_are_in_the_document(page_tabs: PageTabs, tmp_path: Path) -> None:
    file = export(long_log, tmp_path)
    page = page_tabs.open("long")
    drop(page, file)
    bar = page.get_by_role("progressbar", name="Reading store.zip")
    expect(bar).to_have_attribute("value", re.compile("[1-9]"))
    expect(bar).to_have_count(0, timeout=120_000)
    dismiss_notice(page, f"store.zip was imported: {MANY:,} events")

    page.goto(f"{page.url.partition('#')[0]}{fragment({'tab': 'events'})}")
    expect(status(page)).to_have_text(f"{MANY:,} events")
    shown = rows(page, "Events")
    assert shown.count() < 100
    expect(shown.first).to_contain_text(f"member-{MANY}")
    grid = page.get_by_label("Events", exact=True)
    expect(grid).to_have_attribute("aria-rowcount", "-1")
    grid.press("End")
    expect(shown.first).to_contain_text(re.compile(r"member-78\d\d"))
    expect(grid.locator(".rows")).to_have_css("height", f"{400 * 34}px")  # the next page came
    grid.press("End")
    expect(shown.first).to_contain_text(re.compile(r"member-76\d\d"))
    assert shown.count() < 100
    page.get_by_label("Newest first").uncheck()
    expect(shown.first).to_contain_text("hub, member-1")
    expect(shown.first).to_have_attribute("aria-rowindex", "2")
    page.get_by_label("Newest first").check()
    page.get_by_label("Member").fill("member-777")
    expect(status(page)).to_have_text(f"1 of {MANY:,} events")
    page.get_by_label("Member").fill("hub")
    expect(status(page)).to_have_text(re.compile(rf"^\d+ or more of {MANY:,} events"))
    page.close()
