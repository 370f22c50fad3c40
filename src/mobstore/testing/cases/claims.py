"""Cases of claims on names and on runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from mobstore.errors import ClaimLostError, NotFoundError, SerializationError, UsageError
from mobstore.model.claim import Claim
from mobstore.model.timestamp import Timestamp
from mobstore.stores.claims import run_claim_name
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import (
    BY_CODE_POINT,
    HOSTILE_TEXTS,
    event,
    make_run,
    run_id,
    timestamp,
)
from mobstore.testing.subject import Subject

TTL = 60
MINUTE = timedelta(seconds=TTL)
MICROSECOND = timedelta(microseconds=1)
FAR = Timestamp("+10000-01-01T00:00:00Z")


async def acquired(stores: Stores[bool], name: str, holder: str = "ann", ttl: float = TTL) -> Claim:
    """Acquire a claim that must be free."""
    claim = await stores.claims.acquire(name, holder, ttl)
    assert claim is not None, f"{name[:80]!r} can be acquired"
    return claim


@case("claims.acquire")
async def acquires(subject: Subject) -> None:
    """A free name can be acquired, and while it is held, by no holder; names are independent."""
    stores = await subject.open()
    claim = await acquired(stores, "name")
    want = Claim(name="name", holder="ann", epoch=1, expires_at=timestamp(0) + MINUTE, ttl=60.0)
    same(claim, want, "the claim")
    same((await acquired(stores, "other", ttl=0.5)).ttl, 0.5, "a fraction of a second")
    for holder in ("bob", "ann"):
        same(await stores.claims.acquire("name", holder, MINUTE), None, f"a held name for {holder}")
    names = [name for name in HOSTILE_TEXTS if name]
    for name in names:
        same((await acquired(stores, name, name)).name, name, "the claim's name")
    for name in names:
        found = await stores.claims.get(name)
        assert found is not None, f"{name[:80]!r} is held"
        same((found.name, found.holder), (name, name), "the name and the holder")
    call = stores.claims.acquire
    wrong: list[tuple[Any, Any, Any]] = [
        ("", "ann", 1), ("name", "", 1), (b"name", "ann", 1), ("name", None, 1),
        ("run/x", "ann", 1), ("name", "ann", 0), ("name", "ann", -1), ("name", "ann", True),
        ("name", "ann", float("nan")), ("name", "ann", float("inf")), ("name", "ann", "1"),
        ("name", "ann", timedelta(0)), ("name", "ann", timedelta(days=99_999)),
    ]  # fmt: skip
    for arguments in wrong:
        await expect_error(UsageError, call(*arguments), f"acquire{arguments}")
    await expect_error(SerializationError, call("\ud800", "ann", 1), "a name with a surrogate")
    await expect_error(SerializationError, call("x" * 65_537, "ann", 1), "a name that is too long")


@case("claims.one-holder")
async def has_one_holder(subject: Subject) -> None:
    """Of several tasks that acquire one name, exactly one gets it."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        for turn in range(3):
            got = await asyncio.gather(
                *(stores.claims.acquire(name, f"w-{n}", TTL) for n in range(10))
            )
            claims = [claim for claim in got if claim is not None]
            same(len(claims), 1, f"holders of {name}, turn {turn}")
            same(await stores.claims.get(name), claims[0], "the claim in the store")
            same(await stores.claims.release(claims[0]), True, "its release")


