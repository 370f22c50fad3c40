"""Live updates of the page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from browser.browsers import ChromiumTab
from page.page_tabs import PageTabs, facts, go, open_store, rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(page_tabs: PageTabs) -> Page:
    return page_tabs.open("live", page="store")


@pytest.fixture(scope="module")
def program(page_tabs: PageTabs) -> ChromiumTab:
    """mobstore on the same origin, without the page."""
    return page_tabs.chromium.tab()


def test_writes_of_another_program_are_shown(page: Page, program: ChromiumTab) -> None:
    expect(facts(page)).to_contain_text("0 events")
    for events in (3, 6):
        program.call("subscriptions:append", "live", 3)
        expect(facts(page)).to_contain_text(f"{events} events")

    go(page, page="demo")
    page.get_by_role("button", name="Start a flow").click()
    go(page)
    expect(page.get_by_role("main").get_by_role("link", name="demo-desk")).to_be_visible()


def test_a_click_during_an_update_counts(page: Page, program: ChromiumTab) -> None:
    """The link that is pressed stays, while its text and those of others change."""
    open_store(page, "clicked")
    program.call("subscriptions:append", "clicked", 1)
    events = page.get_by_role("main").get_by_role("link", name=re.compile(r"\d events?$"))
    expect(events).to_have_text("1 event")
    events.hover()
    page.mouse.down()
    program.call("subscriptions:append", "clicked", 2)
    expect(events).to_have_text("3 events")
    expect(facts(page)).to_contain_text("3 events")
    page.mouse.up()
    expect(page).to_have_url(re.compile("tab=events"))


def cursors(page: Page) -> list[str]:
    """List the cursors of the rows, from the top."""
    cells = rows(page, "Events").locator(":scope > :first-child")
    return cells.all_inner_texts()


@pytest.mark.parametrize("order", ["", "old"])
def test_new_events_come_at_their_end_of_the_list(
    page: Page, program: ChromiumTab, order: str
) -> None:
    store = f"ends{order}"
    open_store(page, store)
    program.call("subscriptions:append", store, 2)
    found = page.get_by_role("main").get_by_role("status")
    go(page, tab="events", order=order)
    expect(found).to_have_text("2 events")
    expect(rows(page, "Events")).to_have_count(2)
    kinds = page.locator(".kinds")
    kinds.locator("summary").press("Enter")
    for kind in ("mob completed", "peers wired"):
        kinds.get_by_role("checkbox", name=kind).press("Space")
    expect(found).to_have_text("2 of 2 events")
    rows(page, "Events").first.click()
    chosen = rows(page, "Events").and_(page.locator("[aria-selected=true]"))
    before = chosen.inner_text()
    for events in (5, 8):
        program.call("subscriptions:append", store, 3)
        expect(found).to_have_text(f"{events} of {events} events")
        expect(rows(page, "Events")).to_have_count(events)
        ascending = [str(cursor) for cursor in range(1, events + 1)]
        assert cursors(page) == (ascending if order else ascending[::-1])
        expect(chosen).to_have_text(before, use_inner_text=True)
    kinds.locator("summary").click()
    kinds.get_by_role("checkbox", name="mob completed").uncheck()
    expect(found).to_have_text("0 of 8 events")
    program.call("subscriptions:append", store, 1)
    expect(found).to_have_text("0 of 9 events")


def test_another_store_is_shown_once_it_is_open(page: Page, program: ChromiumTab) -> None:
    """Check that the old store causes no updates."""
    open_store(page, "left")
    go(page, page="store")
    program.start("subscriptions:append", "left", 40)
    page.get_by_label("Name of the store").fill("taken")
    page.get_by_role("button", name="Open this store").click()
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
    assert program.finish() == list(range(1, 41))
    program.call("subscriptions:append", "taken", 2)
    go(page, page="store")
    expect(facts(page)).to_contain_text("2 events")
    expect(page.get_by_role("alert")).to_have_count(0)


CHANGES_WITH_EVERY_RESULT = """(() => {
  const post = self.postMessage;
  self.postMessage = (message) => {
    if (message.id) post({ changed: true });
    post(message);
  };
})()"""
"""A store that changes faster than the page can read it."""


def test_constant_changes_do_not_keep_a_view_busy(page_tabs: PageTabs) -> None:
    page = page_tabs.open("constant")
    page.workers[-1].evaluate(CHANGES_WITH_EVERY_RESULT)
    page.evaluate("location.hash = 'page=demo'")
    expect(page).to_have_title(re.compile("^Play a flow"), timeout=10_000)
    expect(page.get_by_role("main")).not_to_have_attribute("aria-busy", "true")
    page.close()


SLOW_AND_CHANGING = """(() => {
  const post = self.postMessage;
  self.answers = 0;
  self.postMessage = (message) => {
    if (!message.id) return post(message);
    self.answers++;
    setTimeout(() => post(message), 100);
  };
  const begun = performance.now();
  self.share = () => (self.answers * 100) / (performance.now() - begun);
  setInterval(() => post({ changed: true }), 5);
})()"""
"""A store that changes all the time, and takes at least 100 ms for each answer."""


def test_most_of_the_time_belongs_to_writers(page_tabs: PageTabs) -> None:
    """They wait for reads in IndexedDB: a page that read all the time would hold them up."""
    page = page_tabs.open("rests", page="store")
    worker = page.workers[-1]
    worker.evaluate(SLOW_AND_CHANGING)
    page.wait_for_timeout(4000)
    assert worker.evaluate("self.answers") > 2
    assert worker.evaluate("self.share()") < 0.45  # a quarter, and the first reads; else nearly 1
    page.close()


COUNTING = """(() => {
  const post = self.postMessage;
  self.answers = self.changes = 0;
  self.postMessage = (message) => {
    if (message.id) self.answers++;
    if (message.changed) self.changes++;
    post(message);
  };
})()"""
HIDDEN = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
}"""
"""A page in a tab that is not shown; a browser without a screen has none."""


