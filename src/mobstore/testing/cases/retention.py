"""Cases of keys of events, and of pruning what no reader needs."""

from __future__ import annotations

from typing import Any, cast

from mobstore.codec.arguments import LONGEST_NAME
from mobstore.errors import ConflictError, SerializationError, UsageError
from mobstore.model.event import FlowStarted, MobCompleted, MobReset
from mobstore.model.event_types import EVENT_TYPES, STRUCTURAL_KINDS
from mobstore.model.ids import FlowId
from mobstore.model.json import I64_MAX
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import CONSUMERS, EVENT_KEYS, ConsumerRow
from mobstore.scripts.transaction import Count, DeleteRange, Put, Scan
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.testing.kinds import every_kind
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, run_id, timestamp
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject

_NOTHING = event("none", at=timestamp(10**9))


async def _cursors(stores: MobStores) -> list[int]:
    return [stored.cursor for stored in await stores.events.replay_all()]


async def _keys(stores: MobStores) -> int:
    return await stores.engine.read(read_script(Count(Scan(EVENT_KEYS))))


async def _move(stores: MobStores, **consumers: int) -> None:
    """Set the positions of named consumers."""
    time = timestamp(0).sortable
    rows = [ConsumerRow(name, cursor, time) for name, cursor in consumers.items()]
    await stores.engine.write(write_script(DeleteRange(Scan(CONSUMERS)), Put(CONSUMERS, rows)))


