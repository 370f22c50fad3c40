"""Malformed and hostile links: the page stays usable."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from page.page_tabs import PageTabs, dismiss_notice, go, ready, settled

pytestmark = pytest.mark.slow

RUN = "49b64a08-72e6-4c3a-babc-ed2057ee05cd"
INHERITED = ("__proto__", "constructor", "toString")
LONG = "x" * 100_000

LINKS = [
    *(f"tab={name}" for name in INHERITED),
    *(f"page={name}" for name in INHERITED),
    *(f"{name}=x" for name in INHERITED),
    *(f"mob=tide-desk&tab={name}" for name in INHERITED),
    *(f"run={RUN}&tab={name}" for name in INHERITED),
    *(f"mob={name}&tab=runs" for name in INHERITED[:2]),
    *(f"mob={name}&tab=definition" for name in INHERITED[:2]),
    *(f"run={name}" for name in (*INHERITED[:2], "1e999", "-1", "NaN", "", "0x10", LONG)),
    *(f"page=race&run={name}" for name in (INHERITED[0], "1e999", "", RUN, LONG)),
    "mob=",
    f"mob={LONG}",
    f"mob={LONG}&tab=events",
    f"mob={LONG}&tab=runs",
    f"tab={LONG}",
    f"tab=events&type={LONG}&member={LONG}&run={LONG}&since={LONG}",
    f"{LONG}={LONG}",
    "&".join(f"mob={n}" for n in range(5_000)),
    "tab=events&type=__proto__&member=constructor&run=toString&since=valueOf&order=__proto__",
    "mob=tide-desk&tab=events&type=constructor",
    "mob=tide-desk&tab=runs&flow=__proto__&status=constructor",
    "mob=tide-desk&tab=runs&status=1e999",
    *(
        f"tab=events&since={time}"
        for time in ("1h", "%2B275760-01-01", "-000001-01-01", "NaN", "1")
    ),
    "mob=tide-desk&tab=events&type=,,x&run=&member=%ED%A0%80",
    "tab=workers",
    "%",
    "%zz&%=%",
    "mob=%",
    "run=%E0%A4%A",
    "mob=%00",
    "mob=%ED%A0%80",
    "mob=%F0%9F%92%A9%E2%80%AE",
    "&&==&=",
    r"""#?#[]{}<>\"'`""",
    "mob=<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
]


@pytest.fixture(scope="module")
def desk(page_tabs: PageTabs) -> Page:
    """A tab with the sample."""
    page = page_tabs.open("links")
    page.get_by_role("button", name="Open the sample").click()
    dismiss_notice(page, "The sample was imported: 99 events, 8 runs")
    return page


@pytest.mark.parametrize("link", LINKS, ids=lambda link: repr(link[:60]))
def test_the_page_is_usable_after_a_link(desk: Page, page_tabs: PageTabs, link: str) -> None:
    desk.evaluate("link => location.hash = link", link)
    settled(desk)
    expect(desk.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
    expect(desk.get_by_role("alert")).to_have_count(0)
    assert len(desk.title()) < 150
    usable(desk)
    assert page_tabs.complaints == []


def test_the_page_starts_with_a_link(page_tabs: PageTabs) -> None:
    page = page_tabs.tab()
    page.goto(f"{page_tabs.chromium.origin}/?store=links#run={RUN}&tab=constructor")
    ready(page)
    usable(page)
    page.close()
    assert page_tabs.complaints == []


@pytest.mark.parametrize(
    ("name", "link"),
    [
        (INHERITED[0], "tab=__proto__"),
        (INHERITED[1], "run=1e999"),
        ("%00%ED%A0%80%", "%"),
        ("..", ""),
        ("a/b%5C?y=z%23#", ""),
        ("%20", ""),
        ("y" * 5000, ""),
    ],
    ids=lambda text: text[:20],
)
def test_the_page_starts_with_any_store_and_link(page_tabs: PageTabs, name: str, link: str) -> None:
    page = page_tabs.tab()
    page.goto(f"{page_tabs.chromium.origin}/?store={name}#{link}")
    ready(page)
    page.get_by_role("navigation", name="Mobs and tools").get_by_text("All mobs").click()
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
    go(page, page="store")
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_have_text(
        re.compile('Store ".+"')
    )
    page.close()
    assert page_tabs.complaints == []


def usable(page: Page) -> None:
    """Check that clicks show other views."""
    page.get_by_role("navigation", name="Mobs and tools").get_by_text("tide-desk").click()
    settled(page)
    expect(page.get_by_role("heading", name="writer-1")).to_be_visible()
    tabs = page.get_by_role("navigation", name="Views")
    expect(tabs.get_by_role("link")).to_have_text(["Roster", "Events", "Runs", "Definition"])
    tabs.get_by_role("link", name="Events").click()
    found = page.get_by_role("main").get_by_role("status")
    expect(found).to_have_text(re.compile(r"^\d+ (of \d+ )?events$"))