@case("claims.epochs")
async def epochs_grow(subject: Subject) -> None:
    """Each change of holder has a higher epoch than all before, over all names and runs."""
    stores = await subject.open()
    run = run_claim_name(run_id(1))
    epochs: list[int] = []

    async def acquire(name: str) -> Claim:
        claim = await acquired(stores, name, f"w-{len(epochs)}")
        epochs.append(claim.epoch)
        return claim

    await stores.runs.create_run(make_run())
    for name in ("name", run):
        first = await acquire(name)
        same((await stores.claims.renew(first)).epoch, first.epoch, "the epoch after renewing")
        await stores.claims.release(first)
        await acquire(name)  # after a release
        subject.clock.now += MINUTE
        last = await acquire(name)  # after it expired
        await stores.claims.release(last, timedelta(0))
        await acquire(name)
    await acquire("another")
    await stores.events.clear()
    await acquire("after the log was cleared")
    await stores.runs.delete_run(run_id(1))
    await stores.runs.create_run(make_run())
    same((await _header(stores)).epoch, 0, "the epoch of a new run")
    await acquire(run)
    same(epochs, [*range(1, len(epochs) + 1)], "the epochs")
    same((await _header(stores)).epoch, epochs[-1], "the epoch in the header")


@case("claims.expiry")
async def expires(subject: Subject) -> None:
    """A claim expires at its time, not a microsecond before; until acquired, it is its holder's."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        claim = await acquired(stores, name)
        start = subject.clock.now
        subject.clock.now = start + MINUTE - MICROSECOND
        same(await stores.claims.acquire(name, "bob", TTL), None, "a microsecond before")
        subject.clock.now = start + MINUTE
        same(await stores.claims.get(name), claim, "the expired claim")
        await stores.claims.hold(claim)
        taken = await acquired(stores, name, "bob")
        same((taken.holder, taken.expires_at), ("bob", start + MINUTE * 2), "the next claim")
        await expect_error(ClaimLostError, stores.claims.hold(claim), "the former one")
        same(await stores.claims.get(name), taken, "the claim in the store")


@case("claims.clock")
async def survives_clocks_that_are_set(subject: Subject) -> None:
    """If the clock is set back, claims last longer; if set forward, they expire; epochs grow."""
    stores = await subject.open()
    first = await acquired(stores, "name")
    subject.clock.now += -MINUTE * 60
    same(await stores.claims.acquire("name", "bob", TTL), None, "an hour back: a held name")
    await stores.claims.hold(first)
    renewed = await stores.claims.renew(first)
    same(renewed.expires_at, subject.clock.now + MINUTE, "the expiry by the clock")
    subject.clock.now += MINUTE
    second = await acquired(stores, "name", "bob")
    subject.clock.now += MINUTE * 600
    third = await acquired(stores, "name", "ann")
    same([second.epoch, third.epoch], [2, 3], "the epochs")
    for lost in (first, renewed, second):
        await expect_error(ClaimLostError, stores.claims.renew(lost), "a former claim")
    subject.clock.now = Timestamp("0001-01-01T00:00:00Z")
    same((await stores.claims.renew(third)).epoch, 3, "the epoch long ago")


async def _header(stores: MobStores, n: int = 1) -> Any:
    header = await stores.runs.get_run_header(run_id(n))
    assert header is not None, "the run is there"
    return header


def _in_header(header: Any) -> tuple[str | None, int, Timestamp | None]:
    return header.holder, header.epoch, header.due_at


@case("claims.run")
async def claims_runs(subject: Subject) -> None:
    """A run is claimed by the name of its claim until it ends; its header shows the claim."""
    stores = await subject.open()
    name = run_claim_name(run_id(1))
    same(name, f"run/{UUID(int=1)}", "the name")
    await expect_error(NotFoundError, stores.claims.acquire(name, "ann", TTL), "a missing run")
    same(await stores.claims.get(name), None, "the claim of a missing run")
    await stores.runs.create_run(make_run())
    same(_in_header(await _header(stores)), (None, 0, timestamp(0)), "the header at first")
    claim = await acquired(stores, name.upper().replace("RUN", "run"))
    same((claim.name, claim.run_id), (name, run_id(1)), "the name and the run")
    want = ("ann", 1, timestamp(0) + MINUTE)
    same(_in_header(await _header(stores)), want, "the header of a held run")
    same(_in_header((await stores.runs.run_headers())[0]), want, "the header in a list")
    await stores.claims.release(claim)
    same(_in_header(await _header(stores)), (None, 1, timestamp(0)), "the header after a release")
    claim = await acquired(stores, name)
    await stores.runs.cas_run_status(run_id(1), expected="pending", next="completed")
    await stores.claims.hold(claim)
    same(await stores.claims.get(name), claim, "the claim on a run that has ended")
    subject.clock.now += MINUTE * 2
    same(await stores.claims.acquire(name, "bob", TTL), None, "an ended run")
    same(await stores.claims.release(claim, timedelta(1)), True, "its release")
    same(await stores.claims.get(name), None, "the claim after its release")
    same(_in_header(await _header(stores)), (None, 0, None), "the header of an ended run")
    same(await stores.claims.acquire(name, "bob", TTL), None, "an ended run that is not held")
    await stores.runs.create_run(make_run(2))
    claim = await acquired(stores, run_claim_name(run_id(2)))
    await stores.runs.delete_run(run_id(2))
    await expect_error(ClaimLostError, stores.claims.hold(claim), "the claim on a removed run")
    await stores.runs.create_run(make_run(2))
    await expect_error(ClaimLostError, stores.claims.renew(claim), "a run created again")
    same(await stores.claims.release(claim), False, "its release")


@case("claims.renew")
async def renews(subject: Subject) -> None:
    """Renewing sets the expiry from now on, also of an expired claim that is not acquired yet."""
    stores = await subject.open()
    claim = await acquired(stores, "name")
    subject.clock.now += MINUTE / 2
    renewed = await stores.claims.renew(claim)
    later = subject.clock.now + MINUTE
    same(renewed, claim.model_copy(update={"expires_at": later}), "the renewed claim")
    subject.clock.now += MINUTE * 5
    longer = await stores.claims.renew(claim, MINUTE * 2)
    same((longer.ttl, longer.expires_at), (120.0, subject.clock.now + MINUTE * 2), "a longer one")
    again = await stores.claims.renew(claim)
    same((again.ttl, again.expires_at), (120.0, longer.expires_at), "as long as before")
    same(await stores.claims.get("name"), again, "the claim in the store")
    shorter = await stores.claims.renew(again, 1)
    same(shorter.expires_at, subject.clock.now + timedelta(seconds=1), "a shorter one")
    for ttl in cast("list[Any]", [0, -1, "1", True]):
        await expect_error(UsageError, stores.claims.renew(claim, ttl), f"a ttl of {ttl!r}")
    await expect_error(UsageError, stores.claims.renew(cast("Any", "name")), "a name as a claim")


@case("claims.lost")
async def loses_claims(subject: Subject) -> None:
    """A claim is lost after its release and once acquired again, even by the same holder."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        released = await acquired(stores, name)
        await stores.claims.release(released)
        error = await expect_error(ClaimLostError, stores.claims.renew(released), "a released one")
        same(
            (error.name, error.holder, error.epoch),
            (name, "ann", released.epoch),
            "the error's attributes",
        )
        assert "released" in error.detail, "the error says why"
        expired = await acquired(stores, name)
        subject.clock.now += MINUTE
        last = await acquired(stores, name)
        for lost in (released, expired):
            error = await expect_error(ClaimLostError, stores.claims.renew(lost), "a lost claim")
            assert f"ann holds it, epoch {last.epoch}" in error.detail, "the error says why"
        same(await stores.claims.get(name), last, "the claim in the store")
    await stores.runs.create_run(make_run(2))
    for name in ("free", run_claim_name(run_id(2))):
        claim = Claim(name=name, holder="", epoch=0, expires_at=timestamp(0), ttl=1.0)
        await expect_error(ClaimLostError, stores.claims.hold(claim), "a claim without a holder")
        same(await stores.claims.release(claim), False, "its release")