@case("events.append.key")
async def append_with_a_key(subject: Subject) -> None:
    """An append with a key in use returns the stored event, and writes nothing."""
    stores = await subject.open()
    subject.clock.now = timestamp(1)
    same(await stores.events.get_by_key("k"), None, "a key that was never used")
    first = await stores.events.append(event(), key="k")
    same((first.cursor, first.timestamp), (1, timestamp(1)), "the first event")
    subject.clock.now = timestamp(2)
    same(await stores.events.append(event(), key="k"), first, "the same again")
    again = event(at=timestamp(1))
    same(await stores.events.append(again, key="k"), first, "the same with its time")
    same(await stores.events.get_by_key("k"), first, "the event of the key")
    same(await stores.events.replay_all(), [first], "the log")
    same((await stores.events.append(event(), key="K")).cursor, 2, "another key")
    same((await stores.events.append(event())).cursor, 3, "no key")
    longest = "é" * (LONGEST_NAME // 2)
    long = await stores.events.append(event(), key=longest)
    same(await stores.events.get_by_key(longest), long, "the longest key")
    for kind in every_kind():
        stored = await stores.events.append(event(kind=kind), key=kind.to_json())
        same(await stores.events.append(event(kind=kind), key=kind.to_json()), stored, "any kind")
    swapped: list[Any] = [{"a": 1, "b": [True]}, {"b": [True], "a": 1}]
    one, other = (
        event(kind=FlowStarted(run_id=run_id(1), flow_id=FlowId("f"), params=params))
        for params in swapped
    )
    stored = await stores.events.append(one, key="params")
    same(await stores.events.append(other, key="params"), stored, "free JSON in another order")


@case("events.append.key.conflict")
async def append_with_a_key_of_another_event(subject: Subject) -> None:
    """An append with the key of an event with other content is rejected and writes nothing."""
    stores = await subject.open()
    params: list[Any] = [1, 1.0, True, {"a": 1}, {"a": 1.0}, None]
    kinds = [FlowStarted(run_id=run_id(1), flow_id=FlowId("f"), params=value) for value in params]
    first = await stores.events.append(event(at=timestamp(1), kind=kinds[0]), key="some key")
    others = [
        event(at=timestamp(2), kind=kinds[0]), event("other", at=timestamp(1), kind=kinds[0]),
        event(at=timestamp(1)), *(event(kind=kind) for kind in kinds[1:]),
    ]  # fmt: skip
    for other in others:
        call = stores.events.append(other, key="some key")
        said = await expect_error(ConflictError, call, f"other content: {other}")
        assert "some key" in said.detail, f"the error names the key: {said}"
        assert "event 1," in said.detail, f"the error names the cursor: {said}"
    same(await stores.events.replay_all(), [first], "the log")
    for wrong in ("", 1, b"k", "\ud800", "é" * (LONGEST_NAME // 2) + "x"):
        kind = SerializationError if wrong and isinstance(wrong, str) else UsageError
        key = cast("str", wrong)
        await expect_error(kind, stores.events.append(event(), key=key), f"key {str(wrong)[:9]!r}")
        await expect_error(kind, stores.events.get_by_key(key), "get_by_key")
    same(await _cursors(stores), [1], "cursors in the log")


@case("events.append.key.ends")
async def keys_end(subject: Subject) -> None:
    """A key ends with its event, however the event is removed; then it is free."""
    stores = await subject.open()

    async def fill() -> int:
        for n in range(6):
            await stores.events.append(event(at=timestamp(n)), key=f"{n}")
        return await stores.events.latest_cursor()

    last = await fill()
    same(await stores.events.prune(timestamp(2)), 2, "by time")
    same(await _keys(stores), 4, "keys left after a prune by time")
    same(await stores.events.prune(before_cursor=last - 2), 1, "by cursor")
    same(await _keys(stores), 3, "keys left after a prune by cursor")
    kept = await stores.events.prune(timestamp(5), keep={"mob_reset"}, before_cursor=last)
    same((kept, await _keys(stores)), (2, 1), "keys left after a prune that keeps a type")
    same(await stores.events.get_by_key("4"), None, "a key of a removed event")
    same(await stores.events.get_by_key("5") is None, False, "a key of an event that stayed")
    free = await stores.events.append(event(at=timestamp(4)), key="4")
    same(free.cursor, last + 1, "a key that was removed is free")
    await stores.events.clear()
    same(await _keys(stores), 0, "keys left after clear")
    last = await fill()
    same((last, await _keys(stores)), (13, 6), "all keys are free")


@case("events.append.key.atomic")
async def keys_in_atomic_calls(subject: Subject) -> None:
    """A keyed event in an atomic call shows whether the call was committed, and how."""
    stores = await subject.open()
    made = 0

    async def work(at: Stores) -> int:
        nonlocal made
        known = await at.events.get_by_key("call")
        if known is not None:
            return known.cursor
        made += 1
        await at.events.append(event("made"))
        return (await at.events.append(event(), key="call")).cursor

    async def fails(at: Stores) -> None:
        await at.events.append(event(), key="failed")
        raise LookupError

    async def twice(at: Stores) -> tuple[int, int]:
        one = await at.events.append(event(), key="twice")
        return one.cursor, (await at.events.append(event(), key="twice")).cursor

    async def refused(at: Stores) -> None:
        await at.events.append(event("lost"))
        await at.events.append(event("other"), key="call")

    same(await stores.atomic(work), 2, "the first call")
    same((await stores.atomic(work), made), (2, 1), "the same call again")
    await expect_error(LookupError, stores.atomic(fails), "a function that raises")
    same(await stores.events.get_by_key("failed"), None, "the key of a call that failed")
    same(await stores.atomic(twice), (3, 3), "one key twice in one call")
    await expect_error(ConflictError, stores.atomic(refused), "a key in use")
    same(await _cursors(stores), [1, 2, 3], "the log")


@case("events.prune.before-cursor")
async def prune_before_a_cursor(subject: Subject) -> None:
    """Prune removes the events before a cursor, whatever their times, and with a time both."""
    stores = await subject.open()
    await stores.events.append_batch([event(at=timestamp(n)) for n in (9, 1, 9, 1, 9, 1)])
    same(await stores.events.prune(before_cursor=1), 0, "nothing is before it")
    same(await stores.events.prune(before_cursor=3), 2, "the first two")
    same(await stores.events.prune(timestamp(5), before_cursor=5), 1, "both bounds")
    same(await _cursors(stores), [3, 5, 6], "cursors left")
    same(await stores.events.prune(before_cursor=I64_MAX), 3, "all")
    same((await stores.events.append(event())).cursor, 7, "cursor after it")
    await expect_error(UsageError, stores.events.prune(), "no bound")
    await expect_error(UsageError, stores.events.prune(keep_unseen=True), "no bound either")
    for wrong in (-1, I64_MAX + 1, "1"):
        call = stores.events.prune(before_cursor=cast("int", wrong))
        await expect_error(UsageError, call, f"before_cursor={wrong!r}")
    same(await _cursors(stores), [7], "cursors left")


@case("events.prune.keep")
async def prune_keeps_types(subject: Subject) -> None:
    """Prune removes no event of the types to keep; those of a roster can be kept."""
    stores = await subject.open()
    given = [event(at=timestamp(n % 7), kind=kind) for n, kind in enumerate(every_kind() * 9)]
    appended = await stores.events.append_batch(given)
    gone = await stores.events.prune(timestamp(5), keep=STRUCTURAL_KINDS)
    left = [
        stored
        for stored in appended
        if stored.timestamp >= timestamp(5) or stored.kind.type in STRUCTURAL_KINDS
    ]
    same(await stores.events.replay_all(), left, "the events left")
    same(gone, len(appended) - len(left), "the number removed")
    same(await stores.events.prune(timestamp(5), keep=STRUCTURAL_KINDS), 0, "the same again")
    gone = await stores.events.prune(before_cursor=100, keep="mob_created")
    left = [one for one in left if one.cursor >= 100 or one.kind.type == "mob_created"]
    same(await stores.events.replay_all(), left, "the events left after a prune by cursor")
    same(await stores.events.prune(timestamp(9), keep=EVENT_TYPES), 0, "all types are kept")
    for wrong in ("", "mob", ["mob_reset", "mob"], 1, b"mob_reset"):
        call = stores.events.prune(timestamp(9), keep=cast("str", wrong))
        await expect_error(UsageError, call, f"keep={wrong!r}")
    same(await stores.events.prune(timestamp(9), keep=()), len(left), "no type is kept")


@case("events.prune.keep-unseen")
async def prune_keeps_unseen(subject: Subject) -> None:
    """Prune with `keep_unseen` removes no event that a named consumer is not done with."""
    stores = await subject.open()
    await stores.events.append_batch([event(at=timestamp(n)) for n in (5, 4, 3, 2, 1)])
    await _move(stores, slow=0, fast=5)
    same(await stores.events.prune(timestamp(9), keep_unseen=True), 0, "nothing is seen by all")
    await _move(stores, slow=2, fast=5)
    same(await stores.events.prune(timestamp(5), keep_unseen=True), 1, "of the two seen by all")
    same(await _cursors(stores), [1, 3, 4, 5], "cursors left")
    same(await stores.events.prune(before_cursor=9, keep_unseen=True), 1, "by cursor")
    await _move(stores, slow=4, fast=5)
    same(await stores.events.prune(before_cursor=4, keep_unseen=True), 1, "the other bound counts")
    same(await stores.events.prune(timestamp(9)), 2, "without it, consumers do not matter")
    await _move(stores)
    await stores.events.append(event())
    same(await stores.events.prune(before_cursor=9, keep_unseen=True), 1, "without consumers")
    call = stores.events.prune(before_cursor=9, keep_unseen=cast("bool", None))
    await expect_error(UsageError, call, "keep_unseen=None")


@case("events.prune.many")
async def prune_many(subject: Subject) -> None:
    """Prune removes all of several thousand events with few distinct times, by either bound."""
    stores = await subject.open()
    reset, completed = MobReset(), MobCompleted()
    times = [n * 7919 % 5 if n % 3 else n for n in range(4000)]
    given = [
        event(at=timestamp(at), kind=reset if n % 10 == 0 else completed)
        for n, at in enumerate(times)
    ]
    appended = await stores.events.append_batch(given)
    bound: Timestamp = timestamp(3000)
    left = [one for one in appended if one.timestamp >= bound or one.kind.type == "mob_reset"]
    gone = await stores.events.prune(bound, keep="mob_reset")
    same((gone, await stores.events.replay_all()), (4000 - len(left), left), "by time")
    gone = await stores.events.prune(before_cursor=3500, keep="mob_reset")
    rest = [one for one in left if one.cursor >= 3500 or one.kind.type == "mob_reset"]
    same((gone, await stores.events.replay_all()), (len(left) - len(rest), rest), "by cursor")

    async def work(at: Stores) -> tuple[int, int]:
        await at.events.append_batch([_NOTHING, _NOTHING])
        gone = await at.events.prune(timestamp(10**10), keep="mob_reset")
        return gone, len(await at.events.replay_all())

    resets = [one for one in rest if one.kind.type == "mob_reset"]
    got = await stores.atomic(work)
    same(got, (len(rest) + 2 - len(resets), len(resets)), "within an atomic call")
    same(await stores.events.replay_all(), resets, "the log after it")
