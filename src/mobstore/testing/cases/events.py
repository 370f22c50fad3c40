"""Cases of the event log: cursors, times, polling, clearing, pruning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from mobstore.errors import (
    InternalError,
    MobStoreError,
    SerializationError,
    StaleCursorError,
    UsageError,
)
from mobstore.model.event import FlowStarted, NewMobEvent
from mobstore.model.ids import FlowId
from mobstore.model.json import I64_MAX
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import COUNTERS, EVENTS, NEXT_CURSOR, CounterRow
from mobstore.scripts.transaction import Put, Scan
from mobstore.stores.mob_stores import MobStores
from mobstore.testing.kinds import every_kind
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import definition, event, make_run, profile, run_id, timestamp
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject

_UNREADABLE: tuple[dict[str, Any], ...] = (
    {"kind": ""},
    {"kind": "{"},
    {"kind": '{"type":"mob_reset"},{"type":"mob_reset"}'},
    {"kind": '{"typ":"no"}'},
    {"timestamp": "yesterday"},
)


async def _cursors(stores: MobStores) -> list[int]:
    return [stored.cursor for stored in await stores.events.replay_all()]


def _without_json_form() -> NewMobEvent:
    started = FlowStarted(run_id=run_id(1), flow_id=FlowId("flow"), params=["\ud800"])
    return event(kind=started)


@case("events.append.assigns-cursors")
async def assigns_cursors(subject: Subject) -> None:
    """The first event has cursor 1, each later one the next; append returns the stored event."""
    stores = await subject.open()
    appended = [await stores.events.append(event(mob)) for mob in ("b", "a", "b")]
    same([stored.cursor for stored in appended], [1, 2, 3], "cursors of three appends")
    same([stored.mob_id for stored in appended], ["b", "a", "b"], "mobs share one sequence")
    same(await stores.events.replay_all(), appended, "the log and the results of append")


@case("events.append.keeps-time")
async def keeps_time(subject: Subject) -> None:
    """An event's own time is kept to the nanosecond and need not grow with the cursor."""
    stores = await subject.open()
    far = ("-0044-03-15T12:00:00.000000001Z", "0000-01-01T00:00:00Z", "2016-12-31T23:59:60.5Z",
           "9999-12-31T23:59:59.999999999Z", "+12026-01-01T00:00:00.123456789Z")  # fmt: skip
    times = [
        timestamp(5),
        timestamp(1),
        timestamp(1),
        timestamp(-1),
        *map(Timestamp, reversed(far)),
    ]
    appended = [await stores.events.append(event(at=time)) for time in times]
    same([stored.timestamp for stored in appended], times, "times of the results")
    same(await stores.events.poll(0, 100), appended, "the log, in the order of cursors")


@case("events.append.store-time")
async def store_time(subject: Subject) -> None:
    """An event without a time gets the time of the store's clock, to the nanosecond."""
    stores = await subject.open()
    for time in (timestamp(7), timestamp(3)):
        subject.clock.now = time
        same((await stores.events.append(event())).timestamp, time, "time of append")
    batch = await stores.events.append_batch([event(), event(at=timestamp(1)), event()])
    same(
        [stored.timestamp for stored in batch],
        [timestamp(n) for n in (3, 1, 3)],
        "times of a batch",
    )
    same(
        [stored.timestamp for stored in await stores.events.replay_all()],
        [timestamp(n) for n in (7, 3, 3, 1, 3)],
        "times in the log",
    )


@case("events.append.every-kind")
async def appends_every_kind(subject: Subject) -> None:
    """Events of all kinds are read back unchanged."""
    stores = await subject.open()
    given = [event(kind=kind) for kind in every_kind()]
    appended = await stores.events.append_batch(given)
    for new, stored in zip(given, appended, strict=True):
        same(stored.kind, new.kind, "kind in the result")
    for new, stored in zip(given, await stores.events.replay_all(), strict=True):
        same(stored.kind, new.kind, "kind in the log")