@case("claims.get")
async def gets(subject: Subject) -> None:
    """The claim on a name can be read while it is held, also after it expired."""
    stores = await subject.open()
    same(await stores.claims.get("name"), None, "a free name")
    claim = await acquired(stores, "name")
    subject.clock.now += MINUTE * 9
    same(await stores.claims.get("name"), claim, "an expired claim")
    same(await stores.claims.get("nam"), None, "another name")
    await stores.runs.create_run(make_run())
    same(await stores.claims.get(run_claim_name(run_id(1))), None, "a run that is not held")
    await expect_error(UsageError, stores.claims.get("run/x"), "a name that is no run's")
    await expect_error(UsageError, stores.claims.get(""), "an empty name")


@case("claims.list")
async def lists(subject: Subject) -> None:
    """Claims are listed by name, by a prefix, and whether they have expired."""
    stores = await subject.open()
    names = [name for name in BY_CODE_POINT if name]
    for name in reversed(names):
        await acquired(stores, name, ttl=TTL if name in {"ab", "\uffff"} else TTL * 2)
    for n in (3, 1, 2):
        await stores.runs.create_run(make_run(n))
        await acquired(stores, run_claim_name(run_id(n)), ttl=TTL * n)
    await stores.claims.release(await acquired(stores, "released"), MINUTE)
    runs = [run_claim_name(run_id(n)) for n in (1, 2, 3)]

    async def listed(**options: Any) -> list[str]:
        return [claim.name for claim in await stores.claims.list(**options)]

    same(await listed(), sorted(names + runs), "all")
    same(await listed(prefix="run/"), runs, "those of runs")
    same(await listed(prefix="a"), ["a", "a\0", "a\0b", "ab"], "a prefix")
    for prefix in (*names, "aa", "z", "r", "run", f"{runs[0][:-1]}"):
        want = [name for name in sorted(names + runs) if name.startswith(prefix)]
        same(await listed(prefix=prefix), want, f"those that start with {prefix!r}")
    same(await listed(expired=True), [], "expired ones at first")
    subject.clock.now += MINUTE
    same(await listed(expired=True), sorted(["ab", "\uffff", runs[0]]), "expired ones")
    same(await listed(expired=False, prefix="run/"), runs[1:], "others of runs")
    same(len(await listed()), len(names + runs), "both")
    same((await stores.claims.list(prefix="ab"))[0], await stores.claims.get("ab"), "a claim")
    for options in cast("list[dict[str, Any]]", [{"prefix": 1}, {"expired": 1}]):
        await expect_error(UsageError, stores.claims.list(**options), f"list({options})")


