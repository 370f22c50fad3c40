"""Long runs, long lists and huge values: the output is limited, and says so."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest
from rich.console import Console

import mobstore
from mobstore import MobReset, MobRun, StepFailed, StepId
from mobstore.cli import display
from mobstore.cli.table import AdaptiveTable
from mobstore.cli.timeline import timeline
from mobstore.notebook.tree import branches
from mobstore.testing.samples import event, failure, frame, full_run, loop, make_run, run_id, step

MEBIBYTE = 2**20


def printed(run: MobRun, width: int = 140) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False)
    display.print_run(console, run, timeline(run.step_ledger, width=width))
    return out.getvalue()


def long_run(entries: int) -> MobRun:
    return make_run(
        step_ledger=tuple(step(f"step-{n}", at=n) for n in range(entries)),
        failure_ledger=tuple(failure(f"failed-{n}", at=n) for n in range(entries)),
        frames={f"frame-{n:06}": frame(n) for n in range(entries)},
        root_step_outputs={f"output-{n}": n for n in range(entries)},
    )


def test_a_long_run_shows_its_first_and_last_rows() -> None:
    """The first and the last entries are shown; those between are counted."""
    shown = printed(long_run(1500))
    for name in ("step-{}", "failed-{}", "output-{}", "frame {:06}"):
        for n, there in ((0, True), (499, True), (500, False), (999, False), (1499, True)):
            of = name.format(n) if "frame" not in name else f"frame frame-{n:06}"
            assert (f" {of} " in shown) is there, of
    assert shown.count("500 more between the first and the last; use --json to print all") == 4
    assert "more between" not in printed(long_run(1000))


@pytest.mark.slow
def test_printing_a_run_of_100_000_entries_takes_linear_time() -> None:
    whole = long_run(100_000)
    half = whole.model_copy(
        update={
            "step_ledger": whole.step_ledger[:50_000],
            "failure_ledger": whole.failure_ledger[:50_000],
            "frames": dict(list(whole.frames.items())[:50_000]),
            "root_step_outputs": dict(list(whole.root_step_outputs.items())[:50_000]),
        }
    )
    began = perf_counter()
    lines = printed(half).count("\n")
    between = perf_counter()
    assert printed(whole).count("\n") == lines < 5_000
    assert perf_counter() - between < 3 * (between - began) + 1


def test_a_deep_tree_has_limited_indentation() -> None:
    names = ["root"]
    for n in range(400):
        names.append(f"{names[-1]}::{n}")
    run = make_run(
        frames={name: frame(1) for name in names[::2]},
        loops={name: loop(1) for name in names[1::2]},
    )
    for width in (1, 10, 80):
        shown = printed(run, width)
        assert len(shown) < 401 * (3 * width + 200)


def test_a_long_name_is_not_copied_for_each_frame_in_it() -> None:
    long = "x" * 2**16
    frames = [f"frame-{n}" for n in range(20_000)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = branches("run", frames, [long], {name: (long, n) for n, name in enumerate(frames)})
    assert [branch.depth for branch in found] == [0, *[1] * 20_000]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, "kibibytes; all copies would be 1.3 million"


def test_names_of_many_numbers_are_sorted_in_little_memory() -> None:
    names = [f"{n}{'1a' * 2**15}" for n in range(300)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert [branch.id for branch in branches("run", reversed(names), [], {})] == names
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, "kibibytes; all numbers as such would be millions"


@pytest.mark.parametrize("width", range(1, 30))
def test_no_terminal_is_too_narrow(width: int) -> None:
    sheet = AdaptiveTable("a title of words", "run", "mob", "what")
    sheet.add_row("r" * 36, "日本" * 3, "e\u0301" * 50 + "\u0301" * 5000)
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(sheet)
    assert captured.get().count("r") >= 36
    printed(full_run(1, mob="m", flow="f"), width)


def test_a_cell_is_cut() -> None:
    sheet = AdaptiveTable("s" * 10_000, "mob")
    sheet.add_row("\x1b" * 10_000)
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as captured:
        console.print(sheet)
    assert 1500 < len("".join(captured.get().split())) < 2100
    assert captured.get().count("…") == 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")

    async def fill() -> None:
        url = f"sqlite:{folder / 'huge.db'}"
        async with mobstore.open_stores(url, durability="normal") as stores:
            huge = "\x1b\u202eé" * (2 * MEBIBYTE)
            name = "k" * 2**16
            run = full_run(
                1,
                mob=name,
                flow=name,
                step_ledger=(step(name, name, "completed", {"a": huge}),),
                root_step_outputs={StepId(name): huge},
            )
            await stores.runs.create_run(run)
            for n in range(2, 1203):
                await stores.runs.create_run(make_run(n, mob="m"))
            failed = StepFailed(run_id=run_id(1), step_id=StepId(name), reason="x" * 8 * MEBIBYTE)
            for _ in range(16):
                await stores.events.append(event("m", kind=failed))
            await stores.events.append_batch([event("m", kind=MobReset())] * 1500)

    asyncio.run(fill())
    return folder


def limited(folder: Path, *arguments: str, mebibytes: int = 700) -> str:
    """Run a command with limited memory; return its output."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes * MEBIBYTE, mebibytes * MEBIBYTE))

    ended = subprocess.run(
        [sys.executable, "-m", "mobstore", *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
        preexec_fn=limit,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    return ended.stdout.decode()


RUN = "00000000-0000-0000-0000-000000000001"


def test_huge_values_in_tables(folder: Path) -> None:
    assert len(limited(folder, "run", "sqlite:huge.db", RUN)) < 30_000


@pytest.mark.slow
def test_huge_values_in_json(folder: Path) -> None:
    """JSON is escaped in pieces."""
    out = limited(folder, "run", "sqlite:huge.db", RUN, "--json", mebibytes=700)
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert json.loads(out)["step_ledger"][0]["output"]["a"][:3] == "\x1b\u202eé"


def test_out_of_memory() -> None:
    """The error is simulated: the place where memory runs out is unpredictable."""
    code = """
from mobstore.cli import main, runs
def console(): bytes(2**62)
runs.new_console = console
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, "runs", "memory:"], capture_output=True, check=False
    )
    words = b"Error: out of memory while printing the result\n"
    assert (ended.returncode, ended.stderr) == (1, words)


@pytest.mark.slow
def test_a_long_list_is_printed_in_pieces(folder: Path) -> None:
    out = limited(folder, "runs", "sqlite:huge.db")
    assert out.count("created") == 2, "two heads"
    assert out.count("pending") == 1201
    events = limited(folder, "events", "sqlite:huge.db", "--limit", "5000", mebibytes=400)
    assert events.count("cursor") == 2
    assert events.count("mob_reset") == 1500
    assert events.count("step_failed") == 16
    lines = limited(folder, "runs", "sqlite:huge.db", "--json").splitlines()
    numbers = [int(json.loads(line)["run_id"][-12:], 16) for line in lines]
    assert numbers == list(range(1, 1203))
