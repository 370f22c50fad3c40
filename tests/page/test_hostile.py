"""Hostile stored text is shown as text, with all characters visible."""

from __future__ import annotations

import json
from functools import partial
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from mobstore.testing.samples import run_id
from page.page_tabs import PageTabs, choose, dismiss_notice, go, rows, settled
from page.stores import HIDDEN, KEY, MARKUP, SEEN, export, hostile

pytestmark = pytest.mark.slow

RUN = str(run_id(1))


OUTSIDE = "OUTSIDE"
"""Placeholder of the hostile text in the routes below."""


class HostileTab(NamedTuple):
    """A tab with a hostile store under a hostile name."""

    page: Page
    text: str
    seen: str

    def go(self, place: dict[str, str]) -> None:
        """Go to a route."""
        go(self.page, **{key: self.text if it == OUTSIDE else it for key, it in place.items()})


@pytest.fixture(scope="module", params=[MARKUP, KEY, HIDDEN], ids=["markup", "key", "hidden"])
def shown(
    page_tabs: PageTabs, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> HostileTab:
    text: str = request.param
    page = page_tabs.open(text)
    file = export(partial(hostile, text=text), tmp_path_factory.mktemp("hostile"))
    choose(page, "Choose a file", file)
    dismiss_notice(page, "was imported: 4 events, 1 run, 1 definition, 1 profile.")
    return HostileTab(page, text, SEEN.get(text, text))


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"tab": "profiles"},
        {"mob": OUTSIDE},
        {"mob": OUTSIDE, "tab": "definition"},
        {"page": "store"},
    ],
    ids=str,
)
def test_views(shown: HostileTab, place: dict[str, str]) -> None:
    shown.go(place)
    main = shown.page.get_by_role("main")
    expect(main.get_by_text(shown.seen).first).to_be_visible()
    for closed in main.locator("details:not([open]) > summary").all():
        closed.click()
    harmless(shown)


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ({"mob": OUTSIDE, "tab": "events"}, "Events"),
        ({"mob": OUTSIDE, "tab": "runs"}, "Runs"),
        ({"run": RUN}, "Steps"),
        ({"run": RUN, "tab": "ledger"}, "Step ledger"),
        ({"run": RUN, "tab": "failures"}, "Failure ledger"),
        ({"run": RUN, "tab": "iterations"}, "Loop iteration ledger"),
        ({"run": RUN, "tab": "outputs"}, "Outputs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_lists_and_details(shown: HostileTab, place: dict[str, str], label: str) -> None:
    shown.go(place)
    row = rows(shown.page, label).filter(has_text=shown.seen).first
    expect(row).to_be_visible()
    row.click()
    if label != "Runs":  # it opens the run
        panel = shown.page.get_by_role("complementary")
        expect(panel.get_by_text(shown.seen).first).to_be_visible()
    harmless(shown)


def test_documents_stay_json(shown: HostileTab) -> None:
    shown.go({"run": RUN, "tab": "outputs"})  # details that earlier tests opened are gone
    shown.go({"run": RUN, "tab": "ledger"})
    rows(shown.page, "Step ledger").first.click()
    panel = shown.page.get_by_role("complementary")
    panel.get_by_text("As stored", exact=True).click()
    for label in ("Content", "As stored"):
        document = panel.get_by_label(label)
        expect(document).to_be_visible()
        assert json.loads(document.inner_text()) == shown.text
    harmless(shown)


def test_the_canvas(shown: HostileTab) -> None:
    shown.go({"run": RUN})
    canvas = shown.page.locator("canvas")
    canvas.hover(position={"x": 141, "y": 34})  # at the beginning of the lane
    expect(canvas).to_have_attribute("title", f"{shown.seen} by {shown.seen}: completed, 0 ms")
    harmless(shown)


def test_filters(shown: HostileTab) -> None:
    shown.go({"mob": OUTSIDE, "tab": "events", "member": OUTSIDE, "type": "peers_wired"})
    page = shown.page
    expect(page.get_by_role("main").get_by_role("status")).to_have_text("1 of 4 events")
    one_line = shown.text.replace("\r", "").replace("\n", "")  # as a field of one line does
    expect(page.get_by_role("combobox", name="Member")).to_have_value(one_line)
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.get_by_role("main").get_by_role("status")).to_have_text("4 events")
    harmless(shown)


def test_dialogs(shown: HostileTab) -> None:
    page = shown.page
    shown.go({"page": "store"})
    page.get_by_role("button", name="Erase the store").click()
    expect(page.get_by_role("dialog")).to_contain_text(f'Erase the store "{shown.seen}"?')
    harmless(shown)
    page.get_by_role("button", name="Cancel").click()


def test_the_name_of_a_download(shown: HostileTab) -> None:
    shown.go({"page": "store"})
    with shown.page.expect_download() as downloading:
        shown.page.get_by_role("button", name="Export the store").click()
    name = downloading.value.suggested_filename
    assert name.endswith(".zip")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzJ2_-. "), name
    dismiss_notice(shown.page, f"to {name} in your downloads.")


def test_copied_text(shown: HostileTab) -> None:
    """Check that a copy has the escaped text, which is harmless to paste."""
    shown.go({"mob": OUTSIDE})
    page = shown.page
    page.keyboard.press("Control+a")
    assert shown.seen in page.evaluate("getSelection().toString()")
    page.evaluate("getSelection().empty()")


HIDING = r"/[\p{Cf}\u3164\u2028\u00a0\x00-\x08\x0b-\x1f\x7f-\x9f]/u"
LOOK = f"""() => {{
  const texts = [document.title];
  const walk = document.createTreeWalker(document, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {{
    const node = walk.currentNode;
    if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
    else for (const name of ["title", "aria-label", "download"]) texts.push(node[name] ?? "");
  }}
  return texts.filter((text) => {HIDING}.test(text));
}}"""


def harmless(shown: HostileTab) -> None:
    """Check that no text became an element; the policy alone would block its script."""
    settled(shown.page)
    expect(shown.page.locator("img, [onerror]")).to_have_count(0)
    expect(shown.page).not_to_have_title("stolen")
    assert shown.page.evaluate(LOOK) == []