@case("events.append.exhausted")
async def exhausted(subject: Subject) -> None:
    """The last cursor is 2**63 - 2; further appends are rejected and change nothing."""
    stores = await subject.open()
    await stores.engine.write(write_script(Put(COUNTERS, (CounterRow(NEXT_CURSOR, I64_MAX - 2),))))
    same((await stores.events.append(event())).cursor, I64_MAX - 2, "the last cursor but one")
    pair = [event(), event()]
    await expect_error(InternalError, stores.events.append_batch(pair), "two events for one cursor")
    last = await stores.events.append(event())
    same(last.cursor, I64_MAX - 1, "the last cursor")
    await expect_error(InternalError, stores.events.append(event()), "no cursor is left")
    same(await stores.events.poll(I64_MAX - 2, 10), [last], "poll after the last cursor but one")
    same(await _cursors(stores), [I64_MAX - 2, I64_MAX - 1], "cursors in the log")


@case("events.batch.consecutive")
async def batch_is_consecutive(subject: Subject) -> None:
    """A batch gets the next cursors, consecutive and in the given order."""
    stores = await subject.open()
    await stores.events.append(event())
    mobs = [f"{n % 7}" for n in range(500)]
    batch = await stores.events.append_batch(tuple(event(mob) for mob in mobs))
    same([stored.cursor for stored in batch], list(range(2, 502)), "cursors of the batch")
    same([stored.mob_id for stored in batch], mobs, "order of the batch")
    same((await stores.events.append(event())).cursor, 502, "cursor after the batch")
    same((await stores.events.replay_all())[1:-1], batch, "the log")


@case("events.batch.all-or-none")
async def batch_is_all_or_none(subject: Subject) -> None:
    """A batch with an event that cannot be stored stores none and uses no cursor."""
    stores = await subject.open()
    await stores.events.append(event())
    bad: list[Any] = [_without_json_form(), "no event", None, event().kind]
    for wrong in bad:
        kind = SerializationError if wrong is bad[0] else UsageError
        batch = [event(), wrong]
        await expect_error(kind, stores.events.append_batch(batch), f"a batch of {wrong}")
        await expect_error(kind, stores.events.append(wrong), f"{wrong} as an event")
    same(await _cursors(stores), [1], "cursors in the log after failed appends")
    same((await stores.events.append(event())).cursor, 2, "cursor after failed appends")


@case("events.batch.empty")
async def batch_may_be_empty(subject: Subject) -> None:
    """An empty batch returns an empty list and uses no cursor."""
    stores = await subject.open()
    same(await stores.events.append_batch([]), [], "result of an empty batch")
    same((await stores.events.append(event())).cursor, 1, "cursor after an empty batch")
    same(await stores.events.append_batch(()), [], "result of an empty batch")
    same((await stores.events.append(event())).cursor, 2, "cursor after an empty batch")


@case("events.poll.order")
async def poll_ascends(subject: Subject) -> None:
    """Poll returns events by ascending cursor, whatever their times; pages meet without a gap."""
    stores = await subject.open()
    appended = await stores.events.append_batch([event(at=timestamp(-n)) for n in range(25)])
    same(await stores.events.poll(0, 25), appended, "all in one page")
    seen = await stores.events.poll(0, 7)
    for _ in range(4):  # one more than there are pages
        seen += await stores.events.poll(seen[-1].cursor, 7)
    same(seen, appended, "all, page by page")


@case("events.poll.bounds")
async def poll_bounds(subject: Subject) -> None:
    """Poll returns cursors strictly greater than the given one, and at most `limit` events."""
    stores = await subject.open()
    await stores.events.append_batch([event() for _ in range(5)])
    for after, limit, want in (
        (0, 5, [1, 2, 3, 4, 5]), (0, 2, [1, 2]), (2, 2, [3, 4]), (3, 100, [4, 5]), (4, 1, [5]),
        (5, 10, []), (6, 10, []), (0, 0, []), (3, 0, []), (I64_MAX, I64_MAX, []),
        (0, I64_MAX, [1, 2, 3, 4, 5]),
    ):  # fmt: skip
        got = [stored.cursor for stored in await stores.events.poll(after, limit)]
        same(got, want, f"cursors of poll({after}, {limit})")


