"""Standard output that cannot be written, and readers that exit."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

import mobstore
from cli.command_line import run
from mobstore import MobId, MobReset, NewMobEvent
from mobstore.testing import samples

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
WORDS = "standard output cannot be written: no space left on device; is the disk full?"
NO_FOLDER = "no temporary directory can be created; is the disk full?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{folder / 'mobs.db'}") as stores:
            event = NewMobEvent(mob_id=MobId("m"), kind=MobReset())
            await stores.events.append_batch([event] * 3)

    asyncio.run(fill())
    return folder


@needs_full
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["events", "sqlite:mobs.db"], 1),
        (["events", "sqlite:mobs.db", "--json"], 1),
        (["events", "sqlite:mobs.db", "--follow"], 1),
        (["info", "sqlite:mobs.db"], 1),
        (["verify", "sqlite:mobs.db"], 1),
        (["diff", "sqlite:mobs.db", "memory:"], 2),
        (["--help"], 1),
        (["events", "--help"], 1),
        (["--version"], 1),
        (["completion", "bash"], 1),
    ],
    ids=str,
)
def test_a_full_disk(folder: Path, arguments: list[str], code: int) -> None:
    ended = run(*arguments, folder=folder, device=FULL)
    assert (ended.code, ended.errors.count("\n")) == (code, 1)
    assert ended.errors.startswith("Error: ")
    assert ended.errors.endswith(f"{WORDS}\n")


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [["events", "sqlite:mobs.db"], ["export", "sqlite:mobs.db", "-"], ["--help"]],
    ids=" ".join,
)
def test_a_full_disk_causes_no_traceback_at_exit(folder: Path, arguments: list[str]) -> None:
    with FULL.open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "mobstore", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=folder,
        )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.endswith(f"{WORDS}\n")


@needs_full
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_an_export_into_a_pipe_needs_no_standard_error(folder: Path, more: list[str]) -> None:
    command = [sys.executable, "-m", "mobstore", "export", "sqlite:mobs.db", "-", *more]
    with FULL.open("wb") as full:
        ended = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=full, check=False, cwd=folder
        )
    assert (ended.returncode, ended.stdout[:2]) == (0, b"PK")


@needs_full
def test_buffered_output_is_written_before_the_exit_code(folder: Path) -> None:
    """An error of the last flush is reported."""
    code = "import sys; from mobstore.cli import main; sys.stdout.write('x'); main()"
    with FULL.open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", code, "copy", "sqlite:mobs.db", "nonsense:"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=folder,
            env={name: of for name, of in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert WORDS in ended.stderr


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["diff", "sqlite:mobs.db", "mobs.zip"], NO_FOLDER),
        (["export", "sqlite:mobs.db", "-", "--format", "meerkat"], NO_FOLDER),
        (["export", "sqlite:mobs.db", "-"], "no temporary file can be made; is there room?"),
    ],
    ids=str,
)
def test_no_temporary_files(folder: Path, command: list[str], what: str) -> None:
    code = "import tempfile; tempfile.tempdir = '/missing'; from mobstore.cli import main; main()"
    (folder / "mobs.zip").write_bytes(b"PK")
    ended = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert ended.returncode == (2 if "diff" in command else 1)
    assert ended.stderr.endswith(f": {what}\n")


@pytest.mark.parametrize("command", ["info sqlite:mobs.db --json", "export sqlite:mobs.db -"])
def test_a_closed_output(folder: Path, command: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m mobstore {command} >&-"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert (ended.returncode, ended.stderr) == (1, "Error: standard output is closed\n")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_an_export_fails_if_its_reader_exits_early(tmp_path: Path, unbuffered: str) -> None:
    """An unbuffered stream reports a partial write, and no error."""

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{tmp_path / 'mobs.db'}") as stores:
            params = random.Random(1).randbytes(200_000).hex()  # more than a pipe holds, packed
            await stores.runs.create_run(samples.make_run(activation_params=params))

    asyncio.run(fill())
    exporting = subprocess.Popen(
        [sys.executable, "-m", "mobstore", "export", "sqlite:mobs.db", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    with exporting:
        assert exporting.stdout is not None
        assert exporting.stderr is not None
        assert exporting.stdout.read(2) == b"PK"
        exporting.stdout.close()
        assert exporting.stderr.read() == b""
    assert exporting.returncode == 1


@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "lines"])
def test_follow_ends_when_its_reader_exits(folder: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "mobstore", "events", "sqlite:mobs.db", "--follow", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        try:
            for _ in range(3):
                assert b"mob_reset" in following.stdout.readline()
            following.stdout.close()
            assert following.wait(timeout=10) == 1, "without another event"
            assert following.stderr.read() == b""
        finally:
            following.kill()


def test_follow_into_a_file_continues(folder: Path, tmp_path: Path) -> None:
    """A file has no reader that could exit."""
    out = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY)
    with subprocess.Popen(
        [sys.executable, "-m", "mobstore", "events", "sqlite:mobs.db", "--follow"],
        stdout=out,
        cwd=folder,
    ) as following:
        os.close(out)
        deadline = monotonic() + 60
        while (tmp_path / "out").read_bytes().count(b"\n") < 3 and monotonic() < deadline:
            sleep(0.05)
        with pytest.raises(subprocess.TimeoutExpired):
            following.wait(timeout=1.2)  # it checks for a reader every second
        following.terminate()
    assert (tmp_path / "out").read_bytes().count(b"\n") == 3
