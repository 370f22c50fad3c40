"""Text that would harm a terminal, and checks that it reaches none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.terminals import run_in_terminal

INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202d\u202e"
    "\u2028\u2029\u2060\u2064\u2066\u2067\u2069\u206a\u3164\ufe00\ufe0f\ufeff\uffa0\ufff9\ue000"
    "\U000e0001\U000e0041\U000e007f\U000e0100\U000e01ef\U0010ffff"
)
CONTROL = (
    "\x1b[999m\x1b]0;owned\x07\x1b]8;;http://x\x1b\\\0\b\r\n\t\v\f\x7f\x85\x90\x9b999m\x9d0;x\x9c"
)
MARKUP = "[red]b[/nope]:smile:[link=http://x]l[/link][bold"
HOSTILE = f"a{CONTROL}{INVISIBLE}{MARKUP}z"
"""All of these; stored text has no lone surrogates, arguments may have some."""

_ALLOWED = re.compile(r"\x1b\[(?!999)[0-9;?]*[A-Za-z]")  # those of rich
_FORBIDDEN = re.compile(f"[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff{INVISIBLE}]")

# One process for many commands: starting a process takes longer than most commands.
_ALL = """
import json, os, sys
from mobstore.cli import main
for arguments in json.load(open(sys.argv[1])):
    sys.argv[1:] = [os.fsdecode(one.encode("utf-8", "surrogateescape")) for one in arguments]
    print("::", ascii(arguments[0][:9])[1:-1], flush=True)
    try:
        main()
    except SystemExit as end:
        print(":: ended with", end.code or 0, flush=True)
"""

# A table that a command does not read cannot change its output. SQLite reports what it reads.
_READS = """
import sqlite3, sys

tables = set()

def allow(action, table, *_):
    if action == sqlite3.SQLITE_READ:
        tables.add(table)
    return sqlite3.SQLITE_OK

def watched(*arguments, **options):
    connection = connect(*arguments, **options)
    connection.set_authorizer(allow)
    return connection

connect, sqlite3.connect = sqlite3.connect, watched
"""


def tables_read(folder: Path, commands: Sequence[Sequence[str]]) -> list[set[str]]:
    """Run commands; return the tables that each of them reads."""
    code = _READS + _ALL.replace("    try:", "    tables.clear()\n    try:")
    code += '    print(":: tables", *sorted(map(str, tables)), flush=True)\n'
    ended = subprocess.run(
        _command(folder, commands, code), capture_output=True, check=True, cwd=folder, text=True
    )
    lines = ended.stdout.splitlines()
    found = [set(line.split()[2:]) for line in lines if line.startswith(":: tables")]
    assert len(found) == len(commands)
    return found


def forbidden(shown: str, *, terminal: bool = False) -> list[str]:
    """Return the characters of an output that a terminal would interpret or hide."""
    if terminal:  # it writes \\r\\n for line ends, and rich uses \\r for bars
        shown = _ALLOWED.sub("", shown).replace("\r", "")
    return sorted({ascii(found) for found in _FORBIDDEN.findall(shown)})


def run_commands(
    folder: Path, commands: Sequence[Sequence[str]], environment: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Run commands with pipes; return standard output and standard error."""
    ended = subprocess.run(
        _command(folder, commands),
        capture_output=True,
        check=False,
        cwd=folder,
        env=_environment(environment),
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode(), ended.stderr.decode()


def run_commands_in_terminal(
    folder: Path,
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str] | None = None,
    width: int = 80,
) -> str:
    """Run commands in a terminal; return all that it received."""
    variables = {"TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})}
    return run_in_terminal(_command(folder, commands), width, _environment(variables), folder)


def _command(folder: Path, commands: Sequence[Sequence[str]], code: str = _ALL) -> list[str]:
    (folder / "commands.json").write_text(json.dumps(commands))
    return [sys.executable, "-c", code, "commands.json"]


def _environment(variables: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    return {**kept, "PYTHONIOENCODING": "utf-8", **(variables or {})}
