"""Output in encodings that lack its characters, and into pipes."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from cli.command_line import reading, run, run_all, writing
from mobstore import FlowId, MeerkatId, MobId, NewMobEvent, PeersWired, StepId
from mobstore.maintenance.transfer import export_stores
from mobstore.testing.samples import definition, failure, frame, full_run, profile, run_id, step

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
ODD = "Café-日本-🦦"

# One process for all commands: starting a process takes longer than most commands.
_ALL = """
import json, os, sys
from mobstore.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = [os.fsdecode(one.encode()) for one in arguments]
    print("::", *arguments[:1], flush=True)
    try:
        main()
    except SystemExit as end:
        print(":: ended with", end.code or 0, flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a store with text that few encodings have, a damaged copy of it and an export."""

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{tmp_path / 'mobs.db'}") as stores:
            run = full_run(
                1,
                mob=ODD,
                flow=ODD,
                frames={ODD: frame(1)},
                step_ledger=(step(ODD, ODD, "completed", {ODD: ODD}),),
                failure_ledger=(failure(ODD, ODD),),
                root_step_outputs={StepId(ODD): ODD},
            )
            await stores.runs.create_run(run)
            kind = PeersWired(a=MeerkatId(ODD), b=MeerkatId("b"))
            await stores.events.append(NewMobEvent(mob_id=MobId(ODD), kind=kind))
            await stores.specs.put_spec(ODD, definition(ODD))
            await stores.realm_profiles.create(ODD, profile(ODD))
            async with stores.events.follow(ODD, linger=0) as batches:
                await anext(batches)
            async with mobstore.open_stores(f"sqlite:{tmp_path / 'other.db'}") as other:
                await mobstore.copy(stores, other)
            (tmp_path / ODD).mkdir()
            with (tmp_path / f"{ODD}.zip").open("wb") as file:
                await export_stores(stores, file)

    asyncio.run(fill())
    with closing(sqlite3.connect(tmp_path / "other.db")) as file:
        file.execute("UPDATE specs SET revision = 0")
        file.execute("UPDATE events SET type = 'x'")
        file.commit()
    return tmp_path


def run_in_c(folder: Path, commands: list[list[str]]) -> tuple[str, str]:
    """Run commands in a process whose locale is C, where Python decodes arguments as ASCII."""
    ended = subprocess.run(
        [sys.executable, "-c", _ALL, json.dumps(commands)],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, **IN_C},
    )
    out, errors = ended.stdout.decode("ascii"), ended.stderr.decode("ascii")
    assert ended.returncode == 0
    assert "Traceback" not in errors
    return out, errors


IN_C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
RUN = str(run_id(1))
COMMANDS = [
    *reading(run_id=RUN),
    ["verify", "sqlite:other.db"],
    ["diff", "sqlite:mobs.db", "sqlite:other.db"],
    ["diff", "sqlite:mobs.db", f"{ODD}.zip"],
    *writing(out=ODD),
    ["export", "sqlite:mobs.db", f"{ODD}/back.db", "--force"],
    ["info", f"sqlite:{ODD}/new.db"],
]
WRONG = [
    ["info", f"sqlite:missing-{ODD}.db"],
    ["info", f"{ODD}.db"],
    ["runs", "sqlite:mobs.db", "--status", ODD],
    [ODD],
]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii:strict", "utf-16", "C"])
def test_tables_and_errors_in_any_encoding(folder: Path, encoding: str) -> None:
    commands = [*COMMANDS, *WRONG]
    in_c = encoding == "C"
    out, errors = run_in_c(folder, commands) if in_c else run_all(commands, folder, encoding)
    whole = ODD if encoding == "utf-16" else "\\u65e5\\u672c-\\U0001f9a6"
    assert out.count(whole) > 20
    # If file names are ASCII, Python itself decodes their other bytes as lone surrogates.
    assert errors.count("\\udce6" if in_c else whole) > 3
    ends = [line for line in out.splitlines() if line.startswith(":: ended with")]
    codes = [0] * len(COMMANDS) + [1, 2, 2, 2]
    codes[10:12] = [1, 1]
    assert [int(line.split()[-1]) for line in ends] == codes
    lines = out.splitlines()
    table = lines[lines.index(":: runs") :][2:7]  # below its title
    if "u65e5" in whole:
        assert len({len(line) for line in table}) == 1, "columns stay in line"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_in_any_encoding(folder: Path, encoding: str) -> None:
    out, _ = run_all([[*command, "--json"] for command in COMMANDS], folder, encoding)
    lines = [json.loads(line) for line in out.splitlines() if not line.startswith(":: ")]
    assert len(lines) > 12
    text = json.dumps(lines, ensure_ascii=False)
    assert text.count(ODD) > 15
    if encoding == "utf-8":
        assert ODD in out, "nothing is escaped where nothing has to be"


def test_a_table_does_not_interpret_emoji_codes_and_markup(tmp_path: Path) -> None:
    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{tmp_path / 'mobs.db'}") as stores:
            run = full_run(1, mob="[red]:smile:", flow=FlowId(":x:"))
            await stores.runs.create_run(run)

    asyncio.run(fill())
    commands = [["run", "sqlite:mobs.db", RUN], ["diff", "sqlite:mobs.db", "memory:"]]
    out, _ = run_all(commands, tmp_path)
    assert "[red]:smile: / :x:" in out
    assert f"run {RUN} of [red]:smile:: only in sqlite:mobs.db" in out


# Standard output as a file ----------------------------------------------------------------------


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    (tmp_path / "tide.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    assert run("import", "tide.db", "sqlite:mobs.db", folder=tmp_path).code == 0
    return tmp_path


def piped(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "mobstore", *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
    )


@pytest.mark.slow
def test_an_export_into_a_pipe(sample: Path) -> None:
    whole = piped(sample, "export", "sqlite:mobs.db", "-")
    assert whole.stderr == b"exported 99 events, 8 runs, 2 specs, 2 realm profiles\n"
    (sample / "piped.zip").write_bytes(whole.stdout)
    assert run("diff", "sqlite:mobs.db", "piped.zip", folder=sample).out == "no differences\n"

    other = piped(sample, "export", "sqlite:mobs.db", "-", "--format", "meerkat", "--json")
    assert json.loads(other.stderr)["events"] == 99
    (sample / "piped.db").write_bytes(other.stdout)
    assert run("import", "piped.db", "sqlite:again.db", folder=sample).code == 0
    names = {path.name for path in sample.iterdir()}
    assert names == {"tide.db", "mobs.db", "piped.zip", "piped.db", "again.db"}


def test_the_reader_of_an_export_may_exit_early(sample: Path) -> None:
    command = f"{sys.executable} -m mobstore export sqlite:mobs.db - | head -c 1"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, check=False, cwd=sample)
    assert ended.stdout == b"P"
    assert b"Traceback" not in ended.stderr


def test_no_export_to_a_terminal(sample: Path) -> None:
    person, terminal = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-m", "mobstore", "export", "sqlite:mobs.db", "-"],
        stdout=terminal,
        stderr=subprocess.PIPE,
        check=False,
        cwd=sample,
    )
    os.close(terminal)
    os.close(person)
    assert ended.returncode == 2
    assert (
        b"standard output is a terminal; name a file, or pipe the output into a command"
        in ended.stderr
    )


def test_force_replaces_only_regular_files(sample: Path) -> None:
    os.mkfifo(sample / "pipe")
    (sample / "file").write_text("old")
    (sample / "link").symlink_to("file")
    (sample / "store").symlink_to("mobs.db")
    commands = [
        ["export", "sqlite:mobs.db", name, "--force", "--format", layout]
        for layout in ("mobstore", "meerkat")
        for name in ("pipe", "link", "mobs.db", "store")
    ]
    out, errors = run_all([*commands, ["verify", "sqlite:mobs.db"]], sample)
    assert [line[-1] for line in out.splitlines() if ":: ended" in line] == list("101110110")
    assert (
        errors.splitlines()
        == [
            "Error: Write failed: pipe cannot be written: it is a named pipe, not a file",
            "Error: Write failed: mobs.db is the store itself; name another file",
            "Error: Write failed: store is the store itself; name another file",
        ]
        * 2
    )
    assert (sample / "pipe").is_fifo()
    assert (sample / "link").is_symlink()
    assert (sample / "store").is_symlink()
    assert (sample / "file").read_bytes().startswith(b"SQLite")


def test_diff_takes_a_store_by_its_url(sample: Path) -> None:
    ended = run("diff", "sqlite:mobs.db", "mobs.db", folder=sample)
    assert ended.code == 2
    assert "mobs.db is a SQLite database; type sqlite:mobs.db" in ended.errors
