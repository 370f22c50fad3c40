"""Runs and claims on the command line: queries, starts of ids, holders, and releases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest

import mobstore
from cli.command_line import run
from mobstore import Claim, MobStores, RunId, Timestamp, run_claim_name
from mobstore.testing.samples import make_run, run_id

T = TypeVar("T")
NOW = Timestamp.now()
HELD, PUT_OFF, EXPIRED, FREE, ENDED, OLD = (run_id(0xC1000000 << 96 | n) for n in range(1, 7))


def within(url: str, work: Callable[[MobStores], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with mobstore.open_stores(url) as stores:
            return await work(stores)

    return asyncio.run(opened())


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a store with runs in each state."""
    url = f"sqlite:{tmp_path / 'mobs.db'}"

    async def fill(stores: MobStores) -> None:
        for one in (HELD, PUT_OFF, EXPIRED, FREE):
            await stores.runs.create_run(make_run(run_id=one, created_at=NOW, status="running"))
        for one, hours in ((OLD, 30), (ENDED, 1)):
            ended = NOW - timedelta(hours=hours)
            await stores.runs.create_run(
                make_run(run_id=one, mob="other", status="failed", completed_at=ended)
            )
        await claim(stores, HELD, "w-1", 3600)
        await claim(stores, EXPIRED, "w-2", 1e-6)
        put_off = await claim(stores, PUT_OFF, "w-3", 3600)
        await stores.claims.release(put_off, timedelta(days=2))
        await stores.claims.acquire("nightly", "cron", 3600)

    async def claim(stores: MobStores, of: RunId, holder: str, ttl: float) -> Claim:
        made = await stores.claims.acquire(run_claim_name(of), holder, ttl)
        assert made is not None
        return made

    within(url, fill)
    return url


def listed(url: str, *options: str) -> list[RunId]:
    ended = run("runs", url, "--json", *options)
    assert (ended.code, ended.errors) == (0, "")
    return [RunId(UUID(json.loads(line)["run_id"])) for line in ended.out.splitlines()]


def test_queries(url: str) -> None:
    every = [HELD, PUT_OFF, EXPIRED, FREE, OLD, ENDED]
    assert listed(url) == every
    assert listed(url, "--newest") == every[::-1]
    assert listed(url, "--newest", "--limit", "2") == every[:-3:-1]
    assert listed(url, "--limit", "0") == []
    assert listed(url, "--unclaimed") == [PUT_OFF, EXPIRED, FREE]
    assert listed(url, "--unclaimed", "--newest", "--limit", "1") == [FREE]
    assert listed(url, "--since", "2h") == [ENDED]
    assert listed(url, "--since", "2d") == [OLD, ENDED]
    assert listed(url, "--since", "2d", "--newest", "--mob", "other") == [ENDED, OLD]
    assert listed(url, "--since", str(NOW - timedelta(hours=1))) == [ENDED]
    assert listed(url, "--since", "2d", "--status", "completed") == []
    assert listed(url, "--mob", "other", "--flow", "flow", "--status", "failed") == [OLD, ENDED]


def test_pages_are_not_noticed(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'many.db'}"
    ids = [run_id(n) for n in range(1, 201)]

    async def fill(stores: MobStores) -> None:
        for n, one in enumerate(ids):
            ended = NOW if n % 2 else NOW - timedelta(hours=1)
            await stores.runs.create_run(make_run(run_id=one, status="failed", completed_at=ended))

    within(url, fill)

    def found(*options: str) -> list[str]:
        lines = run("runs", url, "--json", *options).out.splitlines()
        return [json.loads(line)["run_id"] for line in lines]

    texts = list(map(str, ids))
    assert found("--newest") == texts[::-1]
    assert found("--limit", "150") == texts[:150]
    assert found("--since", "1d") == [*texts[::2], *texts[1::2]]
    assert found("--since", "1d", "--newest", "--limit", "130") == [
        *texts[1::2][::-1], *texts[::2][::-1],
    ][:130]  # fmt: skip


