"""Cases of claims that are released, or put off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mobstore.errors import NotFoundError, UsageError
from mobstore.stores.claims import run_claim_name
from mobstore.testing.cases.claims import FAR, MICROSECOND, MINUTE, TTL, acquired
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import make_run, run_id, timestamp
from mobstore.testing.subject import Subject


@case("claims.release")
async def releases(subject: Subject) -> None:
    """A released name is free at once; releasing it again changes nothing."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        claim = await acquired(stores, name)
        same(await stores.claims.release(claim), True, "the first release")
        same(await stores.claims.release(claim), False, "the second one")
        same(await stores.claims.get(name), None, "the claim")
        same(await stores.claims.list(), [], "all claims")
        last = await acquired(stores, name, "bob")
        subject.clock.now += MINUTE * 2
        same(await stores.claims.release(last), True, "the release of an expired claim")


@case("claims.put-off")
async def changes_when_it_is_due(subject: Subject) -> None:
    """A free name can be put off and made due again; one that is held stays as it is."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        same(await stores.claims.put_off(name, FAR), True, "a free name")
        same(await stores.claims.acquire(name, "bob", TTL), None, "a name that is put off")
        same(await stores.claims.put_off(name, MINUTE), True, "a delay")
        same(await stores.claims.acquire(name, "bob", TTL), None, "before the delay has passed")
        same(await stores.claims.put_off(name), True, "at once")
        held = await acquired(stores, name)
        same(await stores.claims.put_off(name, FAR), False, "a name that is held")
        same(await stores.claims.get(name), held, "the claim")
    await stores.runs.cas_run_status(run_id(1), expected="pending", next="failed")
    await stores.claims.release(held)
    same(await stores.claims.put_off(name), False, "a run that has ended")
    await expect_error(
        NotFoundError, stores.claims.put_off(run_claim_name(run_id(2))), "a run that is missing"
    )


@case("claims.release.not-before")
async def puts_off(subject: Subject) -> None:
    """A name that is released until a time, or for a delay, is free from then on."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        start = subject.clock.now
        for not_before in (MINUTE, start + MINUTE * 2, (start + MINUTE * 3).to_datetime()):
            claim = await acquired(stores, name, ttl=TTL * 9)
            same(await stores.claims.release(claim, not_before), True, "the release")
            same(await stores.claims.get(name), None, "the claim")
            subject.clock.now += MINUTE - MICROSECOND
            same(await stores.claims.acquire(name, "bob", TTL), None, "a microsecond before")
            subject.clock.now += MICROSECOND
        claim = await acquired(stores, name)
        await stores.claims.release(claim, timestamp(0))
        await stores.claims.release(await acquired(stores, name), FAR)
        same(await stores.claims.acquire(name, "bob", TTL), None, "a year with five digits")
    wrong: list[Any] = [
        -MINUTE,
        timedelta(days=99_999),
        1,
        "now",
        start.to_datetime().replace(tzinfo=None),
    ]
    claim = await acquired(stores, "another")
    for time in wrong:
        await expect_error(UsageError, stores.claims.release(claim, time), f"{time!r}")
    await stores.claims.hold(claim)


@case("claims.release.by-another")
async def releases_only_its_own(subject: Subject) -> None:
    """A stale holder cannot release a claim that another one has, nor put the name off."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        stale = await acquired(stores, name)
        subject.clock.now += MINUTE
        for holder in ("bob", "ann"):
            held = await acquired(stores, name, holder)
            same(await stores.claims.release(stale), False, "a release by the former holder")
            same(await stores.claims.release(stale, MINUTE), False, "one with a delay")
            same(await stores.claims.get(name), held, "the claim")
            subject.clock.now += MINUTE