@case("events.poll.range")
async def poll_range(subject: Subject) -> None:
    """Poll rejects arguments outside 0 to 2**63 - 1, even if the log is empty."""
    stores = await subject.open()
    for wrong in (-1, I64_MAX + 1, 2**64, -(2**70)):
        await expect_error(InternalError, stores.events.poll(wrong, 1), f"after_cursor {wrong}")
        await expect_error(InternalError, stores.events.poll(0, wrong), f"limit {wrong}")
    for odd in (cast("int", odd) for odd in ("1", 1.0, None, b"1")):
        await expect_error(MobStoreError, stores.events.poll(odd, 1), f"after_cursor {odd!r}")
        await expect_error(MobStoreError, stores.events.poll(0, odd), f"limit {odd!r}")
    same(await stores.events.poll(I64_MAX, I64_MAX), [], "the greatest arguments")


@case("events.poll.defaults")
async def poll_defaults(subject: Subject) -> None:
    """Poll without arguments returns the first thousand events."""
    stores = await subject.open()
    appended = await stores.events.append_batch([event() for _ in range(1001)])
    same(await stores.events.poll(), appended[:1000], "poll()")
    same(await stores.events.poll(999), appended[999:], "poll(999)")


@case("events.poll.stale")
async def poll_rejects_stale_cursors(subject: Subject) -> None:
    """Poll after a cursor that was never assigned returns nothing, or raises if asked to."""
    stores = await subject.open()
    same(await stores.events.poll(reject_stale=True), [], "an empty log")
    await expect_error(StaleCursorError, stores.events.poll(1, reject_stale=True), "poll(1)")
    await stores.events.append_batch([event("a"), event("b")])
    await stores.events.clear()
    for after in (0, 1, 2):
        same(await stores.events.poll(after, reject_stale=True), [], f"poll({after})")
    for after in (3, I64_MAX):
        same(await stores.events.poll(after), [], f"poll({after}) that does not ask for it")
        polling = stores.events.poll(after, 0, mob_id="a", reject_stale=True)
        stale = await expect_error(StaleCursorError, polling, f"poll({after})")
        same((stale.after, stale.latest), (after, 2), "the cursors that the error names")


@case("events.poll.unreadable")
async def poll_names_unreadable_events(subject: Subject) -> None:
    """Poll returns the events before an unreadable one; the next call names its cursor."""
    stores = await subject.open()
    stored = await stores.events.append_batch([event() for _ in range(9)])
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    bad = [row._replace(**bad) for row, bad in zip(rows[3:8], _UNREADABLE, strict=True)]
    await stores.engine.write(write_script(Put(EVENTS, bad)))
    same(await stores.events.poll(0, 100), stored[:3], "the events before")
    same(await stores.events.poll(8, 100), stored[8:], "the events after")
    for after in range(3, 8):
        said = await expect_error(SerializationError, stores.events.poll(after), f"poll({after})")
        assert f"cursor {after + 1} " in said.detail, f"the error names the cursor: {said}"
    said = await expect_error(SerializationError, stores.events.replay_all(), "replay")
    assert "cursor 4 " in said.detail, f"the error names the first cursor: {said}"
    for limit, want in ((0, []), (2, stored[:2]), (4, [*stored[:3], stored[8]])):
        left_out: list[int] = []

        def note(cursor: int, _: SerializationError, to: list[int] = left_out) -> None:
            to.append(cursor)

        found = await stores.events.poll(0, limit, on_unreadable=note)
        same(found, want, f"at most {limit} readable events")
        same(left_out, [4, 5, 6, 7, 8] if limit == 4 else [], "the events left out")
    await expect_error(
        LookupError, stores.events.poll(on_unreadable=_fails), "a function that raises"
    )
    call = stores.events.poll(on_unreadable=cast("Any", _never_awaited))
    await expect_error(InternalError, call, "an async function")


def _fails(cursor: int, _: SerializationError) -> None:
    raise LookupError(cursor)


async def _never_awaited(cursor: int, error: SerializationError) -> None: ...


@case("events.replay.all")
async def replays_all(subject: Subject) -> None:
    """Replay returns all remaining events by ascending cursor."""
    stores = await subject.open()
    same(await stores.events.replay_all(), [], "the log of a new store")
    appended = await stores.events.append_batch([event(at=timestamp(-n % 3)) for n in range(600)])
    same(await stores.events.replay_all(), appended, "the whole log")
    await stores.events.prune(timestamp(1))
    left = [stored for stored in appended if stored.timestamp >= timestamp(1)]
    same(await stores.events.replay_all(), left, "the log after a prune")


