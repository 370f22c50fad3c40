"""Starts with new profiles: time to the first work in Python, and to the first paint."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile, is_zipfile

from bench.browser.stage import Stage
from bench.outcome import Check, Outcome, cost
from bench.turns import Measured, Settings

PYDANTIC = "Pyodide and pydantic alone"
READY = "store open, page ready"
PAINTED = "first contentful paint"


def cold_start(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure the time until the first event is stored and read back."""
    packages = {"mobstore": "mobstore", PYDANTIC: "pydantic"}
    found = {name: Measured(name, []) for name in packages}
    sizes: dict[str, str] = {}
    for round_ in range(settings.rounds):
        for name in sorted(packages, reverse=bool(round_ % 2)):
            with stage.browser() as browser:
                page = browser.new_page()
                page.goto(f"{stage.origin}/bench/cold.html?package={packages[name]}")
                started = page.evaluate("() => globalThis.started")
            found[name].costs.append(started["took"] / 1e3)
            sizes[name] = _sizes(stage.site, started["paths"])
    yield Outcome(
        "cold start until the first event is stored and read back",
        "starts/s",
        checks=[
            *map(_seconds, found.values()),
            cost(found["mobstore"], found[PYDANTIC], 1.15),
        ],
        notes=[
            *(f"{name}: {size}" for name, size in sizes.items()),
            "pydantic alone is ready when its BaseModel has been imported; all modules are .pyc;"
            " each time a new profile, and a server on this machine",
        ],
    )


def _seconds(measured: Measured) -> Check:
    spread = min(measured.costs), max(measured.costs)
    return Check(measured.name, measured.cost, unit="s", spread=spread)


def _sizes(site: Path, paths: list[str]) -> str:
    contents = [(site / path.lstrip("/")).read_bytes() for path in paths]
    plain = sum(map(len, contents))
    zipped = sum(len(gzip.compress(content)) for content in contents)
    unpacked = sum(map(_unpacked, contents))
    return (
        f"{len(paths)} files, {plain / 1e6:.2f} MB transferred ({zipped / 1e6:.2f} MB from a host"
        f" that compresses with gzip), {unpacked / 1e6:.2f} MB unpacked"
    )


def _unpacked(content: bytes) -> int:
    if not is_zipfile(BytesIO(content)):
        return len(content)
    with ZipFile(BytesIO(content)) as archive:
        return sum(entry.file_size for entry in archive.infolist())


_WATCH = """
globalThis.ready = new Promise((resolve) => {
  new MutationObserver(() => {
    if (document.getElementById("open-file")?.disabled === false) resolve(performance.now());
  }).observe(document, { subtree: true, childList: true, attributes: true });
});
"""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def first_paint(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Compare the first paint of the page with the start of Python."""
    painted, ready = Measured(PAINTED, []), Measured(READY, [])
    for _ in range(settings.rounds):
        with stage.browser() as browser:
            browser.add_init_script(_WATCH)
            page = browser.new_page()
            page.goto(f"{stage.origin}/index.html")
            ready.costs.append(page.evaluate("() => globalThis.ready") / 1e3)
            painted.costs.append(page.evaluate(f"() => {_PAINT}") / 1e3)
    yield Outcome(
        "first paint of the page",
        "pages/s",
        checks=[*map(_seconds, (painted, ready)), cost(painted, ready, 1)],
        notes=["each time a new profile, and a server on this machine"],
    )
