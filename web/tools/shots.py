"""Pictures of all views of the page, taken in a real browser.

`python web/tools/shots.py [FOLDER]` builds the site, serves it, and opens it in the installed
Chromium. The page then imports a store with the sample and a demo run. Each view is shown light,
dark, and on a phone; FOLDER is shots/ by default. `--docs` takes the pictures of the documentation
only, into docs/.

Times, ids, window, time zone and language are fixed. A picture therefore changes only with the
page, or with the browser and the fonts of the machine. Some views show times of the moment.
"""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Literal, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from playwright.sync_api import Page, sync_playwright

import build_site
import serve
from sample import make_sample

sys.path.insert(0, str(build_site.WEB))  # the folder of the package `inspector`

from inspector import demo_commit, demo_definition, demo_moves
from mobstore import (
    MobRun,
    RunId,
    Timestamp,
    export_stores,
    import_meerkat,
    open_stores,
    run_claim_name,
)

RUN_ID = UUID("5f0c2b9e-7d41-4c38-9a52-1e6b8f3d7a04")
STARTED = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MOVES = 23  # of 26: the last step is still at work
WORK_SECONDS = (14.2, 31.7, 17.4, 17.9, 26.3, 15.1)  # of the steps, in order; the third one fails
OTHER_SECONDS = 1.8  # of every other move
START_TIMEOUT_MS = 90_000  # Pyodide starts in a few seconds, but not on a busy machine
STORE = "desk"
MOB = "tide-desk"  # of the sample
LOOPING = "82b33599-8604-4719-a6de-bfdb8825ae56"  # a run of the sample, with a loop

VIEWS: dict[str, tuple[dict[str, str], str]] = {
    "mobs": ({}, ""),
    "events of all": ({"tab": "events"}, "Events"),
    "profiles": ({"tab": "profiles"}, ""),
    "workers": ({"tab": "workers"}, ""),
    "roster": ({"mob": MOB}, ""),
    "events": ({"mob": MOB, "tab": "events", "type": "flow_started"}, "Events"),
    "runs": ({"mob": MOB, "tab": "runs"}, ""),
    "definition": ({"mob": MOB, "tab": "definition"}, ""),
    "timeline": ({"run": LOOPING}, "Steps"),
    "frames": ({"run": LOOPING, "tab": "tree"}, "Frames and loops"),
    "ledger": ({"run": LOOPING, "tab": "ledger"}, "Step ledger"),
    "failures": ({"run": LOOPING, "tab": "failures"}, ""),
    "iterations": ({"run": LOOPING, "tab": "iterations"}, "Loop iteration ledger"),
    "outputs": ({"run": LOOPING, "tab": "outputs"}, "Outputs"),
    "state": ({"run": LOOPING, "tab": "state"}, ""),
    "demo": ({"page": "demo"}, ""),
    "python": ({"page": "python"}, ""),
    "race": ({"page": "race"}, ""),
    "store": ({"page": "store"}, ""),
}
"""Routes; for views with details, the list with the row that opens them."""

CELL = f"""\
run = await stores.runs.get_run("{RUN_ID}")
print(run.flow_id, "is", run.status, "after", len(run.step_ledger), "entries of its ledger")
run
"""


class Look(NamedTuple):
    """A colour scheme and the size of a window."""

    scheme: Literal["light", "dark"]
    width: int
    height: int


LIGHT, DARK, PHONE = Look("light", 1280, 800), Look("dark", 1280, 800), Look("light", 390, 844)
LOOKS = {"light": LIGHT, "dark": DARK, "phone": PHONE}


Show = Callable[[Page], None]
"""Navigates to what a picture shows."""


@contextmanager
def open_page(origin: str, chromium: str) -> Generator[Page]:
    """Yield a tab of a fresh browser with the page on a filled store.

    Args:
        origin: the address of the served site.
        chromium: the path of the browser.
    """
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(timezone_id="UTC", locale="en-GB")
        store = Path(folder, "store.zip")
        with ThreadPoolExecutor(1) as thread:  # Playwright uses the event loop of this thread
            thread.submit(asyncio.run, _export_store(store)).result()
        page.goto(f"{origin}/?store={STORE}")
        page.get_by_role("button", name="Choose a file").click(timeout=START_TIMEOUT_MS)
        page.locator("#file").set_input_files(store)
        page.locator(".job").get_by_role("button", name="Dismiss").click()
        yield page
        browser.close()


def take_shot(page: Page, show: Show, look: Look) -> bytes:
    """Return a picture as a PNG."""
    page.set_viewport_size({"width": look.width, "height": look.height})
    page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")
    show(page)
    page.mouse.move(0, 0)
    before, now = b"", page.screenshot()
    while now != before:  # a canvas is drawn in the next frame
        before, now = now, page.screenshot()
    return now


# What is shown -----------------------------------------------------------------------------------


def _go(page: Page, place: dict[str, str]) -> None:
    """Navigate within the page; details that are open do not stay."""
    for target in ({"page": "store", "tab": "again"}, place):
        page.goto(f"{page.url.partition('#')[0]}#{urlencode(target)}")
        page.locator("main:not([aria-busy]) h1").wait_for()


