"""The commands on real files: results, options, messages and exit codes."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from uuid import UUID

import pytest
from rich.console import Console

import mobstore
import mobstore.cli
from cli.command_line import RUN, run, run_process
from mobstore.cli import display
from mobstore.cli.commands import DeferredCommand, cli
from mobstore.cli.timeline import STEPS, timeline
from mobstore.meerkat import import_meerkat
from mobstore.testing.samples import event, frame, full_run, iteration, loop

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "tide-desk.db"
    path.write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    return path


@pytest.fixture(scope="module")
def url(source: Path) -> str:
    path = source.with_name("mobs.db")

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{path}") as stores:
            await import_meerkat(source, stores)

    asyncio.run(fill())
    return f"sqlite:{path}"


def test_import_reports_its_counts(source: Path, tmp_path: Path) -> None:
    ended = run("import", str(source), f"sqlite:{tmp_path / 'new.db'}")
    assert (ended.code, ended.errors) == (0, "")
    assert ended.out == "imported 99 events, 8 runs, 2 specs, 2 realm profiles\n"


def test_import_rejects_a_store_that_is_not_empty(source: Path, url: str) -> None:
    ended = run("import", str(source), url)
    assert (ended.code, ended.out) == (1, "")
    assert "the target store is not empty; name a new one" in ended.errors
    assert "Internal error" not in ended.errors, "a mistake of the user is no bug"


def test_info(url: str) -> None:
    ended = run("info", url, "--json")
    counts = {"events": 99, "next_cursor": 100, "runs": 8, "specs": 2, "realm_profiles": 2}
    told = json.loads(ended.out)
    identity = UUID(told.pop("identity"))
    medium = told.pop("medium")
    assert told == {**counts, "claims": 0, "consumers": [], "imported_from": None}
    assert medium["SQLite"] == sqlite3.sqlite_version
    assert medium["WAL-reset bug"].startswith(("affected", "not affected"))
    table = run("info", url).out
    assert all(name in table and known in table for name, known in medium.items())
    assert all(f"{name.replace('_', ' ')}" in table for name in counts)
    assert str(identity) in table


def test_events_pages_and_bounds(url: str) -> None:
    lines = run("events", url, "--after", "95", "--limit", "3", "--json").out
    events = [json.loads(line) for line in lines.splitlines()]
    assert [event["cursor"] for event in events] == [96, 97, 98]
    assert events[1]["kind"]["type"] == "flow_completed"
    assert len(run("events", url, "--json").out.splitlines()) == 99
    table = run("events", url, "--after", "98").out
    assert "task_updated" in table
    assert "status=completed" in table


def test_events_read_more_than_one_page(tmp_path: Path) -> None:
    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{tmp_path / 'many.db'}") as stores:
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            await stores.events.append_batch([event] * 2500)

    asyncio.run(fill())
    url = f"sqlite:{tmp_path / 'many.db'}"
    lines = run("events", url, "--limit", "2400", "--json").out.splitlines()
    assert [json.loads(line)["cursor"] for line in lines] == list(range(1, 2401))
    shown = run("events", url, "--limit", "2400").out
    assert shown_cursors(shown) == list(range(1, 2401))
    assert shown.count("cursor") == 3, "a table for each page: what is shown need not be kept"


def test_events_of_a_mob_and_of_a_run(url: str) -> None:
    def kinds(*options: str) -> list[str]:
        lines = run("events", url, "--json", *options).out.splitlines()
        return [json.loads(line)["kind"]["type"] for line in lines]

    assert kinds("--mob", "nobody") == []
    of_run = kinds("--run", RUN)
    assert (of_run[0], of_run[-1]) == ("flow_started", "flow_completed")
    assert of_run.count("step_dispatched") == 3


@pytest.mark.parametrize("form", ["json", "table"])
def test_events_are_followed_until_interrupted(tmp_path: Path, form: str) -> None:
    url = f"sqlite:{tmp_path / 'mobs.db'}"

    async def append(mob: str) -> None:
        async with mobstore.open_stores(url) as stores:
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId(mob), kind=mobstore.MobReset())
            await stores.events.append(event)

    asyncio.run(append("before"))
    options = ["--json"] if form == "json" else []
    main = "from mobstore.cli import main; main()"
    command = [sys.executable, "-c", main, "events", url, "--follow", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert b"before" in following.stdout.readline()
        asyncio.run(append("after"))
        assert b"after" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.communicate(timeout=30) == (b"", b"")
        assert following.returncode == 130


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    """Return the URL of a store of nine events; 4, 8 and 9 cannot be read."""
    path = tmp_path / "damaged.db"

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{path}") as stores:
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            await stores.events.append_batch([event] * 9)

    asyncio.run(fill())
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("UPDATE events SET kind = '{' WHERE cursor IN (4, 8, 9)")
    return f"sqlite:{path}"


def shown_cursors(output: str) -> list[int]:
    if output.startswith("{"):
        return [json.loads(line)["cursor"] for line in output.splitlines()]
    return [int(found) for found in re.findall(r"^ +(\d+)  ", output, re.MULTILINE)]


@pytest.mark.parametrize("options", [("--json",), ()], ids=str)
def test_events_before_an_unreadable_one_are_printed(
    damaged: str, options: tuple[str, ...]
) -> None:
    ended = run("events", damaged, *options)
    assert ended.code == 1
    assert shown_cursors(ended.out) == [1, 2, 3]
    assert ended.errors == "Error: Serialization error: table events, cursor 4 cannot be read\n"

    ended = run("events", damaged, "--skip-unreadable", *options)
    assert ended.code == 0
    assert shown_cursors(ended.out) == [1, 2, 3, 5, 6, 7]
    assert ended.errors == "".join(
        f"left out: table events, cursor {cursor} cannot be read\n" for cursor in (4, 8, 9)
    )
    ended = run("events", damaged, "--skip-unreadable", "--limit", "5", *options)
    assert shown_cursors(ended.out) == [1, 2, 3, 5, 6]
    assert "cursor 8" not in ended.errors


def test_follow_ends_at_an_unreadable_event(damaged: str) -> None:
    ended = run("events", damaged, "--follow", "--json")
    assert ended.code == 1
    assert shown_cursors(ended.out) == [1, 2, 3]
    assert "cursor 4 cannot be read" in ended.errors
    main = "from mobstore.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        main,
        "events",
        damaged,
        "--follow",
        "--json",
        "--skip-unreadable",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:
        assert following.stderr is not None
        for cursor in (4, 8, 9):
            assert b"cursor %d cannot be read" % cursor in following.stderr.readline()
        following.send_signal(signal.SIGINT)
        out, _ = following.communicate(timeout=30)
        assert shown_cursors(out.decode()) == [1, 2, 3, 5, 6, 7]


@pytest.mark.parametrize("options", [("--json",), (), ("--follow",)], ids=str)
def test_a_cursor_past_the_end(url: str, options: tuple[str, ...]) -> None:
    ended = run("events", url, "--after", "100", *options)
    assert (ended.code, ended.out) == (1, "")
    assert "cursor 100 is past the latest one, 99: it belongs to another store" in ended.errors


def test_completion() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_MOBSTORE_COMPLETE" in run("completion", shell).out
    said = run_process(
        environment={
            "COMP_WORDS": "mobstore runs --st",
            "COMP_CWORD": "2",
            "_MOBSTORE_COMPLETE": "bash_complete",
        }
    )
    assert said.out == "plain,--status\n"


def test_a_timeline_is_limited_and_its_title_says_so() -> None:
    def entry(n: int, status: mobstore.StepRunStatus) -> mobstore.StepLedgerEntry:
        return mobstore.StepLedgerEntry(
            step_id=mobstore.StepId(f"step {n}"),
            meerkat_id=mobstore.MeerkatId("ann"),
            status=status,
            timestamp=mobstore.Timestamp(f"2026-03-04T05:{n:02}:00Z"),
        )

    console = Console(width=140)
    with console.capture() as captured:
        console.print(timeline([entry(n, "dispatched") for n in range(59)]))
        console.print(timeline([entry(n, "dispatched") for n in range(2)] + [entry(2, "failed")]))
        console.print(timeline([entry(1, "dispatched"), entry(1, "failed"), entry(3, "skipped")]))
        console.print(timeline([]))
    shown = captured.get()
    assert f"timeline of the last {STEPS} steps" in shown
    assert "step 18 " not in shown
    assert "step 19 " in shown
    assert "running" in shown
    assert "━" * 40 in shown, "what is not ended goes to the end"


def test_runs_are_filtered_by_mob_and_flow(url: str) -> None:
    def flows(*options: str) -> list[str]:
        lines = run("runs", url, "--json", *options).out.splitlines()
        return [json.loads(line)["flow_id"] for line in lines]

    assert flows() == ["polish", "daily", "daily", "polish", "daily", "daily", "polish", "daily"]
    assert flows("--status", "failed") == flows("--mob", "tide-desk", "--status", "failed")
    assert 0 < len(flows("--status", "completed")) < 8
    assert flows("--mob", "tide-desk", "--flow", "daily") == ["daily"] * 5
    assert flows("--mob", "nobody") == []
    first = json.loads(run("runs", url, "--json").out.splitlines()[0])
    assert first == {
        "run_id": RUN,
        "mob_id": "tide-desk",
        "flow_id": "polish",
        "status": "completed",
        "created_at": "2026-03-02T08:00:13.974000584Z",
        "completed_at": "2026-11-22T13:13:46.793081336Z",
        "steps": 6,
        "failures": 0,
    }
    assert RUN in run("runs", url).out


def test_run_in_depth(url: str) -> None:
    table = run("run", url, RUN).out
    for words in ("flow state Completed", "n-outline=Completed", "critique", "revise [0]"):
        assert words in table
    assert tree_in(table) == [
        "2 frames, 1 loop",
        "└── frame root  Completed  n-outline=Completed, n-loop=Completed",
        "    └── loop n-loop  Completed",
        "        └── frame iter-0  iteration 0  Completed  n-draft=Completed, n-critique=Completed",
    ]
    assert mobstore.MobRun.from_json(run("run", url, RUN, "--json").out.strip())
    failures = run("run", url, "49b64a08-72e6-4c3a-babc-ed2057ee05cd").out
    assert "attempt 1 timed out" in failures


def tree_in(shown: str) -> list[str]:
    """Return the lines of the tree of frames and loops."""
    lines = [line.rstrip() for line in shown.splitlines()]
    start = next(n for n, line in enumerate(lines) if " loop" in line)
    return lines[start : lines.index("timeline")]


def test_the_tree_of_frames_and_loops_follows_the_ledger() -> None:
    """The parent is that of the ledger, not of the id; iterations are in numeric order."""
    frames = [
        "root",
        "root::n-body",
        *(f"body {n}" for n in range(12)),
        "in::iter-2",
        "in::iter-10",
    ]
    run = full_run(
        frames={name: frame(1) for name in reversed(frames)},
        loops={name: loop(1) for name in ("root::n-loop", "body 2::n-in", "in")},
        loop_iteration_ledger=(
            *(iteration(n, "root::n-loop", f"body {n}") for n in range(12)),
            iteration(0, "body 2::n-in", "root::n-body"),
        ),
    )
    broken = run.frames[mobstore.FrameId("body 11")].model_copy(
        update={"kernel_state": mobstore.KernelState.from_canonical("{}")}
    )
    run = run.model_copy(update={"frames": {**run.frames, "body 11": broken}})
    console = Console(width=140)
    with console.capture() as captured:
        display.print_run(console, run, timeline(run.step_ledger))
    state = "Running"
    assert tree_in(captured.get()) == [
        "16 frames, 3 loops",
        f"├── frame root  {state}",
        f"│   └── loop n-loop  {state}",
        f"│       ├── frame body 0  iteration 0  {state}",
        f"│       ├── frame body 1  iteration 1  {state}",
        f"│       ├── frame body 2  iteration 2  {state}",
        f"│       │   └── loop n-in  {state}",
        f"│       │       └── frame root::n-body  iteration 0  {state}",
        *(f"│       ├── frame body {n}  iteration {n}  {state}" for n in range(3, 11)),
        "│       └── frame body 11  iteration 11  cannot be read",
        f"└── loop in  {state}",
        f"    ├── frame iter-2  {state}",
        f"    └── frame iter-10  {state}",
    ]


def test_specs_and_profiles(url: str) -> None:
    specs = [json.loads(line) for line in run("specs", url, "--json").out.splitlines()]
    assert [(spec["mob_id"], spec["revision"]) for spec in specs] == [
        ("night-desk", 1),
        ("tide-desk", 2),
    ]
    assert specs[1]["definition"]["id"] == "tide-desk"
    assert "daily, polish" in run("specs", url).out
    profiles = run("profiles", url, "--json").out.splitlines()
    assert [json.loads(line)["name"] for line in profiles] == ["proof-reader", "web-scout"]
    assert "model-small-2" in run("profiles", url).out


def test_consumers(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'mobs.db'}"

    async def follow() -> None:
        async with mobstore.open_stores(url) as stores:
            await stores.events.append_batch([event()] * 3)
            for name in ("projector", "notifier"):
                async with stores.events.follow(name, most=2) as batches:
                    batch = await anext(batches)
            await batch.done()

    asyncio.run(follow())
    lines = [json.loads(line) for line in run("consumers", url, "--json").out.splitlines()]
    assert [(line["name"], line["cursor"], line["behind"]) for line in lines] == [
        ("notifier", 2, 1),
        ("projector", 0, 3),
    ]
    assert lines[0].keys() == {"name", "cursor", "updated_at", "behind"}
    shown = run("consumers", url)
    assert re.search(r"name +cursor +behind +updated", shown.out)
    assert re.search(r"notifier +2 +1 +2", shown.out)
    assert "notifier" not in run("consumers", url, "--forget", "notifier").out
    again = run("consumers", url, "--forget", "notifier")
    assert (again.code, again.errors) == (1, "Error: Not found: consumer not found: notifier\n")
    assert run("consumers", url, "--forget", "").code == 2
    assert run("consumers", url, "--json").out.count("\n") == 1
    with closing(sqlite3.connect(tmp_path / "mobs.db")) as file, file:
        file.execute("UPDATE consumers SET cursor = 7")  # of a log that was restored since
    assert json.loads(run("consumers", url, "--json").out)["behind"] is None
    assert re.search(r"projector +7 +stale", run("consumers", url).out)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("info", "sqlite:/nowhere/mobs.db"), 1, "the directory /nowhere does not exist"),
        (("info", "sqlite:missing.db"), 1, "missing.db does not exist; is the name right?"),
        (("info", "mobs.db"), 2, "mobs.db is a path, not a URL; use sqlite:mobs.db"),
        (("diff", "no.zip", "memory:"), 2, "there is no file no.zip; as a URL, no.zip is a path"),
        (("import", "-", "memory:"), 2, "import cannot read from a pipe"),
        (("info", "sqlite:///mobs.db"), 2, "use sqlite:mobs.db (relative) or sqlite:/mobs.db"),
        (("run", "memory:", RUN), 1, f"run not found: {RUN}"),
        (("run", "memory:", "no-uuid"), 2, "give its first hex digits, such as c1934f18"),
        (("events", "memory:", "--limit", "-1"), 2, "-1 is not in the range"),
        (("events", "memory:", "--after", str(2**63)), 2, "is not in the range"),
        (("copy", "memory:", "mobs.db"), 2, "mobs.db is a path, not a URL; use sqlite:mobs.db"),
        (("events", "memory:", "--mob", "m", "--run", RUN), 2, "use --mob or --run, not both"),
        (("events", "memory:", "--after", "x"), 2, "is not a valid integer"),
        (("import", "missing.db", "memory:"), 1, "missing.db is not a file"),
        (("nonsense",), 2, "No such command"),
        (("info",), 2, "Missing argument 'URL'"),
    ],
)
def test_errors_are_messages_on_stderr(arguments: tuple[str, ...], code: int, words: str) -> None:
    ended = run(*arguments)
    assert ended.code == code
    assert words in ended.errors
    assert "Traceback" not in ended.errors
    assert ended.out == ""
    assert not Path("missing.db").exists()


def test_a_reader_may_exit_early(tmp_path: Path) -> None:
    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{tmp_path / 'many.db'}") as stores:
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            await stores.events.append_batch([event] * 5000)

    asyncio.run(fill())
    command = f"{sys.executable} -m mobstore events sqlite:{tmp_path / 'many.db'}"
    ended = subprocess.run(
        ["sh", "-c", f"{command} --limit 5000 --json | head -n 1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(ended.stdout)["cursor"] == 1
    assert "Traceback" not in ended.stderr


def test_every_command_has_an_example() -> None:
    for name, command in cli.commands.items():
        ended = run(name, "--help")
        assert f"Example: mobstore {name} " in ended.out
        assert command.help


def test_each_command_has_its_place_in_the_list() -> None:
    """The list has the first sentence of each command's help without importing the command."""
    listed = {one.name: one for one in cli.commands.values() if isinstance(one, DeferredCommand)}
    modules = (
        import_module(f"mobstore.cli.{one.name}") for one in iter_modules(mobstore.cli.__path__)
    )
    found = {each.name: each for module in modules for each in getattr(module, "COMMANDS", ())}
    assert listed.keys() == found.keys()
    for name, command in found.items():
        assert listed[name].command() is command
        assert listed[name].get_short_help_str(1000) == command.get_short_help_str(1000)
        assert (command.hidden, command.deprecated) == (False, False)


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_extra_it_names_the_command_to_install_it(tmp_path: Path, missing: str) -> None:
    (tmp_path / f"{missing}.py").write_text(
        f"raise ModuleNotFoundError(\"No module named '{missing}'\", name='{missing}')",
        encoding="utf-8",
    )
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    ended = run_process("info", "memory:", environment={"PYTHONPATH": path})
    assert ended.code == 1
    assert ended.errors == (
        "mobstore: the command line needs an extra; run pip install 'mobstore[cli]'\n"
    )


def test_stored_text_is_escaped() -> None:
    hostile = "[red]x[/red]\x1b[2J\x07\nbell"
    run = mobstore.MobRun.pending(
        mobstore.MobId(hostile),
        mobstore.FlowId("[bold]"),
        mobstore.KernelState(hostile, {"node_status": {hostile: hostile}}),
    ).model_copy(
        update={
            "run_id": mobstore.RunId(UUID(int=0)),
            "frames": {"[/]": mobstore.FrameSnapshot(kernel_state=mobstore.KernelState(hostile))},
            "step_ledger": (
                mobstore.StepLedgerEntry(
                    step_id=mobstore.StepId(hostile),
                    meerkat_id=mobstore.MeerkatId("[/]"),
                    status="completed",
                    output={hostile: hostile},
                    timestamp=mobstore.Timestamp.now(),
                ),
            ),
        }
    )
    console = Console(width=200, record=True, force_terminal=True)
    with console.capture() as captured:
        display.print_run(console, run, timeline(run.step_ledger))
    shown = captured.get()
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "[red]x[/red]\\x1b[2J\\x07\\nbell" in shown