@case("claims.fence")
async def fences(subject: Subject) -> None:
    """An atomic call with a claim, or that holds one, keeps nothing once the claim is lost."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    calls: list[str] = []

    async def append(at: Stores) -> int:
        calls.append("called")
        return (await at.events.append(event())).cursor

    for cursor, name in enumerate(("name", run_claim_name(run_id(1)))):
        claim = await acquired(stores, name)

        async def held(at: Stores, claim: Claim = claim) -> int:
            appended = await append(at)
            await at.claims.hold(claim)
            return appended

        subject.clock.now += MINUTE * 9
        same(await stores.atomic(append, claim=claim), 2 * cursor + 1, "an expired claim: cursor")
        same(await stores.atomic(held), 2 * cursor + 2, "one that is held within: cursor")
        await acquired(stores, name, "bob")
        calls.clear()
        error = await expect_error(
            ClaimLostError, stores.atomic(append, claim=claim), "a call of the former holder"
        )
        same((error.name, error.epoch), (name, claim.epoch), "the lost claim")
        same(calls, [], "calls of the function")
        await expect_error(ClaimLostError, stores.atomic(held), "a lost claim within")

        async def catches(at: Stores, claim: Claim = claim) -> str:
            try:
                await at.claims.hold(claim)
            except ClaimLostError:
                return "lost"
            return "held"

        same(await stores.atomic(catches), "lost", "an error that is caught")
        same(await stores.events.latest_cursor(), 2 * cursor + 2, "the log")
    await expect_error(UsageError, stores.atomic(append, claim=cast("Any", 1)), "no claim")
