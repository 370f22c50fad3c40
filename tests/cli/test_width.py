"""Tables in terminals of several widths: nothing that one copies is cut, no column is lost."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

import mobstore
from mobstore.cli.table import AdaptiveTable
from mobstore.meerkat import import_meerkat
from support.terminals import run_in_terminal

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
RUN = "24ede6a4-6b4c-4242-8a23-d5962217bead"
WIDTHS = pytest.mark.parametrize("width", [60, 80, 100])
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("store")
    (folder / "tide.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{folder / 'mobs.db'}") as stores:
            await import_meerkat(folder / "tide.db", stores)

    asyncio.run(fill())
    return f"sqlite:{folder / 'mobs.db'}"


def seen(width: int, *arguments: str) -> list[str]:
    """The lines that a person sees in a terminal."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    shown = run_in_terminal(
        [sys.executable, "-m", "mobstore", *arguments],
        width,
        {**environment, "TERM": "xterm", "LC_ALL": "C.UTF-8"},
    )
    lines = [line.rstrip() for line in ANSI.sub("", shown).splitlines()]
    # The lines of diff are prose, which the terminal wraps.
    assert arguments[0] == "diff" or all(len(line) <= width for line in lines)
    return lines


def has(text: str, whole: Iterable[str]) -> None:
    for part in whole:
        assert part in text


@WIDTHS
def test_runs(url: str, width: int) -> None:
    lines = seen(width, "runs", url)
    text = "\n".join(lines)
    ids = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    assert len(set(ids)) == 8
    assert text.count("tide-desk") == 8
    assert text.count("completed") == 6
    assert text.count("2026-03-02 08:0") == 8
    has(text, ["mob", "flow", "status", "created", "steps", "failures", "polish", "daily"])
    assert len(lines) < 8 * 3 + 4


@WIDTHS
def test_events(url: str, width: int) -> None:
    text = "\n".join(seen(width, "events", url, "--limit", "3"))
    assert text.count("2026-03-02 08:00:01") == 3
    assert text.count("meerkat_spawned") == 2
    has(text, ["cursor", "time", "mob", "kind", "what", "tide-desk"])


@WIDTHS
def test_one_run(url: str, width: int) -> None:
    text = "\n".join(seen(width, "run", url, RUN))
    has(text, [f"run {RUN}", "timeline", "step ledger", "outputs", "critique", "editor-1"])
    assert text.count("dispatched") == 3
    assert text.count("critique") >= 4
    bars = [line for line in text.splitlines() if "━" in line]
    assert len(bars) == 3, "one line each"


@WIDTHS
@pytest.mark.parametrize("command", ["specs", "profiles", "info"])
def test_what_a_store_holds(url: str, width: int, command: str) -> None:
    text = "\n".join(seen(width, command, url))
    words = {
        "specs": ["night-desk", "tide-desk", "revision", "profiles", "flows"],
        "profiles": ["proof-reader", "web-scout", "model-small-2", "updated", "description"],
        "info": ["identity", "events", "99", "SQLite"],
    }
    has(text, words[command])


def test_a_damaged_key_can_be_copied(url: str, tmp_path: Path) -> None:
    lines = seen(60, "copy", url, f"sqlite:{tmp_path / 'bad.db'}")
    assert lines[-1] == "copied 99 events, 8 runs, 2 specs, 2 realm profiles"
    with closing(sqlite3.connect(tmp_path / "bad.db")) as file:
        file.execute("UPDATE runs SET status = 'odd' WHERE run_id = ?", [RUN])
        file.commit()
    text = "\n".join(seen(60, "verify", f"sqlite:{tmp_path / 'bad.db'}"))
    has(text, [RUN, "problems"])
    other = "\n".join(seen(60, "diff", url, f"sqlite:{tmp_path / 'bad.db'}"))
    assert RUN in other.replace("\n", "")


@pytest.mark.parametrize("width", [20, 40, 60, 140])
def test_whatever_is_in_a_cell_is_shown_whole(width: int) -> None:
    sheet = AdaptiveTable("things", "run", "mob", "what")
    sheet.add_row(RUN, "m" * 100, "日本" * 40)
    sheet.add_row("", "", "")
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(sheet)
    shown = captured.get()
    assert shown.count("m") - shown.count("mob") >= 100
    assert (shown.count("日"), shown.count("本")) == (40, 40)
    assert (RUN in shown) == (width >= 40)
    assert RUN in re.sub(r"\s", "", shown)
