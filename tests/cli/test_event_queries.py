"""`mobstore events` with conditions, and `mobstore prune`."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

import mobstore
from cli.command_line import run
from mobstore.model.json import JsonInput
from mobstore.scripts.tables import CONSUMERS, EVENTS, ConsumerRow
from mobstore.scripts.transaction import Put, Scan
from mobstore.testing import samples
from mobstore.testing.kinds import every_kind
from mobstore.testing.samples import event
from mobstore.testing.scripts import read_script, write_script


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Create a store with two events of each kind: of ten days ago, and of a minute ago."""
    found = f"sqlite:{tmp_path / 'mobs.db'}"

    async def fill() -> None:
        now = mobstore.Timestamp.now()
        async with mobstore.open_stores(found) as stores:
            for ago in (timedelta(days=10), timedelta(minutes=1)):
                await stores.events.append_batch(
                    [event("desk", at=now - ago, kind=kind) for kind in every_kind()]
                )

    asyncio.run(fill())
    return found


KINDS = len(every_kind())


def cursors(url: str, *options: str) -> list[int]:
    lines = run("events", url, "--json", *options).out.splitlines()
    return [json.loads(line)["cursor"] for line in lines]


def test_newest_first(url: str) -> None:
    last = 2 * KINDS
    assert cursors(url, "--newest", "20") == list(range(last, last - 20, -1))
    assert cursors(url, "--newest", "2", "--before", "9") == [8, 7]
    assert cursors(url, "--newest", "9", "--after", f"{last - 3}") == [last, last - 1, last - 2]
    assert cursors(url, "--newest", "0") == []
    assert cursors(url, "--before", "3") == [1, 2]
    shown = run("events", url, "--newest", "2").out
    assert shown.index(f"{last} ") < shown.index(f"{last - 1} ")


def test_types_and_members(url: str) -> None:
    types = [kind.type for kind in every_kind()]
    failed, reset = types.index("step_failed") + 1, types.index("mob_reset") + 1
    assert cursors(url, "--type", "step_failed") == [failed, failed + KINDS]
    both = sorted([failed, reset, failed + KINDS, reset + KINDS])
    assert cursors(url, "--type", "step_failed", "--type", "mob_reset") == both
    assert cursors(url, "--newest", "1", "--type", "mob_reset", "--mob", "desk") == [reset + KINDS]
    of_ann = cursors(url, "--member", "ann")
    assert len(of_ann) == 22
    assert failed not in of_ann
    wrong = run("events", url, "--type", "step_faild")
    assert wrong.code == 2
    assert "step_failed" in wrong.errors


def test_other_kinds(url: str) -> None:
    run_id = str(samples.run_id(77))
    fields: dict[str, JsonInput] = {"run_id": run_id, "member": "zoe", "by": {"b": 1, "a": 2}}
    stopped = mobstore.OtherEvent(type="mob_stopped", fields=fields)
    assert run("events", url, "--type", "mob_stopped").code == 2

    async def append() -> None:
        async with mobstore.open_stores(url) as stores:
            await stores.events.append(event("desk", kind=stopped))

    asyncio.run(append())
    cursor = 2 * KINDS + 1
    for option in (("--type", "mob_stopped"), ("--run", run_id), ("--member", "zoe")):
        assert cursors(url, *option) == [cursor]
    shown = run("events", url, "--type", "mob_stopped").out
    for part in ("mob_stopped", "member=zoe", 'by={"b": 1, "a": 2}'):
        assert part in shown
    (line,) = run("events", url, "--type", "mob_stopped", "--json").out.splitlines()
    assert line.endswith(f'"kind":{stopped.to_json()}}}')


def test_times(url: str) -> None:
    new = list(range(KINDS + 1, 2 * KINDS + 1))
    for since in ("1h", "9d", "1w", "15m", "90000s"):
        assert cursors(url, "--since", since) == new
        assert cursors(url, "--until", since) == list(range(1, KINDS + 1))
    assert cursors(url, "--since", "1s") == []
    assert cursors(url, "--since", "11d", "--until", "1s", "--limit", "3") == [1, 2, 3]
    assert cursors(url, "--since", "2001-02-03T04:05:06+01:00", "--newest", "1") == [2 * KINDS]
    for wrong in ("1", "1y", "yesterday", "2026-03-04", "999999999d", "-1h", ""):
        ended = run("events", url, f"--since={wrong}")
        assert ended.code == 2
        assert "such as 90s, 15m, 1h, 7d or 2w" in ended.errors


@pytest.mark.parametrize(
    "option",
    [["--newest", "1"], ["--type", "mob_reset"], ["--since", "1h"], ["--before", "1"],
     ["--member", ""], ["--newest", "0"]],
)  # fmt: skip
def test_follow_takes_no_other_conditions(url: str, option: list[str]) -> None:
    ended = run("events", url, "--follow", *option)
    assert ended.code == 2
    assert "--mob or --run alone" in ended.errors


def test_unreadable_events_are_skipped_backwards(url: str) -> None:
    async def damage() -> None:
        async with mobstore.open_stores(url) as stores:
            rows = await stores.engine.read(read_script(Scan(EVENTS)))
            bad = [rows[n]._replace(kind="{") for n in (3, 5, 6)]
            await stores.engine.write(write_script(Put(EVENTS, bad)))

    asyncio.run(damage())
    options = ("--newest", "100", "--before", "10")
    assert cursors(url, *options, "--skip-unreadable") == [9, 8, 5, 3, 2, 1]
    ended = run("events", url, "--json", *options)
    assert ended.code == 1
    assert len(ended.out.splitlines()) == 2
    assert "cursor 7 " in ended.errors


def test_prune_keeps_what_a_mob_is_resumed_from(url: str) -> None:
    structural = [
        n for n, kind in enumerate(every_kind(), 1) if kind.type in mobstore.STRUCTURAL_KINDS
    ]
    ended = run("prune", url, "--older-than", "7d")
    assert ended.out == f"removed {KINDS - len(structural)} events\n"
    new = list(range(KINDS + 1, 2 * KINDS + 1))
    assert cursors(url) == structural + new
    ended = run("prune", url, "--older-than", "7d", "--all-kinds", "--json")
    assert json.loads(ended.out) == {"removed": len(structural)}
    assert cursors(url) == new


def test_prune_keeps_what_consumers_have_not_seen(url: str) -> None:
    async def consume() -> None:
        async with mobstore.open_stores(url) as stores:
            row = ConsumerRow("projector", 3, mobstore.Timestamp.now().sortable)
            await stores.engine.write(write_script(Put(CONSUMERS, [row])))

    asyncio.run(consume())
    ended = run("prune", url, "--before", "9", "--all-kinds", "--keep-unseen")
    assert ended.out == "removed 3 events\n"
    assert run("prune", url, "--before", "5", "--all-kinds").out == "removed 1 event\n"
    assert cursors(url, "--limit", "2") == [5, 6]


def test_prune_needs_a_bound_and_a_store(url: str, tmp_path: Path) -> None:
    ended = run("prune", url, "--all-kinds")
    assert ended.code == 2
    assert "pass --older-than or --before" in ended.errors
    ended = run("prune", f"sqlite:{tmp_path / 'none.db'}", "--before", "1")
    assert ended.code == 1
    assert not (tmp_path / "none.db").exists()
    assert len(cursors(url)) == 2 * KINDS