def test_holders_and_due_times(url: str) -> None:
    lines = map(json.loads, run("runs", url, "--json").out.splitlines())
    shown = {line["run_id"]: line for line in lines}
    assert (shown[str(HELD)]["holder"], shown[str(HELD)]["epoch"]) == ("w-1", 1)
    assert Timestamp(shown[str(HELD)]["due_at"]) > NOW
    assert shown[str(FREE)].keys() & {"holder", "epoch"} == set()
    assert "due_at" in shown[str(FREE)]
    assert shown[str(OLD)].keys() & {"holder", "epoch", "due_at"} == set()
    table = run("runs", url, environment={"COLUMNS": "200"}).out
    rows = {line.split()[0]: line for line in table.splitlines() if " c1" in line}
    in_two_days = str(NOW + timedelta(days=2))[:10]
    assert "w-1" in rows[str(HELD)]
    assert rows[str(PUT_OFF)].count(in_two_days) == 1
    for one in (FREE, ENDED, OLD):
        assert rows[str(one)].rstrip().endswith(" 0"), "neither a holder nor a time"


def test_starts_of_ids(url: str) -> None:
    assert run("run", url, str(HELD)[:-1]).code == 2
    prefix = "c1000000"
    ended = run("run", url, prefix)
    assert ended.code == 2
    assert f"several ids start with {prefix}; give more digits" in ended.errors
    first = sorted(map(str, (HELD, PUT_OFF, EXPIRED, FREE, ENDED, OLD)))
    assert all(one in ended.errors for one in first[:5])
    assert first[5] not in ended.errors
    assert "..." in ended.errors
    whole = json.loads(run("run", url, str(HELD).replace("-", "").upper(), "--json").out)
    assert whole["run_id"] == str(HELD)

    async def add(stores: MobStores) -> None:
        await stores.runs.create_run(make_run(run_id=run_id(0xAB << 120)))

    within(url, add)
    assert json.loads(run("run", url, "a", "--json").out)["run_id"].startswith("ab")
    ended = run("run", url, "b")
    assert (ended.code, ended.errors) == (1, "Error: Not found: run not found: b\n")
    for wrong in ("x", "c1-", "c1934f18-aaaab"):
        ended = run("run", url, wrong)
        assert ended.code == 2
        assert "give its first hex digits, such as c1934f18" in ended.errors


def test_claims(url: str) -> None:
    lines = run("claims", url, "--json").out.splitlines()
    found = [Claim.from_json(line) for line in lines]
    assert [claim.holder for claim in found] == ["cron", "w-1", "w-2"]
    assert [claim.name for claim in found] == ["nightly", f"run/{HELD}", f"run/{EXPIRED}"]
    table = run("claims", url).out
    for part in ("nightly", "cron", f"run/{HELD}", "expired", "held"):
        assert part in table
    shown = run("claims", url, "--expired", "--json").out
    assert [Claim.from_json(line).holder for line in shown.splitlines()] == ["w-2"]
    shown = run("claims", url, "--prefix", "run/", "--json").out
    assert len(shown.splitlines()) == 2


def test_release(url: str) -> None:
    name = f"run/{HELD}"

    async def held(stores: MobStores) -> Claim | None:
        return await stores.claims.get(name)

    before = within(url, held)
    assert before is not None
    ended = run("claims", url, "--release", name)
    assert (ended.code, ended.errors) == (0, "")
    assert ended.out == f"released claim {name} of w-1, epoch 1\n"
    assert within(url, held) is None
    ended = run("claims", url, "--release", name)
    assert (ended.code, ended.out) == (0, f"{name} was not held; it can be acquired now\n")
    ended = run("claims", url, "--release", "x")
    assert (ended.code, ended.errors) == (1, "Error: Not found: there is no claim x\n")
    assert run("claims", url, "--release", "nightly", "--json").out.startswith('{"name":"nightly"')
    ended = run("claims", url, "--release", "x", "--expired")
    assert ended.code == 2
    assert "leave out --prefix and --expired" in ended.errors

    async def fenced(stores: MobStores) -> None:
        with pytest.raises(mobstore.ClaimLostError):
            await stores.claims.renew(before)

    within(url, fenced)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--since", "soon"), "neither a duration"),
        (("--limit", "-1"), "--limit"),
        (("--flow", "f"), "--flow requires --mob"),
    ],
)
def test_wrong_options(url: str, options: tuple[str, ...], message: str) -> None:
    ended = run("runs", url, *options)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.errors


def test_a_holder_cannot_write_on_the_terminal(url: str) -> None:
    async def claim(stores: MobStores) -> None:
        await stores.claims.acquire("a\x1b[2Jb", "c\x07d\u202e", 60)

    within(url, claim)
    for options in ((), ("--json",), ("--release", "a\x1b[2Jb")):
        ended = run("claims", url, *options)
        assert ended.code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(ended.out)
