"""Rows of docs/benchmarks.md, written by the command that measured them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.outcome import Check, Outcome, number

HEAD = "| command | version | figure | result | goal |\n|---|---|---|---|---|\n"

_OMITTED = ("mobstore", "quick", "durability")
"""Facts that each row or the text of the page has already."""


def write(
    page: Path,
    section: str,
    works: Sequence[str],
    machine: dict[str, Any],
    found: Iterable[tuple[str, str, Outcome]],
) -> None:
    """Replace the rows of each measured command in a section of the page, and its files beside it.

    Args:
        page: the file of the page.
        section: the section's heading.
        works: the names of all works, in the order of their rows.
        machine: facts about this machine, for the line above the table.
        found: work, command and outcome of each table that was measured.
    """
    before, heading, rest = page.read_text(encoding="utf-8").partition(f"## {section}\n")
    old, following, after = rest.partition("\n## ")
    rows: dict[str, list[str]] = {}
    for line in re.findall(r"^\| `.*$", old, re.MULTILINE):
        rows.setdefault(_work(line), []).append(line)
    stamp = _stamp()
    fresh: dict[str, list[str]] = {}
    for work, command, outcome in found:
        lines = fresh.setdefault(work, [])
        lines += [_row(command, stamp, outcome, check) for check in outcome.checks]
        for name, text in outcome.files.items():
            page.with_name(name).write_text(text, encoding="utf-8")
    rows |= fresh
    facts = ", ".join(f"{name} {value}" for name, value in machine.items() if name not in _OMITTED)
    table = "\n".join(line for work in works for line in rows.get(work, []))
    text = f"\nThe last run: {facts}.\n\n{HEAD}{table}\n"
    page.write_text(before + heading + text + following + after, encoding="utf-8")


def _work(row: str) -> str:
    """Return the work of a row: the last word of its command."""
    return row.split("`")[1].rsplit(maxsplit=1)[-1]


def _row(command: str, stamp: str, outcome: Outcome, check: Check) -> str:
    result = f"{number(check.value)} {check.unit}"
    if check.spread:
        result += " ({} to {})".format(*map(number, check.spread))
    goal = ""
    if check.target is not None:
        goal = f"at {'most' if check.at_most else 'least'} {check.target:g}"
    figure = f"{outcome.title}; {check.text}".replace("|", "\\|")
    return f"| `{command}` | {stamp} | {figure} | {result} | {goal} |"


def _stamp() -> str:
    """Return the version and the commit under test."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"{version('mobstore')} ({commit or 'no commit'})"
