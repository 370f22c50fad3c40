"""Screenshot of the inspector for the README, taken in a real browser.

`python web/tools/screenshot.py [FILE]` builds the site, serves it, and opens it in the installed
Chromium. The page then imports a store with the sample and a demo run, and shows that run. FILE is
docs/page.png by default.

Times, ids, window, time zone and language are fixed. The picture therefore changes only with the
page, or with the browser and the fonts of the machine.
"""

import argparse
import asyncio
import gzip
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from uuid import UUID

from playwright.sync_api import Page, ViewportSize, sync_playwright

import build_site
import serve

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
WINDOW: ViewportSize = {"width": 1280, "height": 800}
START_TIMEOUT_MS = 90_000  # Pyodide starts in a few seconds, but not on a busy machine


def take_screenshot(origin: str, chromium: str) -> bytes:
    """Return the screenshot as a PNG.

    Args:
        origin: the address of the served site.
        chromium: the path of the browser.
    """
    with TemporaryDirectory() as folder:
        store = Path(folder, "desk.zip")
        asyncio.run(_export_store(store))
        with _open_page(chromium) as page:
            page.goto(f"{origin}/?store=desk")
            page.get_by_role("button", name="Choose a file").click(timeout=START_TIMEOUT_MS)
            page.locator("#file").set_input_files(store)
            page.locator(".job").get_by_role("button", name="Dismiss").click()
            _show_run(page)
            return _stable_screenshot(page)


async def _export_store(file: Path) -> None:
    """Export a store with the sample and a demo run that is not complete."""
    async with open_stores("memory:") as stores:
        await import_meerkat(_sample(file.with_suffix(".db")), stores)
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


def _sample(file: Path) -> Path:
    file.write_bytes(gzip.decompress(build_site.SAMPLE.read_bytes()))
    return file


def _times(moves: list[demo_moves.Move]) -> Iterator[Timestamp]:
    """Yield the time of each move."""
    work, now = iter(WORK_SECONDS), STARTED
    for move in moves:
        ends_step = move.step is not None and move.step[2] != "dispatched"
        now += timedelta(seconds=next(work) if ends_step else OTHER_SECONDS)
        yield Timestamp(now)


def _show_run(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#run={RUN_ID}")
    steps = page.get_by_label("Steps", exact=True).locator("[role=row][aria-selected]")
    steps.filter(has_text="critique").last.click()
    page.get_by_role("complementary").get_by_label("Content").first.wait_for()
    page.mouse.move(0, 0)


def _stable_screenshot(page: Page) -> bytes:
    """Return the first screenshot that equals the one before: the canvas is drawn in a frame."""
    before, now = b"", page.screenshot()
    while now != before:
        before, now = now, page.screenshot()
    return now


@contextmanager
def _serve(site: Path) -> Generator[str]:
    """Serve a site on a free port, and yield its address."""
    with serve.make_server(site) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def _open_page(chromium: str) -> Generator[Page]:
    """Yield an empty tab of a fresh browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page(
            viewport=WINDOW,
            color_scheme="light",
            reduced_motion="reduce",
            timezone_id="UTC",
            locale="en-GB",
        )
        browser.close()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Take a screenshot of the inspector.")
    default = build_site.ROOT / "docs" / "page.png"
    parser.add_argument("file", type=Path, nargs="?", default=default, help="a PNG (docs/page.png)")
    file: Path = parser.parse_args().file
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("screenshot: chromium is missing (Debian: apt-get install chromium)")
    with TemporaryDirectory() as site:
        try:
            build_site.build(Path(site))
        except build_site.BuildError as error:
            sys.exit(f"screenshot: {error}")
        with _serve(Path(site)) as origin:
            file.write_bytes(take_screenshot(origin, chromium))


if __name__ == "__main__":
    main()
