"""Claims in lists and details of runs, and the view of workers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from mobstore import MobId, MobReset, NewMobEvent, RunId, run_claim_name
from mobstore.testing import samples
from support.pages import Page

IDS = [RunId(UUID(int=number)) for number in range(1, 7)]


@pytest.fixture
def runs(page: Page) -> Page:
    """An inspector of six runs: 1 free, 2 held, 3 put off, 4 expired, 5 ended, 6 of a flow."""
    for number, run_id in enumerate(IDS, 1):
        status = "completed" if number == 5 else "running"
        flow = "other" if number == 6 else "flow"
        run = samples.make_run(run_id=run_id, mob_id="m", flow_id=flow, status=status)
        page.run(page.stores.runs.create_run(run))
    claims = page.stores.claims
    for number, ttl in ((2, 60), (3, 60), (4, 0.001)):
        claim = page.run(claims.acquire(run_claim_name(IDS[number - 1]), f"worker-{number}", ttl))
        assert claim is not None
        if number == 3:
            page.run(claims.release(claim, timedelta(hours=1)))
    page.run(asyncio.sleep(0.01))  # the claim on run 4 expires
    return page


def shown(page: Page, **of: Any) -> list[int]:
    """List the runs in the order of the list, read in pages of two."""
    found: list[int] = []
    after = None
    while True:
        answer = page.ask("runs", mob_id="m", limit=2, after=after, **of)
        found += [UUID(run["run_id"]).int for run in answer["runs"]]
        after = answer["next_after"]
        if after is None:
            assert answer["total"] == len(found)
            return found


def test_a_header_has_the_claim(runs: Page) -> None:
    headers = runs.ask("runs", mob_id="m")["runs"]
    claims = {UUID(run["run_id"]).int: run["claim"] for run in headers}
    assert [claims[number] for number in (1, 5, 6)] == [None] * 3
    states = [(claims[n]["state"], claims[n]["holder"], claims[n]["epoch"]) for n in (2, 3, 4)]
    assert states == [("held", "worker-2", "1"), ("put_off", "", "2"), ("expired", "worker-4", "3")]
    held = runs.run(runs.stores.claims.get(run_claim_name(IDS[1])))
    assert held is not None
    assert claims[2]["due_at"] == str(held.expires_at)
    for number, claim in claims.items():
        run_id = str(IDS[number - 1])
        assert runs.ask("run", run_id=run_id)["header"]["claim"] == claim


def test_unclaimed_runs_are_those_of_the_store(runs: Page) -> None:
    polled = runs.run(runs.stores.runs.run_headers("m", unclaimed=True, newest_first=True))
    assert shown(runs, unclaimed=True) == [run.run_id.int for run in polled] == [6, 4, 3, 1]
    assert shown(runs, unclaimed=True, flow_id="other") == [6]
    assert shown(runs, unclaimed=True, status="running", flow_id="flow") == [4, 3, 1]
    assert shown(runs, unclaimed=True, status="completed") == []
    assert shown(runs) == [6, 5, 4, 3, 2, 1]


def test_runs_are_counted_by_status(runs: Page) -> None:
    none = dict.fromkeys(("pending", "failed", "canceled"), 0)
    for of, running, completed in [
        ({}, 5, 1),
        ({"status": "completed"}, 5, 1),
        ({"flow_id": "other"}, 1, 0),
    ]:
        statuses = runs.ask("runs", mob_id="m", **of)["statuses"]
        assert statuses == {"running": running, "completed": completed, **none}


def test_workers(runs: Page) -> None:
    claim = runs.run(runs.stores.claims.acquire("nightly", "cron-1", 60))
    assert claim is not None
    events = runs.stores.events
    runs.run(events.append_batch([NewMobEvent(mob_id=MobId("m"), kind=MobReset())] * 5))

    async def follow() -> None:
        async with events.follow("projector", most=2) as batches:
            async for batch in batches:
                await batch.done()
                return

    runs.run(follow())
    found = runs.ask("workers")
    assert [(one["name"], one["run_id"], one["claim"]["state"]) for one in found["claims"]] == [
        ("nightly", None, "held"),
        (run_claim_name(IDS[1]), str(IDS[1]), "held"),
        (run_claim_name(IDS[3]), str(IDS[3]), "expired"),
    ]
    (consumer,) = found["consumers"]
    assert (consumer["name"], consumer["cursor"], consumer["behind"]) == ("projector", 2, 3)
    assert (found["claims_left_out"], found["consumers_left_out"]) == (0, 0)


def test_only_some_workers_are_listed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.claims._MOST", 2)
    for number in range(5):
        page.run(page.stores.claims.acquire(f"c{number}", "w", 60))
    found = page.ask("workers")
    assert [one["name"] for one in found["claims"]] == ["c0", "c1"]
    assert found["claims_left_out"] == 3
