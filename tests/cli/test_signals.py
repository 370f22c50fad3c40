"""SIGTERM and SIGHUP end a command cleanly: no incomplete file is left."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

import mobstore
from mobstore import MobId, MobReset, NewMobEvent
from mobstore.maintenance.transfer import export_stores
from mobstore.meerkat import export_meerkat

pytestmark = pytest.mark.slow
CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129}
signals = pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)

MAIN = "from mobstore.cli import main; main()"


def slowly(does: str, seconds: float = 0.05) -> str:
    """Return a program: the command line, with code and a pause at each step of its progress."""
    return f"""
import os, time
from rich.progress import Progress

tell = Progress.update

def slow(*args, **options):
    {does}
    time.sleep({seconds})

Progress.update = slow
{MAIN}
"""


SAYS = r'os.write(2, b"working\n")'
SLOWLY = slowly(SAYS)
STUCK = slowly(SAYS, 60)
OPENING = f"""
import os, time
from mobstore.engines.sqlite import file

make = file._make

def slow(connection, path):
    os.write(2, b"working\\n")
    time.sleep(0.2)
    make(connection, path)

file._make = slow
{MAIN}
"""
"""The command line, with a pause before it creates the tables of a store."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a store of more events than a pipe holds, and exports of it."""
    folder = tmp_path_factory.mktemp("stored")

    async def fill() -> None:
        async with mobstore.open_stores(folder / "mobs.db") as stores:
            for n in range(12):
                names = [MobId(f"{n}{os.urandom(16).hex()}") for _ in range(1000)]
                batch = [NewMobEvent(mob_id=name, kind=MobReset()) for name in names]
                await stores.events.append_batch(batch)
            await export_meerkat(stores, folder / "mob.db")
            with (folder / "mobs.zip").open("wb") as file:
                await export_stores(stores, file)

    asyncio.run(fill())
    return folder


