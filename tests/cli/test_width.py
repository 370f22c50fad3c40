"""Tables in terminals of several widths: ids and times are not cut, no column is dropped."""

from __future__ import annotations

import asyncio
import gzip
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

import mobstore
from cli.command_line import RUN, reading
from cli.hostile import run_commands_in_terminal
from mobstore.cli.table import AdaptiveTable
from mobstore.meerkat import import_meerkat

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    (folder / "tide.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{folder / 'mobs.db'}") as stores:
            await import_meerkat(folder / "tide.db", stores)
            async with mobstore.open_stores(f"sqlite:{folder / 'bad.db'}") as bad:
                await mobstore.copy(stores, bad)

    asyncio.run(fill())
    with closing(sqlite3.connect(folder / "bad.db")) as file:
        file.execute("UPDATE runs SET status = 'odd' WHERE run_id = ?", [RUN])
        file.commit()
    return folder


class Screen(NamedTuple):
    """The lines that a person sees in a terminal, by command."""

    width: int
    lines: dict[str, list[str]]

    def text(self, command: str) -> str:
        return "\n".join(self.lines[command])


@pytest.fixture(scope="module", params=[60, 80, 100])
def screen(folder: Path, request: pytest.FixtureRequest) -> Screen:
    width: int = request.param
    commands = reading()
    commands[1] += ["--limit", "3"]
    commands[-2:] = [["verify", "sqlite:bad.db"], ["diff", "sqlite:mobs.db", "sqlite:bad.db"]]
    commands.append(["copy", "sqlite:mobs.db", f"sqlite:{width}.db"])
    variables = {"TERM": "xterm", "LC_ALL": "C.UTF-8"}
    shown = ANSI.sub("", run_commands_in_terminal(folder, commands, variables, width))
    lines: dict[str, list[str]] = {}
    for part in re.split("^:: (?!ended)", shown, flags=re.MULTILINE)[1:]:
        command, *seen = [line.rstrip() for line in part.splitlines()]
        lines[command] = [line for line in seen if not line.startswith(":: ended with")]
    return Screen(width, lines)


def has(text: str, whole: Iterable[str]) -> None:
    for part in whole:
        assert part in text


def test_no_line_is_wider_than_the_terminal(screen: Screen) -> None:
    assert len(screen.lines) == 11
    for command, lines in screen.lines.items():
        # The lines of diff are prose, which the terminal wraps.
        assert command == "diff" or all(len(line) <= screen.width for line in lines), command


def test_runs(screen: Screen) -> None:
    text = screen.text("runs")
    ids = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    assert len(set(ids)) == 8
    assert text.count("tide-desk") == 8
    assert text.count("completed") == 6
    assert text.count("2026-03-02 08:0") == 8
    has(text, ["mob", "flow", "status", "created", "steps", "failures", "polish", "daily"])
    assert len(screen.lines["runs"]) < 8 * 3 + 4


def test_events(screen: Screen) -> None:
    text = screen.text("events")
    assert text.count("2026-03-02 08:00:01") == 3
    assert text.count("meerkat_spawned") == 2
    has(text, ["cursor", "time", "mob", "kind", "what", "tide-desk"])


def test_one_run(screen: Screen) -> None:
    text = screen.text("run")
    has(text, [f"run {RUN}", "timeline", "step ledger", "outputs", "critique", "editor-1"])
    assert text.count("dispatched") == 3
    assert text.count("critique") >= 4
    bars = [line for line in text.splitlines() if "━" in line]
    assert len(bars) == 3, "one line each"


@pytest.mark.parametrize("command", ["specs", "profiles", "info"])
def test_the_contents_of_a_store(screen: Screen, command: str) -> None:
    words = {
        "specs": ["night-desk", "tide-desk", "revision", "profiles", "flows"],
        "profiles": ["proof-reader", "web-scout", "model-small-2", "updated", "description"],
        "info": ["identity", "events", "99", "SQLite"],
    }
    has(screen.text(command), words[command])


def test_a_corrupt_key_can_be_copied(screen: Screen) -> None:
    has(screen.text("verify"), [RUN, "problems"])
    assert RUN in screen.text("diff").replace("\n", "")


def test_progress_bars_leave_one_line(screen: Screen) -> None:
    assert screen.lines["copy"][-1] == "copied 99 events, 8 runs, 2 specs, 2 realm profiles"


@pytest.mark.parametrize("width", [20, 40, 60, 140])
def test_a_cell_is_shown_whole(width: int) -> None:
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