def _view(name: str) -> Show:
    place, opens = VIEWS[name]

    def show(page: Page) -> None:
        _go(page, place)
        if opens:
            page.get_by_label(opens, exact=True).locator("[role=row][aria-selected]").first.click()
            page.get_by_role("complementary", name="Details").wait_for()

    return show


def _run(page: Page) -> None:
    _go(page, {"run": str(RUN_ID)})
    steps = page.get_by_label("Steps", exact=True).locator("[role=row][aria-selected]")
    steps.filter(has_text="critique").last.click()
    page.get_by_role("complementary").get_by_label("Content").first.wait_for()


def _cell(page: Page) -> None:
    _go(page, {"page": "python"})
    page.get_by_label("Python code").fill(CELL)
    page.get_by_role("button", name="Run").click()
    newest = page.locator(".cell").first
    newest.get_by_role("group", name="Display").wait_for(timeout=START_TIMEOUT_MS)


def _dialog(page: Page) -> None:
    page.keyboard.press("Escape")  # of the look before
    _go(page, {"page": "store"})
    page.get_by_role("button", name="Erase the store").click()


def _messages(page: Page) -> None:
    page.keyboard.press("Escape")
    _go(page, {"mob": MOB})
    page.locator("#file").set_input_files({"name": "a.txt", "mimeType": "", "buffer": b"text"})
    page.get_by_role("alert").wait_for()


def _empty_store(page: Page) -> None:
    page.keyboard.press("Escape")
    page.goto(f"{page.url.partition('?')[0]}?store=empty")
    page.get_by_role("heading", name="This store is empty").wait_for(timeout=START_TIMEOUT_MS)


def _notebook(page: Page) -> None:
    page.goto(f"{page.url.partition('?')[0]}{NOTEBOOK}?path=first-steps.ipynb")
    page.locator(".jp-Notebook-cell").first.wait_for(timeout=START_TIMEOUT_MS)


NOTEBOOK = "jupyter/notebooks/index.html"
SHOWS: dict[str, Show] = {
    **{name.replace(" ", "-"): _view(name) for name in VIEWS},
    "run": _run,
    "cell": _cell,
    "dialog": _dialog,
    "messages": _messages,
    "empty-store": _empty_store,  # the next ones leave the filled store
    "notebook": _notebook,
}
DOCS: dict[str, tuple[Show, Look]] = {
    "page": (_run, LIGHT),
    "console": (_cell, DARK),
    "phone": (_view("runs"), PHONE),
}
"""The pictures of the documentation, by the names of their files."""


# The store ---------------------------------------------------------------------------------------


async def _export_store(file: Path) -> None:
    """Export a store with the sample and a demo run that is not complete."""
    sample = file.with_suffix(".db")
    sample.write_bytes(make_sample())
    async with open_stores("memory:") as stores:
        await import_meerkat(sample, stores)
        await stores.specs.put_spec(demo_definition.DEMO_MOB, demo_definition.definition())
        run = MobRun.pending(
            demo_definition.DEMO_MOB,
            demo_definition.DEMO_FLOW,
            demo_definition.first_state(),
            {"topic": "tides"},
        )
        created = {"run_id": RunId(RUN_ID), "created_at": Timestamp(STARTED)}
        await stores.runs.create_run(run.model_copy(update=created))
        claim = await stores.claims.acquire(run_claim_name(RUN_ID), "tab abc", 60)
        if claim is None:
            raise AssertionError("the run is new, so no tab holds it")
        moves = demo_moves.MoveSequence(RUN_ID).moves[:MOVES]
        for move, time in zip(moves, _times(moves), strict=True):
            await demo_commit.commit_move(stores, claim, RUN_ID, move, time)
        await stores.claims.release(claim)
        with file.open("wb") as target:
            await export_stores(stores, target)


def _times(moves: list[demo_moves.Move]) -> Iterator[Timestamp]:
    """Yield the time of each move."""
    work, now = iter(WORK_SECONDS), STARTED
    for move in moves:
        ends_step = move.step is not None and move.step[2] != "dispatched"
        now += timedelta(seconds=next(work) if ends_step else OTHER_SECONDS)
        yield Timestamp(now)


@contextmanager
def _serve(site: Path) -> Generator[str]:
    """Serve a site on a free port, and yield its address."""
    with serve.make_server(site) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Take pictures of the page.")
    default = build_site.ROOT / "shots"
    parser.add_argument("folder", type=Path, nargs="?", default=default, help="for PNGs (shots)")
    parser.add_argument("--docs", action="store_true", help="only those of docs/, into docs/")
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("shots: chromium is missing (Debian: apt-get install chromium)")
    with TemporaryDirectory() as site:
        try:
            build_site.build(Path(site))
        except build_site.BuildError as error:
            sys.exit(f"shots: {error}")
        with _serve(Path(site)) as origin, open_page(origin, chromium) as page:
            if options.docs:
                for name, (show, look) in DOCS.items():
                    file = build_site.ROOT / "docs" / f"{name}.png"
                    file.write_bytes(take_shot(page, show, look))
                return
            folder: Path = options.folder
            folder.mkdir(parents=True, exist_ok=True)
            for name, show in SHOWS.items():
                if show is not _notebook or Path(site, NOTEBOOK).exists():
                    for end, look in LOOKS.items():
                        Path(folder, f"{name}-{end}.png").write_bytes(take_shot(page, show, look))


if __name__ == "__main__":
    main()