class Folder:
    """A working directory, one for temporary files, and one with the store to read."""

    def __init__(self, path: Path, stored: Path) -> None:
        self.work, self.temporary = path / "work", path / "temporary"
        self.work.mkdir()
        self.temporary.mkdir()
        self.stored = shutil.copytree(stored, path / "stored")

    @contextmanager
    def running(
        self, code: str, arguments: Sequence[str], *, before: Sequence[str] = ()
    ) -> Generator[subprocess.Popen[bytes]]:
        """Start a command; `{}` in its arguments becomes the directory of the store."""
        with subprocess.Popen(
            [*before, sys.executable, "-c", code, *(one.format(self.stored) for one in arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.work,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def made(self) -> set[str]:
        """Return the names of new files."""
        folders = (self.work, self.temporary, self.stored)
        return {path.name for one in folders for path in one.iterdir()} - STORED


STORED = {"mobs.db", "mob.db", "mobs.zip"}


@pytest.fixture
def folder(tmp_path: Path, stored: Path) -> Folder:
    return Folder(tmp_path, stored)


def at_work(process: subprocess.Popen[bytes], times: int = 3) -> None:
    assert process.stderr is not None
    for _ in range(times):
        assert process.stderr.readline() == b"working\n"


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Return the exit code, and standard error without the lines of progress."""
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors.replace(b"working\n", b"")


MOVING = [
    ["export", "sqlite:{}/mobs.db", "new"],
    ["export", "sqlite:{}/mobs.db", "new", "--format", "meerkat"],
    ["export", "sqlite:{}/mobs.db", "-"],
    ["export", "sqlite:{}/mobs.db", "-", "--format", "meerkat"],
    ["copy", "sqlite:{}/mobs.db", "sqlite:new"],
    ["import", "{}/mobs.zip", "sqlite:new"],
    ["import", "{}/mob.db", "sqlite:new"],
    ["diff", "{}/mobs.zip", "sqlite:{}/mobs.db"],
    ["verify", "sqlite:{}/mobs.db"],
]


@pytest.mark.parametrize(
    ("arguments", "number"), list(zip(MOVING, cycle(CODES), strict=False)), ids=str
)
def test_no_files_are_left(folder: Folder, arguments: list[str], number: signal.Signals) -> None:
    with folder.running(SLOWLY, arguments) as process:
        at_work(process)
        process.send_signal(number)
        assert ended(process) == (CODES[number], b"")
    assert folder.made() == set()


def test_a_file_to_replace_stays(folder: Folder) -> None:
    (folder.work / "old").write_text("dear")
    arguments = ["export", "sqlite:{}/mobs.db", "old", "--force"]
    for extra in ([], ["--format", "meerkat"]):
        with folder.running(SLOWLY, [*arguments, *extra]) as process:
            at_work(process)
            process.send_signal(signal.SIGTERM)
            assert ended(process) == (143, b"")
        assert folder.made() == {"old"}
        assert (folder.work / "old").read_text() == "dear"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", [["copy", "sqlite:{}/mobs.db"], ["import", "{}/mobs.zip"]])
def test_a_store_in_creation_is_removed(
    folder: Folder, command: list[str], number: signal.Signals
) -> None:
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    with folder.running(f"{heed}\n{OPENING}", [*command, "sqlite:new"]) as process:
        at_work(process, 1)
        process.send_signal(number)
        assert ended(process) == (128 + number, b"")
    assert folder.made() == set()


@signals
@pytest.mark.parametrize("layout", ["mobstore", "meerkat"])
def test_an_export_that_waits_for_its_reader_ends(
    folder: Folder, layout: str, number: signal.Signals
) -> None:
    """The command is blocked in a write."""
    arguments = ["export", "sqlite:{}/mobs.db", "-", "--format", layout]
    with folder.running(MAIN, arguments) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        # The temporary file of an archive has no name; that of a database needs one.
        assert not list(folder.temporary.iterdir()) or layout == "meerkat"
        process.send_signal(number)
        assert process.wait(timeout=30) == CODES[number]
    assert folder.made() == set()


@signals
def test_a_list_that_waits_for_its_reader_ends(folder: Folder, number: signal.Signals) -> None:
    with folder.running(MAIN, ["events", "sqlite:{}/mobs.db", "--limit", "99999"]) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(number)
        assert process.wait(timeout=30) == CODES[number]


@signals
@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "lines"])
def test_follow_ends_silently(folder: Folder, options: list[str], number: signal.Signals) -> None:
    command = ["events", "sqlite:{}/mobs.db", "--follow", "--after", "11999", *options]
    with folder.running(MAIN, command) as process:
        assert process.stdout is not None
        assert b"mob_reset" in process.stdout.readline()
        process.send_signal(number)
        assert ended(process) == (CODES[number], b"")


@pytest.mark.parametrize("second", CODES)
def test_the_second_signal_ends_at_once(folder: Folder, second: signal.Signals) -> None:
    with folder.running(STUCK, ["copy", "sqlite:{}/mobs.db", "sqlite:new"]) as process:
        at_work(process, 1)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.send_signal(second)
        assert process.wait(timeout=10) == -second


def test_a_closed_terminal(folder: Folder) -> None:
    """The system sends SIGHUP, and later writes to the terminal fail."""
    person, terminal = pty.openpty()
    code = slowly("tell(*args, **options)")
    with subprocess.Popen(
        [sys.executable, "-c", code, "copy", f"sqlite:{folder.stored}/mobs.db", "sqlite:new"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=folder.work,
        env={**os.environ, "TMPDIR": str(folder.temporary), "TERM": "xterm"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads
    ) as process:
        os.close(terminal)
        try:
            seen = b""
            while b"copying" not in seen:
                seen += os.read(person, 4096)
            os.close(person)
            assert process.wait(timeout=30) == 129
        finally:
            process.kill()
    assert folder.made() == set()


def test_nohup(folder: Folder) -> None:
    """A command that was started with nohup continues."""
    arguments = ["export", "sqlite:{}/mobs.db", "new"]
    with folder.running(SLOWLY, arguments, before=["nohup"]) as process:
        at_work(process)
        process.send_signal(signal.SIGHUP)
        code, _ = ended(process)
    assert code == 0
    assert folder.made() == {"new"}


@pytest.mark.parametrize("layout", ["mobstore", "meerkat"])
def test_sigkill_leaves_no_file_under_the_final_name(folder: Folder, layout: str) -> None:
    arguments = ["export", "sqlite:{}/mobs.db", "new", "--format", layout]
    with folder.running(SLOWLY, arguments) as process:
        at_work(process)
        process.kill()
        process.wait()
    left = list(folder.work.iterdir())
    assert len({path.name.removesuffix("-journal") for path in left}) <= 1
    assert all(path.name.startswith(".new.") and path.stat().st_mode & 0o77 == 0 for path in left)
