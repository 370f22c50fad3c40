"""Run benchmarks, print their tables and write their figures."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
from argparse import ArgumentParser
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile
from time import perf_counter
from typing import Any

from rich.console import Console

from bench import page
from bench.outcome import Outcome, as_json, show
from bench.peers import MissingPeerError
from bench.turns import Settings
from bench.works import WORKS, Work

SYNC = "milliseconds to write and sync 4 KB"
_SECTIONS = {"": "Native", "browser": "In the browser", "postgres": "On PostgreSQL"}
"""Sections of the page, by where the works run."""


@dataclass
class _Arguments:
    only: list[str] = field(default_factory=list[str])
    rounds: int | None = None
    quick: bool = False
    json: Path | None = None
    page: Path | None = None
    dir: Path | None = None


def main() -> int:
    """Run from the command line; return 1 if a work could not be measured."""
    if sys.argv[1:2] == ["browser"]:
        from bench.browser import stage, works  # Playwright is not everywhere

        arguments, settings = _arguments("browser", sys.argv[2:], "only", works.WORKS)
        with stage.stage(settings.directory) as built:
            on_stage = {name: partial(work, built) for name, work in works.WORKS.items()}
            return _run("browser", on_stage, arguments, settings, built.about())
    if sys.argv[1:2] == ["postgres"]:
        from bench.postgres import stage as server, works as on_server  # so is psycopg

        arguments, settings = _arguments("postgres", sys.argv[2:], "only", on_server.WORKS)
        with server.stage(settings.directory) as started:
            on_stage = {name: partial(work, started) for name, work in on_server.WORKS.items()}
            return _run("postgres", on_stage, arguments, settings, started.about())
    arguments, settings = _arguments("", sys.argv[1:], "--only", WORKS)
    about = {
        "sqlite": sqlite3.sqlite_version,
        "durability": "all SQLite contestants in WAL mode with synchronous=FULL, checked",
    }
    return _run("", WORKS, arguments, settings, about)


def _arguments(
    where: str, given: Sequence[str], only: str, works: Collection[str]
) -> tuple[_Arguments, Settings]:
    parser = ArgumentParser(prog=f"python -m bench {where}".strip(), description=__doc__)
    parser.add_argument(only, nargs="*", metavar="NAME", choices=works, help=", ".join(works))
    parser.add_argument("--rounds", type=int, help="turns of each contestant (7; quick: 3)")
    parser.add_argument("--quick", action="store_true", help="short turns, smaller stores")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write JSON lines there too")
    parser.add_argument("--page", type=Path, metavar="PATH", help="write the rows into that page")
    parser.add_argument("--dir", type=Path, metavar="PATH", help="keep the files under test there")
    arguments = parser.parse_args(given, _Arguments())
    arguments.only = arguments.only or list(works)
    settings = Settings(
        rounds=arguments.rounds or (3 if arguments.quick else 7),
        seconds=0.1 if arguments.quick else 0.4,
        quick=arguments.quick,
        directory=arguments.dir,
    )
    return arguments, settings


def _run(
    where: str,
    works: Mapping[str, Work],
    arguments: _Arguments,
    settings: Settings,
    about: dict[str, str],
) -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    machine = {**_machine(settings), **about}
    lines: list[dict[str, Any]] = [machine]
    for key, value in machine.items():
        console.print(f"{key}: {value}", highlight=False)
    command = ["bench", *filter(None, [where]), *(["--quick"] if arguments.quick else [])]
    command += ["--rounds", str(arguments.rounds)] if arguments.rounds else []
    measured: list[tuple[str, str, Outcome]] = []
    failed = reached = missed = 0
    for name in arguments.only:
        before = _sync_time(settings.directory)
        try:
            for outcome in works[name](settings):
                after = _sync_time(settings.directory)
                outcome.notes.append(f"{SYNC} before: {before}, after: {after}")
                before = after
                show(console, name, outcome)
                lines.append(as_json(name, outcome))
                only = [name] if where else ["--only", name]
                measured.append((name, " ".join([*command, *only]), outcome))
                reached += sum(check.reached is True for check in outcome.checks)
                missed += sum(check.reached is False for check in outcome.checks)
        except MissingPeerError as error:
            console.print(f"\n[bold]{name}[/]: [red]cannot be measured[/]: {error}")
            lines.append({"work": name, "failed": str(error)})
            failed += 1
    console.print(f"\n{reached} targets reached, {missed} not, {failed} works not measured")
    if arguments.json:
        arguments.json.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    if arguments.page:
        page.write(arguments.page, _SECTIONS[where], list(works), machine, measured)
    return 1 if failed else 0


def _machine(settings: Settings) -> dict[str, Any]:
    return {
        "mobstore": version("mobstore"),
        "python": platform.python_version(),
        "pydantic": version("pydantic"),
        "cores": os.cpu_count(),
        "rounds": settings.rounds,
        "quick": settings.quick,
    }


def _sync_time(directory: Path | None) -> float:
    """Measure the current speed of the disk: a bound for commits that varies on shared disks."""
    times: list[float] = []
    with NamedTemporaryFile(dir=directory) as file:
        for _ in range(50):
            start = perf_counter()
            os.pwrite(file.fileno(), os.urandom(4096), 0)
            os.fdatasync(file.fileno())
            times.append(perf_counter() - start)
    return round(median(times) * 1e3, 3)


if __name__ == "__main__":
    sys.exit(main())
