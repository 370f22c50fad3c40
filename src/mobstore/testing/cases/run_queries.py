"""Cases of queries of runs: newest first, by end, unclaimed ones, counts, and starts of ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations, product
from typing import Any, cast, get_args
from uuid import UUID

from mobstore.errors import NotFoundError, SerializationError, UsageError
from mobstore.model.ids import RunId
from mobstore.model.run import MobRun, MobRunStatus, RunHeader, is_terminal
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import RUN_EXTRAS, RunExtraRow
from mobstore.scripts.transaction import Add, Put
from mobstore.stores.claims import run_claim_name
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.stores.run_reader import RunColumn
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import make_run, run_id, timestamp
from mobstore.testing.scripts import write_script
from mobstore.testing.subject import Subject

_STATUSES: tuple[MobRunStatus, ...] = get_args(MobRunStatus)
_PLACES = ((None, None), ("m0", None), ("m1", "f0"), ("m2", None))


def _runs() -> list[MobRun]:
    """Return runs of all mobs, flows and statuses; many ended at the same time, some at none."""
    made: list[MobRun] = []
    for n in range(60):
        status = _STATUSES[n * 7 % 5]
        if n < 20 or n > 45:  # many of one status between few of another
            status = "pending" if n % 5 else "running"
        time = timestamp(n // 9 if status == "completed" else n * 7 % 60)
        ended = time if is_terminal(status) and n % 13 else None
        flow, mob = f"f{n // 2 % 2}", f"m{n % 2}"
        # Numbers of ids are in no order.
        made.append(make_run(n * 37 % 61, mob, flow, status=status, completed_at=ended))
    return made


async def _filled(subject: Subject) -> tuple[MobStores, list[MobRun]]:
    stores = await subject.open()
    return stores, await _fill(stores)


async def _fill(stores: MobStores) -> list[MobRun]:
    runs = _runs()

    async def create(at: Stores) -> None:
        for run in runs:
            await at.runs.create_run(run)

    await stores.atomic(create)
    return runs


async def _check(stores: MobStores, runs: Sequence[MobRun], what: str, **selection: Any) -> None:
    """Check a selection of all mobs, flows and statuses, as a whole and in pages."""
    for (mob, flow), status in product(_PLACES, (None, *_STATUSES)):
        want = [
            run.run_id
            for run in runs
            if mob in {None, run.mob_id}
            and flow in {None, run.flow_id}
            and status in {None, run.status}
        ]
        call: Callable[..., Any] = partial(stores.runs.run_headers, mob, flow, status=status)
        where = f"{what}: {mob}, {flow}, {status}"
        same(_ids(await call(**selection)), want, where)
        same(_ids(await call(limit=0, **selection)), [], f"none of {where}")
        got: list[RunId] = []
        after: RunId | None = None
        while page := _ids(await call(limit=7, after=after, **selection)):
            got += page
            after = page[-1]
        same(got, want, f"{where}, in pages")


def _ids(headers: Sequence[RunHeader]) -> list[RunId]:
    return [header.run_id for header in headers]


@case("runs.headers.newest-first")
async def newest_first(subject: Subject) -> None:
    """Newest first, headers come in the reverse order of creation, and pages continue in it."""
    stores, runs = await _filled(subject)
    await _check(stores, runs, "oldest first")
    await _check(stores, runs[::-1], "newest first", newest_first=True)
    call = stores.runs.run_headers(after=run_id(99), newest_first=True)
    await expect_error(NotFoundError, call, "after a missing run")


@case("runs.headers.ended-since")
async def ended_since(subject: Subject) -> None:
    """Runs that ended since a time, including it, come in the order of their end."""
    stores, runs = await _filled(subject)
    for since in (-1, 0, 3, 20, 60):
        ended = [run for run in runs if run.completed_at and run.completed_at >= timestamp(since)]
        ended.sort(key=_end)
        what = f"since {since}"
        await _check(stores, ended, what, ended_since=timestamp(since))
        await _check(
            stores, ended[::-1], f"{what}, newest first", ended_since=timestamp(since),
            newest_first=True,
        )  # fmt: skip
    ended = sorted((run for run in runs if run.completed_at), key=_end)
    first, last, four = ended[0].run_id, ended[-1].run_id, timestamp(4)
    call = stores.runs.run_headers(ended_since=four, after=first)
    whole = await stores.runs.run_headers(ended_since=four)
    same(await call, whole, "after a run that ended before")
    call = stores.runs.run_headers(ended_since=four, after=first, newest_first=True)
    same(await call, [], "before a run that ended before")
    call = stores.runs.run_headers(ended_since=four, after=last)
    same(await call, [], "after the last run")
    same(await stores.runs.run_headers(ended_since=four, unclaimed=True), [], "unclaimed runs")
    unfinished = next(run.run_id for run in runs if not is_terminal(run.status))
    for unclaimed in (False, True):
        call = stores.runs.run_headers(ended_since=four, after=unfinished, unclaimed=unclaimed)
        await expect_error(UsageError, call, "after a run that has not ended")
    call = stores.runs.run_headers(ended_since=four, after=run_id(99))
    await expect_error(NotFoundError, call, "after a missing run")
    naive = cast("Timestamp", timestamp(0).to_datetime().replace(tzinfo=None))
    await expect_error(UsageError, stores.runs.run_headers(ended_since=naive), "a naive datetime")


def _end(run: MobRun) -> Timestamp:
    return cast("Timestamp", run.completed_at)


@case("runs.headers.unclaimed")
async def unclaimed(subject: Subject) -> None:
    """Unclaimed runs have not ended, and were never claimed, or are no longer held."""
    stores, runs = await _filled(subject)
    subject.clock.now = timestamp(0)
    unfinished = [run for run in runs if not is_terminal(run.status)]
    held: set[UUID] = set()
    for n, run in enumerate(unfinished):
        if n % 4 == 3:
            continue
        claim = await stores.claims.acquire(run_claim_name(run.run_id), f"w{n}", 5 + n % 4)
        assert claim is not None, "a run can be claimed"
        if n % 4 == 2:
            await stores.claims.release(claim, timestamp(10**12))  # put off is not held
        else:
            held.add(run.run_id)
    free = [run for run in unfinished if run.run_id not in held]
    assert len(held) > 10 < len(free), "some are held, and some are not"
    await _check(stores, free, "unclaimed", unclaimed=True)
    await _check(stores, free[::-1], "newest first", unclaimed=True, newest_first=True)
    subject.clock.now = timestamp(5 * 10**9)
    free = [run for n, run in enumerate(unfinished) if run in free or n % 4 == 0]
    await _check(stores, free, "unclaimed once some claims have expired", unclaimed=True)
    subject.clock.now = timestamp(6 * 10**9)
    await _check(stores, unfinished, "unclaimed once all have expired", unclaimed=True)


@case("runs.counts")
async def counts(subject: Subject) -> None:
    """Runs are counted by any columns in any order, of one mob or all; absent groups are absent."""
    stores = await subject.open()
    same(await stores.runs.counts(), {}, "an empty store")
    runs = await _fill(stores)
    await stores.runs.create_run(odd := make_run(99, "", "\U0001f99d"))
    columns: tuple[RunColumn, ...] = get_args(RunColumn)
    every = [by for n in (1, 2, 3) for by in permutations(columns, n)]
    for by, mob in product(every, (None, "m0", "", "none")):
        of_mob = [run for run in (*runs, odd) if mob in {None, run.mob_id}]
        found = Counter(tuple(str(getattr(run, name)) for name in by) for run in of_mob)
        got = await stores.runs.counts(by, mob_id=mob)
        same(list(got.items()), sorted(found.items()), f"by {by}, of {mob}")
    await stores.runs.delete_run(odd.run_id)
    same(await stores.runs.counts(mob_id=""), {}, "a mob without runs")
    vague: Any = stores.runs.counts
    for wrong in ((), "status", ("status", "status"), ("run_id",), None, (1,), 3):
        await expect_error(UsageError, vague(wrong), f"columns {wrong!r}")


@case("runs.find-ids")
async def finds_ids(subject: Subject) -> None:
    """Ids are found by their first digits, in any case, with or without hyphens, in order."""
    runs = (await subject.open()).runs
    texts = [
        "c1934f18-2222-4333-8444-555566667777",
        "c1934f18-2222-4333-8444-555566667778",
        "c1934f19-2222-4333-8444-555566667777",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ]
    ids = [UUID(text) for text in texts]
    for one in ids[::-1]:
        await runs.create_run(make_run(run_id=one))
    for prefix, want in [
        ("c", [0, 1]), ("C1934F1", [0, 1]), ("c1934f19", [2]), ("c1934f18", [0, 1]),
        ("c1934f18-", [0, 1]), ("c1934f18-2", [0, 1]), ("c1934f182", [0, 1]),
        ("C1934f18222243338444555566667777", [0]), (texts[1], [1]), (texts[1][:-1], [0, 1]),
        ("c1934f18-2222-4333-8444-", [0, 1]), ("d", []), ("c1934f17", []), ("f", [4]),
        (texts[1][:-1] + "9", []), ("", [3, 0]), ("0" * 32, [3]), ("f" * 31, [4]),
    ]:  # fmt: skip
        same(await runs.find_run_ids(prefix), [ids[n] for n in want], f"ids with {prefix!r}")
    every = [ids[n] for n in (3, 0, 1, 2, 4)]
    same(await runs.find_run_ids("", limit=9), every, "all ids")
    same(await runs.find_run_ids("c", limit=0), [], "none")
    same(await runs.find_run_ids(texts[0], limit=0), [], "none of one")
    vague: Any = runs.find_run_ids
    for wrong in ("g", "c1934f182-", "c19-34f18", "-", "c1934f18--", "0" * 33, " c", None, 1):
        await expect_error(UsageError, vague(wrong), f"the prefix {wrong!r}")


@case("runs.extra")
async def keeps_extras(subject: Subject) -> None:
    """Further keys of an imported run stay as they are while it changes, and go with it."""
    stores = await subject.open()
    run, other = make_run(1), make_run(2)
    for one in (run, other):
        await stores.runs.create_run(one)
    same(await stores.runs.get_run_extra(run.run_id), None, "of a run that was created")
    same(await stores.runs.get_run_extra(run_id(9)), None, "of a run that does not exist")
    extra = '{"z":{"b":[1.0,null],"a":"\\u0000\U0001f99d"},"failure_ledger":{"0":{"error":"e"}}}'
    rows = [RunExtraRow(str(one.run_id), extra) for one in (run, other)]
    await stores.engine.write(write_script(Add(RUN_EXTRAS, rows)))
    want: object = json.loads(extra)
    same(await stores.runs.get_run_extra(str(run.run_id)), want, "as it was added")
    await stores.runs.cas_run_status(run.run_id, expected=run.status, next="completed")
    same(await stores.runs.get_run_extra(run.run_id), want, "of a run that has changed")
    assert await stores.runs.delete_run(run.run_id), "the run is deleted"
    same(await stores.runs.get_run_extra(run.run_id), None, "of a run that was deleted")
    same(await stores.runs.get_run_extra(other.run_id), want, "of another run")
    await stores.engine.write(write_script(Put(RUN_EXTRAS, (rows[1]._replace(extra="[]"),))))
    said = await expect_error(
        SerializationError, stores.runs.get_run_extra(other.run_id), "corrupt"
    )
    assert str(other.run_id) in said.detail, f"the error names the run: {said}"
