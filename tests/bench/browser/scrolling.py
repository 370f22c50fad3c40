"""Scrolling in the page, recorded by Chromium's tracing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from playwright.sync_api import BrowserContext, Page

from bench.browser.stage import Stage
from bench.outcome import Check, Outcome
from bench.turns import Settings

STORE, MOB = "bench", "tide-desk"
ENTRIES = 5_000
SECONDS, SPEED = 3, 4_000  # pixels per second
LONGEST = 50
"""Milliseconds, the upper limit for each frame."""

_TRACED = {
    "excludedCategories": ["*"],
    "includedCategories": [
        "devtools.timeline",
        "disabled-by-default-devtools.timeline",
        "disabled-by-default-devtools.timeline.frame",
    ],
}
# As a person drags the bar: from one end to the other, a part in every frame.
_SWEEP = """([selector, seconds]) => new Promise((resolve) => {
  const element = document.querySelector(selector);
  const width = element.scrollWidth - element.clientWidth;
  const height = element.scrollHeight - element.clientHeight;
  const start = performance.now();
  requestAnimationFrame(function step(now) {
    const part = Math.min(1, Math.max(0, now - start) / 1000 / seconds);
    element.scrollTo(width * part, height * part);
    if (part < 1) requestAnimationFrame(step);
    else resolve();
  });
})"""


class Scene(NamedTuple):
    """A scrollable element of the page.

    Attributes:
        title: name in the results.
        place: address in the page.
        element: selector of the element that scrolls.
        zoom: number of zoom steps before scrolling.
    """

    title: str
    place: str
    element: str
    zoom: int = 0


def scrolling(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Scroll in the page with many events and a long run."""
    events = 10_000 if settings.quick else 100_000
    with stage.browser() as browser:
        run = _filled(stage, browser, events)
        for scene in (
            Scene(f"{events:,} events", f"mob={MOB}&tab=events", ".grid.events"),
            Scene(f"step ledger of {ENTRIES:,} entries", f"run={run}&tab=ledger", ".grid.step"),
            Scene(f"timeline of {ENTRIES:,} entries", f"run={run}", ".timeline", zoom=6),
        ):
            page = _shown(stage, browser, scene)
            for manner, scroll in (("by the wheel", _wheel), ("from end to end", _sweep)):
                yield _outcome(f"{scene.title}, {manner}", page, scene.element, scroll)
            page.close()


def _filled(stage: Stage, browser: BrowserContext, events: int) -> str:
    page = browser.new_page()
    page.goto(f"{stage.origin}/bench/contest.html")
    params = {"name": STORE, "events": events, "entries": ENTRIES}
    run: str = page.evaluate("params => globalThis.ask({ method: 'fill', params })", params)
    page.close()
    return run


def _shown(stage: Stage, browser: BrowserContext, scene: Scene) -> Page:
    """Open a new page that shows a scene completely."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{stage.origin}/index.html?store={STORE}#{scene.place}")
    page.locator(f"{scene.element} >> visible=true").wait_for()
    page.locator("main:not([aria-busy])").wait_for()
    for _ in range(scene.zoom):
        page.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(1000)
    return page


def _sweep(page: Page, _: Any, element: str) -> None:
    page.evaluate(_SWEEP, [element, SECONDS])


def _wheel(page: Page, session: Any, element: str) -> None:
    scroller = page.locator(element)
    box = scroller.bounding_box()
    assert box is not None
    sideways = scroller.evaluate("each => each.scrollWidth > 2 * each.clientWidth")
    session.send(
        "Input.synthesizeScrollGesture",
        {
            "x": box["x"] + box["width"] / 2,
            "y": box["y"] + box["height"] / 2,
            "xDistance" if sideways else "yDistance": -SPEED * SECONDS,
            "speed": SPEED,
            "gestureSourceType": "mouse",
        },
    )


def _outcome(
    title: str, page: Page, element: str, scroll: Callable[[Page, Any, str], None]
) -> Outcome:
    session: Any = page.context.new_cdp_session(page)
    session.send("Tracing.start", {"transferMode": "ReturnAsStream", "traceConfig": _TRACED})
    scroll(page, session, element)
    trace = _ended(page, session)
    drawn = sorted(event["ts"] for event in trace if event["name"] == "DrawFrame")
    assert len(drawn) > 10, f"{title}: it did not scroll, it drew {len(drawn)} frames"
    frames = [(later - event) / 1e3 for event, later in pairwise(drawn)]
    (main,) = {
        (event["pid"], event["tid"]) for event in trace if event["name"] == "BeginMainThreadFrame"
    }
    tasks = [
        event.get("dur", 0) / 1e3  # the task that ends the tracing has no duration
        for event in trace
        if event["name"] == "RunTask" and (event["pid"], event["tid"]) == main
    ]
    return Outcome(
        title,
        "",
        checks=[
            Check("longest frame drawn", max(frames), LONGEST, at_most=True, unit="ms"),
            Check("longest task of the main thread", max(tasks), LONGEST, at_most=True, unit="ms"),
        ],
        notes=[f"{len(drawn)} frames drawn in {(drawn[-1] - drawn[0]) / 1e6:.2f} s"],
    )


def _ended(page: Page, session: Any) -> list[dict[str, Any]]:
    """End the tracing and return its events."""
    streams: list[str] = []

    def complete(event: dict[str, str]) -> None:
        streams.append(event["stream"])

    session.once("Tracing.tracingComplete", complete)
    session.send("Tracing.end")
    while not streams:
        page.wait_for_timeout(20)
    text, ended = "", False
    while not ended:
        part = session.send("IO.read", {"handle": streams[0]})
        text, ended = text + part["data"], part["eof"]
    events: list[dict[str, Any]] = json.loads(text)["traceEvents"]
    return events
