"""Commands that only read: while another process writes, and on a read-only medium."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from cli.command_line import reading, writing

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
READING = [*reading(), *writing(out="{out}")[:3]]
# One process for all commands: starting a process takes longer than most commands.
_ALL = """
import contextlib, io, json, os, sys
from mobstore.cli import main

def run(commands):
    for arguments in commands:
        sys.argv[1:] = arguments
        try:
            main()
        except SystemExit as end:
            print("::", arguments[0], end.code or 0, flush=True)

user, commands, again = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
if user:
    # This user may be unable to read the sources, so all modules are imported before.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run(again)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
run(commands)
"""
# Holds the write lock until its input ends.
_WRITER = """
import sqlite3, sys
file = sqlite3.connect("mobs.db", isolation_level=None)
file.execute("BEGIN IMMEDIATE")
file.execute("UPDATE counters SET value = value + 1000")
print("locked", flush=True)
sys.stdin.read()
file.execute("ROLLBACK")
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Create folders for a store and for output; any user may enter them."""
    whole = Path(tempfile.mkdtemp(prefix="mobstore-test-"))
    for path in (whole, whole / "store", whole / "out", whole / "again"):
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
    (whole / "tide.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{whole / 'store' / 'mobs.db'}") as stores:
            await mobstore.import_meerkat(whole / "tide.db", stores)
            async with mobstore.open_stores(whole / "again" / "mobs.db") as again:
                await mobstore.copy(stores, again)

    asyncio.run(fill())
    yield whole / "store"
    (whole / "store").chmod(0o777)
    shutil.rmtree(whole)


def run_all(folder: Path, commands: list[list[str]], user: int = 0) -> tuple[list[str], str, str]:
    """Return the exit codes of commands, their standard output and standard error."""
    filled = _filled(commands, ("{out}", f"{folder.parent}/out"))
    again = f"{folder.parent}/again"
    there = _filled(commands, ("{out}", again), ("sqlite:mobs.db", f"sqlite:{again}/mobs.db"))
    ended = subprocess.run(
        [sys.executable, "-c", _ALL, str(user), json.dumps(filled), json.dumps(there)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    ends = [line for line in ended.stdout.splitlines() if line.startswith(":: ")]
    return [end.split()[-1] for end in ends], ended.stdout, ended.stderr


def _filled(commands: list[list[str]], *pairs: tuple[str, str]) -> list[list[str]]:
    for pair in pairs:
        commands = [[part.replace(*pair) for part in command] for command in commands]
    return commands


def test_they_work_while_another_process_holds_the_write_lock(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        assert writer.stdout.readline() == b"locked\n"
        ends, out, errors = run_all(folder, READING)
        assert (ends, errors) == (["0"] * len(READING), "")
        assert "next cursor" in out
        assert "sound: 254 rows" in out
        assert writer.poll() is None, "it held the lock all the time"
        writer.stdin.close()
    with closing(sqlite3.connect(folder / "mobs.db")) as file:
        assert file.execute("SELECT max(cursor) FROM events").fetchone() == (99,)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: only root can become another user")
def test_they_work_on_a_read_only_medium(folder: Path) -> None:
    (folder / "mobs.db").chmod(0o444)
    folder.chmod(0o555)
    before = (folder / "mobs.db").read_bytes()
    ends, _, errors = run_all(folder, READING, user=65534)
    assert (ends, errors) == (["0"] * len(READING), "")
    assert (folder / "mobs.db").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["mobs.db"]
    ends, _, errors = run_all(folder, [["verify", "sqlite:mobs.db", "--repair"]], user=65534)
    assert ends == ["1"]
    assert (
        "is read-only; make the file, its directory and its -wal and -shm files writable" in errors
    )


def test_they_create_and_upgrade_nothing(folder: Path) -> None:
    missing = [[part.replace("mobs.db", "missing.db") for part in command] for command in READING]
    ends, out, errors = run_all(folder, missing)
    assert "0" not in ends
    assert errors.count("missing.db does not exist; is the name right?") == len(READING)
    assert out.count("\n") == len(READING)
    assert [path.name for path in folder.iterdir()] == ["mobs.db"]
    assert list((folder.parent / "out").iterdir()) == []