@case("events.clear.keeps-cursors")
async def clear_keeps_cursors(subject: Subject) -> None:
    """Clear removes all events; no cursor is reused."""
    stores = await subject.open()
    await stores.events.clear()
    await stores.events.append_batch([event() for _ in range(3)])
    for next_cursor in (4, 5):
        await stores.events.clear()
        same(await stores.events.replay_all(), [], "the log after clear")
        same((await stores.events.append(event())).cursor, next_cursor, "cursor after clear")
    same(await _cursors(stores), [5], "the log after clear and append")


@case("events.clear.only-events")
async def clear_spares_the_rest(subject: Subject) -> None:
    """Clear and prune keep runs, specs and profiles."""
    stores = await subject.open()
    run = make_run()
    await stores.runs.create_run(run)
    await stores.specs.put_spec("mob", definition())
    stored = await stores.realm_profiles.create("name", profile())
    await stores.events.append(event())
    await stores.events.prune(timestamp(10**9))
    await stores.events.clear()
    same(await stores.runs.get_run(run.run_id), run, "the run")
    same(await stores.specs.get_spec("mob"), (definition(), 1), "the spec")
    same(await stores.realm_profiles.list(), [stored], "the profiles")


@case("events.prune.strict")
async def prune_is_strict(subject: Subject) -> None:
    """Prune removes events before the given time, by a nanosecond even, but not those at it."""
    stores = await subject.open()
    second = 10**9
    offsets = (1, 0, -1, -second, second, -1, 0, 999)
    await stores.events.append_batch([event(at=timestamp(n)) for n in offsets])
    same(await stores.events.prune(timestamp(-second)), 0, "nothing is that early")
    same(await _cursors(stores), [1, 2, 3, 4, 5, 6, 7, 8], "cursors left")
    same(await stores.events.prune(timestamp(0)), 3, "events before the time")
    same(await _cursors(stores), [1, 2, 5, 7, 8], "cursors left")
    same(await stores.events.prune(timestamp(1)), 2, "events before the next nanosecond")
    same(await _cursors(stores), [1, 5, 8], "cursors left")
    same(await stores.events.prune(timestamp(1)), 0, "the same prune again")
    later = datetime(2026, 3, 4, 6, 6, 7, 1, tzinfo=UTC)
    same(await stores.events.prune(later), 3, "events before a datetime")


@case("events.prune.years")
async def prune_compares_years(subject: Subject) -> None:
    """Prune compares times, not their text, also before the year 0 and after 9999."""
    stores = await subject.open()
    years = ("+10000", "-0002", "0000", "+262142", "-0001", "9999", "-9999")
    await stores.events.append_batch(
        [event(at=Timestamp(f"{year}-01-01T00:00:00Z")) for year in years]
    )
    for before, want in (("-0001", 2), ("9999", 2), ("+10001", 2), ("+262142", 0)):
        got = await stores.events.prune(Timestamp(f"{before}-01-01T00:00:00Z"))
        same(got, want, f"events before the year {before}")
    same(await _cursors(stores), [4], "cursors left")


@case("events.prune.zone")
async def prune_needs_a_zone(subject: Subject) -> None:
    """Prune rejects a naive datetime and other types, and removes nothing."""
    stores = await subject.open()
    await stores.events.append(event(at=timestamp(-1)))
    naive = datetime(9000, 1, 1)  # noqa: DTZ001 - that is the point
    for wrong in (naive, cast("datetime", "no time"), cast("datetime", 9)):
        await expect_error(UsageError, stores.events.prune(wrong), f"prune({wrong!r})")
    same(await _cursors(stores), [1], "cursors left")


@case("events.prune.keeps-cursors")
async def prune_keeps_cursors(subject: Subject) -> None:
    """After a prune of the newest events, or of all, no cursor is reused."""
    stores = await subject.open()
    await stores.events.append_batch([event(at=timestamp(n)) for n in (9, 1, 1)])
    same(await stores.events.prune(timestamp(5)), 2, "prune of the newest two")
    same((await stores.events.append(event(at=timestamp(1)))).cursor, 4, "cursor after it")
    same(await stores.events.prune(timestamp(10)), 2, "prune of all")
    same((await stores.events.append(event())).cursor, 5, "cursor after it")
