"""Workers that race for runs, and what must be true of all that they have stored.

Every write of a worker is fenced by its claim, and comes with an event that names the claim. The
log's order is that of the commits, so it shows who held a run when. This runs in processes and in
tabs alike, and does not import pytest.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    contextmanager,
    nullcontext,
)
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias, cast
from unittest.mock import patch

import mobstore
from mobstore import ClaimLostError, MobStores, RunClaim, Stores
from mobstore.operations import claims
from mobstore.operations.claims import Work
from mobstore.scripts.tables import RunClaimRow
from mobstore.scripts.transaction import Commit, Script
from mobstore.testing.samples import make_run, run_id, step, tag_of, tagged_event

RUNS = 100
STEPS = [f"s{n}" for n in range(3)]
MOST = 3  # runs of a worker at a time
LONGEST_STEP = 0.12  # seconds

Note: TypeAlias = Callable[[dict[str, Any]], None]
"""Keeps a fact, any JSON, even if the worker is killed right afterwards."""


class Write(NamedTuple):
    """An event: a write by the holder of a claim.

    Attributes:
        run: number of the run.
        step: which one; "end" for the last write.
        holder: who wrote.
        epoch: of the claim.
        acquired: when the claim was made, as sortable text.
        expires: when it would expire, as of this commit.
    """

    run: int
    step: str
    holder: str
    epoch: int
    acquired: str
    expires: str


# Workers ---------------------------------------------------------------------------------------


async def create_runs(stores: MobStores, ttl: float) -> None:
    """Create the runs one by one, so slowly that expired claims find a worker soon."""
    for n in range(1, RUNS + 1):
        await stores.runs.create_run(make_run(n, status="pending"))
        await asyncio.sleep(ttl / 15)


class Worker:
    """A worker that executes runs until all have ended.

    Args:
        stores: the stores.
        name: of the holder.
        ttl: seconds.
        note: keeps what is claimed, lost and acknowledged.
        naps: how many runs there are for each on which a worker naps: it does not keep the claim,
            and blocks its event loop beyond the ttl before a write that only the fence refuses.
            0: there are none.
    """

    def __init__(
        self,
        stores: MobStores,
        name: str,
        ttl: float,
        note: Note,
        *,
        naps: int,
    ) -> None:
        self._stores, self._name, self._ttl, self._note = stores, name, ttl, note
        self._naps, self._chance = naps, random.Random(name)

    async def work(self) -> None:
        claiming = self._stores.runs.claims(self._name, ttl=self._ttl, most=MOST)
        async with claiming, asyncio.TaskGroup() as group:

            async def end() -> None:
                await self._wait_for_end()
                await claiming.aclose()

            group.create_task(end())
            async for claim in claiming:
                group.create_task(self._execute(claim))

    async def _wait_for_end(self) -> None:
        ended = 0
        async with self._stores.events.subscribe() as events:
            while ended < RUNS:
                ended += _write_of(tag_of((await anext(events)).kind)).step == "end"

    async def _execute(self, claim: RunClaim) -> None:
        self._note({"claimed": self._write(claim, "", "")})
        new = claim.run.status == "pending"
        naps = new and self._naps > 0 and claim.run.run_id.int % self._naps == 0
        kept: AbstractAsyncContextManager[object]
        kept = nullcontext() if naps else self._stores.claims.keep(claim)
        try:
            async with kept:
                await self._complete(claim, naps)
        except ClaimLostError:
            self._note({"lost": claim.epoch})

    async def _complete(self, claim: RunClaim, naps: bool) -> None:
        entries = await self._stores.runs.step_entries(claim.run.run_id)
        done = {entry.step_id for entry in entries}
        for name in (*STEPS, "end"):
            await asyncio.sleep(self._chance.uniform(0, LONGEST_STEP))
            if naps and name == STEPS[1]:
                time.sleep(self._ttl * 1.5)  # noqa: ASYNC251 - as a frozen tab
            if name not in done:
                write = await self._stores.atomic(partial(self._step, claim, name), claim=claim)
                self._note({"written": write})

    async def _step(self, claim: RunClaim, name: str, at: Stores) -> Write:
        run = claim.run.run_id
        held = await at.claims.get(claim.name)
        write = self._write(claim, name, held.expires_at.sortable if held else "")
        if name == STEPS[0] and claim.run.status == "pending":
            await at.runs.cas_run_status(run, expected="pending", next="running")
        if name == "end":
            await at.runs.cas_run_status(run, expected="running", next="completed")
            await at.claims.release(claim)
        else:
            await at.runs.append_step_entry(run, step(name, claim.holder, "completed"))
        await at.events.append(tagged_event(json.dumps(write)))
        return write

    def _write(self, claim: RunClaim, name: str, expires: str) -> Write:
        acquired = (claim.expires_at - timedelta(seconds=claim.ttl)).sortable
        number = claim.run.run_id.int
        return Write(number, name, claim.holder, claim.epoch, acquired, expires)


def _write_of(tag: str) -> Write:
    return Write(*json.loads(tag))


# What must be true afterwards ------------------------------------------------------------------


async def check(stores: MobStores, notes: Sequence[Mapping[str, Any]]) -> None:
    """Check all that is stored against what the workers noted.

    Raises:
        AssertionError: something is wrong.
    """
    complaints = [note["complaint"] for note in notes if "complaint" in note]
    assert not complaints, f"{len(complaints)} workers failed: {complaints[0]}"
    headers = await stores.runs.run_headers()
    assert {header.run_id for header in headers} == {run_id(n) for n in range(1, RUNS + 1)}
    assert {header.status for header in headers} == {"completed"}, "a run is lost"
    for header in headers:
        entries = await stores.runs.step_entries(header.run_id)
        assert [entry.step_id for entry in entries] == STEPS, "a step is lost, or done twice"

    log = [_write_of(tag_of(event.kind)) for event in await stores.events.replay_all()]
    acknowledged = [Write(*note["written"]) for note in notes if "written" in note]
    assert not set(acknowledged) - set(log), "an acknowledged write is lost"
    claimed = [Write(*note["claimed"]) for note in notes if "claimed" in note]
    of_epoch: dict[int, tuple[int, str]] = {}
    for write in (*log, *claimed):
        tenure = (write.run, write.holder)
        assert of_epoch.setdefault(write.epoch, tenure) == tenure, "an epoch was assigned twice"
    by_run: defaultdict[int, list[Write]] = defaultdict(list)
    for write in log:
        by_run[write.run].append(write)
    for writes in by_run.values():
        _check_order(writes)

    assert await stores.claims.list() == [], "a run that has ended is held"
    assert (await mobstore.verify(stores)).problems == ()
    last = await stores.claims.acquire("last", "test", 60)
    assert last is not None
    assert last.epoch > max(of_epoch), "an epoch would be assigned again"


def _check_order(writes: Sequence[Write]) -> None:
    """Check the writes of one run, in the order of their commits."""
    assert [write.step for write in writes] == [*STEPS, "end"], "a run ended twice, or not at all"
    for one, other in pairwise(writes):
        assert one.epoch <= other.epoch, "a holder wrote after its successor"
        if one.epoch < other.epoch:
            assert one.expires <= other.acquired, "a claim was taken before it expired"


def count(notes: Iterable[Mapping[str, Any]], name: str) -> int:
    """Return how many notes have this name."""
    return sum(name in note for note in notes)


# Variants that are each wrong in one way -------------------------------------------------------


def _no_hold(claim: object) -> Script[None]:  # noqa: ARG001
    return Commit(None)
    yield ()


_take, _put = claims._take, claims._put  # pyright: ignore[reportPrivateUsage]


def _take_in_epoch_1(row: Any, counter: Any, holder: str, now: str, ttl: int) -> Any:
    taken, _ = _take(row, counter, holder, now, ttl)
    taken = taken._replace(epoch=1)
    return taken, (_put(taken),)


def _early(script: Script[Any]) -> Script[Any]:
    """Run a script for which claims expire half a ttl too early."""
    asked = next(script)
    try:
        while True:
            answers = yield asked
            asked = script.send(tuple(_expired(answer) for answer in answers))
    except StopIteration as end:
        return cast("Commit[Any]", end.value)


def _expired(answer: Any) -> Any:
    if isinstance(answer, RunClaimRow) and answer.holder:
        time = mobstore.Timestamp.from_sortable(answer.due_at)
        return answer._replace(due_at=(time - timedelta(microseconds=answer.ttl / 2)).sortable)
    if isinstance(answer, list):
        return [_expired(row) for row in cast("list[Any]", answer)]
    return answer


_claim_next, _pause_of = claims.claim_next, claims.pause_of


def _claim_next_early(work: Work) -> Script[Any]:
    return _early(_claim_next(work))


def _pause_early(work: Work) -> Script[claims.Pause]:
    return _early(_pause_of(work))


def _claim_next_unread(work: Work) -> Script[Any]:
    """Claim the run that was found, without reading it again."""
    script = _claim_next(work)
    answers = yield next(script)
    first = min(
        (row for rows in answers[3:] for row in rows),
        key=lambda row: (row.due_at, row.number),
        default=None,
    )
    try:
        asked = script.send(answers)
        (run,) = yield asked[:1]
        script.send((run, first))
    except StopIteration as end:
        return cast("Commit[Any]", end.value)
    raise AssertionError("the run is not due, and its row does not match it")


NOT_FENCED = (
    r"is (pending|running|completed), not|is not (pending|running), or has ended"
    "|done twice|ended twice|after its successor|before it expired"
)
"""How a race without a fence ends; a write then shows the expiry of the successor's claim."""


@contextmanager
def _early_expiry() -> Generator[None]:
    with (
        patch.object(claims, "claim_next", _claim_next_early),
        patch.object(claims, "pause_of", _pause_early),
    ):
        yield


VARIANTS: Mapping[str, Callable[[], AbstractContextManager[Any]]] = {
    "none": nullcontext,
    "no fence": lambda: patch.object(claims, "hold", _no_hold),
    "one epoch": lambda: patch.object(claims, "_take", _take_in_epoch_1),
    "early expiry": _early_expiry,
    "not read again": lambda: patch.object(claims, "claim_next", _claim_next_unread),
}