def test_a_hidden_page_reads_nothing(page_tabs: PageTabs, program: ChromiumTab) -> None:
    page = page_tabs.open("hidden", page="store")
    expect(facts(page)).to_contain_text("0 events")
    worker = page.workers[-1]
    worker.evaluate(COUNTING)
    page.evaluate(HIDDEN, True)
    program.call("subscriptions:append", "hidden", 3)
    while worker.evaluate("self.changes") == 0:
        page.wait_for_timeout(20)
    page.wait_for_timeout(200)
    assert worker.evaluate("self.answers") == 0
    expect(facts(page)).to_contain_text("0 events")
    page.evaluate(HIDDEN, False)
    expect(facts(page)).to_contain_text("3 events")
    page.close()


HOLDING_OVERVIEWS = """(() => {
  const [post, receive] = [self.postMessage, self.onmessage];
  const calls = new Set();
  self.held = [];
  self.onmessage = (event) => {
    if (event.data.method === "overview") calls.add(event.data.id);
    return receive(event);
  };
  self.postMessage = (message) => (calls.has(message.id) ? self.held.push(message) : post(message));
  self.release = () => {
    self.postMessage = post;
    self.held.forEach((message) => post(message));
  };
})()"""
"""A store of which the overview takes long."""


def test_a_view_does_not_wait_for_the_overview(page_tabs: PageTabs, program: ChromiumTab) -> None:
    page = page_tabs.open("beside", page="store")
    program.call("subscriptions:append", "beside", 1)
    expect(facts(page)).to_contain_text("1 event")
    worker = page.workers[-1]
    worker.evaluate(HOLDING_OVERVIEWS)
    program.call("subscriptions:append", "beside", 2)
    while worker.evaluate("self.held.length") == 0:
        page.wait_for_timeout(20)
    go(page, page="demo")
    expect(page).to_have_title(re.compile("^Play a flow"))
    go(page, tab="events")
    expect(rows(page, "Events")).to_have_count(3)
    expect(facts(page)).to_contain_text("1 event")
    program.call("subscriptions:append", "beside", 1)  # noticed while the overview is read
    worker.evaluate("self.release()")
    expect(facts(page)).to_contain_text("4 events")
    expect(rows(page, "Events")).to_have_count(4)
    assert worker.evaluate("self.held.length") == 1
    page.close()
