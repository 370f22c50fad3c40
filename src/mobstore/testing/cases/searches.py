"""Cases of searching the event log: bounds, order, types, members, times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from mobstore.errors import SerializationError, StaleCursorError, UsageError
from mobstore.model.event import (
    FlowStarted,
    MobEvent,
    MobReset,
    PeersWired,
    StepDispatched,
    StepFailed,
    TaskUpdated,
)
from mobstore.model.ids import FlowId, MeerkatId, StepId, TaskId
from mobstore.model.json import I64_MAX
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import EVENTS
from mobstore.scripts.transaction import Put, Scan
from mobstore.stores.mob_stores import MobStores
from mobstore.testing.kinds import every_kind
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, run_id, timestamp
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject

_ANN, _BOB, _STEP = MeerkatId("ann"), MeerkatId("bob"), StepId("s")


async def _found(stores: MobStores, **by: Any) -> list[int]:
    return [stored.cursor for stored in await stores.events.poll(**by)]


def _note(to: list[int], cursor: int, _: SerializationError) -> None:
    to.append(cursor)


@case("events.poll.before")
async def poll_before(subject: Subject) -> None:
    """Poll returns events with cursors below `before_cursor` alone, and after the other bound."""
    stores = await subject.open()
    await stores.events.append_batch([event() for _ in range(5)])
    for after, before, want in (
        (0, 0, []), (0, 1, []), (0, 2, [1]), (2, 5, [3, 4]), (3, 4, []), (4, 3, []), (0, 6, 5),
        (0, I64_MAX, 5),
    ):  # fmt: skip
        all_of = [*range(1, 6)] if want == 5 else want
        got = await _found(stores, after_cursor=after, before_cursor=before)
        same(got, all_of, f"after {after} and before {before}")
        got = await _found(stores, after_cursor=after, before_cursor=before, newest_first=True)
        same(got, [*reversed(cast("list[int]", all_of))], f"the same backwards, before {before}")
    for wrong in (-1, I64_MAX + 1, "1", 1.0):
        call = stores.events.poll(before_cursor=cast("int", wrong))
        await expect_error(UsageError, call, f"before_cursor {wrong!r}")


@case("events.poll.newest-first")
async def poll_newest_first(subject: Subject) -> None:
    """Poll with `newest_first` returns the last events, descending; pages meet without a gap."""
    stores = await subject.open()
    same(await stores.events.poll(newest_first=True), [], "an empty log")
    appended = await stores.events.append_batch(
        [event("ab"[n % 2], at=timestamp(-n)) for n in range(25)]
    )
    same(await stores.events.poll(0, 3, newest_first=True), appended[:-4:-1], "the last three")
    seen = await stores.events.poll(0, 7, newest_first=True)
    for _ in range(4):
        seen += await stores.events.poll(0, 7, newest_first=True, before_cursor=seen[-1].cursor)
    same(seen, appended[::-1], "all, page by page")
    of_a = await stores.events.poll(3, 4, newest_first=True, mob_id="a")
    same([stored.cursor for stored in of_a], [25, 23, 21, 19], "the last of one mob")
    call = stores.events.poll(newest_first=cast("bool", 1))
    await expect_error(UsageError, call, "newest_first=1")


@case("events.poll.types")
async def poll_types(subject: Subject) -> None:
    """Poll returns the events of one type or of several, and rejects words that are no types."""
    stores = await subject.open()
    given = [event(kind=kind) for kind in every_kind()] * 2
    appended = await stores.events.append_batch(given)
    types = sorted({stored.kind.type for stored in appended})
    for one in types:
        want = [stored for stored in appended if stored.kind.type == one]
        same(await stores.events.poll(types=one), want, f"the events of type {one}")
    for some in (types[::3], {*types[:9]}, (types[1], types[1]), types, []):
        want = [stored for stored in appended if stored.kind.type in some]
        same(await stores.events.poll(types=some), want, f"the events of types {some}")
        newest = await stores.events.poll(0, 3, types=some, newest_first=True)
        same(newest, want[::-1][:3], f"the newest of types {some}")
    for wrong in ("step_faild", "", ["step_failed", "x"], b"step_failed", 1):
        call = stores.events.poll(types=cast("str", wrong))
        said = await expect_error(UsageError, call, f"types={wrong!r}")
        assert "step_failed, step_skipped" in said.detail, f"the error lists the types: {said}"


@case("events.poll.member")
async def poll_member(subject: Subject) -> None:
    """Poll returns the events that name a member, in whatever field their kind has for it."""
    stores = await subject.open()
    kinds = every_kind()
    appended = await stores.events.append_batch(
        [event(kind=PeersWired(a=_BOB, b=_ANN)), *(event(kind=kind) for kind in kinds)]
    )
    want = [
        "peers_wired", "meerkat_spawned", "meerkat_retired", "peers_wired", "external_peer_wired",
        "external_peer_unwired", "peers_unwired", "task_updated", "step_dispatched",
        "step_target_completed", "step_target_failed", "supervisor_escalation",
    ]  # fmt: skip
    found = await stores.events.poll(member="ann")
    same([stored.kind.type for stored in found], want, "the types of events that name ann")
    same(found[0], appended[0], "the second end of a wire")
    same(await _found(stores, member="bob"), [1], "events that name bob")
    same(await _found(stores, member="nobody"), [], "events that name no such member")
    found = await stores.events.poll(member="")
    same(
        [stored.kind.type for stored in found],
        ["meerkat_kickoff_updated", "peers_wired", "peers_unwired"],
        "events of a member with an empty name",
    )
    quoted = MeerkatId('"\\\n\u2028é')
    odd = await stores.events.append(event(kind=PeersWired(a=quoted, b=_BOB)))
    same(await stores.events.poll(member=quoted), [odd], "a name that JSON escapes")
    await expect_error(UsageError, stores.events.poll(member=cast("str", 1)), "a number")


@case("events.poll.times")
async def poll_times(subject: Subject) -> None:
    """Poll returns the events since a time and until before another, whatever their order."""
    stores = await subject.open()
    offsets = (5, -3, 0, 5, 1, -3, 4, 0, -4, 5)
    await stores.events.append_batch([event(at=timestamp(n)) for n in offsets])
    for since in range(-5, 7):
        for until in range(-5, 7):
            want = [n for n, at in enumerate(offsets, 1) if since <= at < until]
            by: dict[str, Any] = {"since": timestamp(since), "until": timestamp(until)}
            same(await _found(stores, **by), want, f"from {since} to {until}")
            newest = await _found(stores, limit=2, newest_first=True, **by)
            same(newest, want[::-1][:2], f"the newest two from {since} to {until}")
    same(await _found(stores, since=timestamp(5)), [1, 4, 10], "since the last time")
    same(await _found(stores, until=timestamp(-3)), [9], "until the second time")
    noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    late = await stores.events.append(event(at=timestamp(10**9 * 86_400)))
    same(await stores.events.poll(since=noon), [late], "since a datetime")
    for wrong in (noon.replace(tzinfo=None), "1h", timedelta(1), 5):
        for name in ("since", "until"):
            call = stores.events.poll(**{name: cast("Any", wrong)})
            await expect_error(UsageError, call, f"{name}={wrong!r}")


@case("events.poll.together")
async def poll_together(subject: Subject) -> None:
    """Conditions hold together, in a log that is longer than a page of any engine."""
    stores = await subject.open()
    given = [
        event(
            "abc"[n % 3],
            at=timestamp(n * 7919 % 400),
            kind=StepFailed(run_id=run_id(n % 5), step_id=_STEP, reason="r")
            if n % 4 == 0
            else StepDispatched(
                run_id=run_id(n % 5), step_id=_STEP, meerkat_id=(_ANN, _BOB)[n % 11 == 0]
            ),
        )
        for n in range(700)
    ]
    appended = await stores.events.append_batch(given)

    def names(stored: MobEvent, member: str) -> bool:
        return getattr(stored.kind, "meerkat_id", None) == member

    late = timestamp(380)
    whole: tuple[tuple[dict[str, Any], Callable[[MobEvent], bool]], ...] = (
        (
            {"mob_id": "a", "types": "step_failed"},
            lambda one: one.mob_id == "a" and one.kind.type == "step_failed",
        ),
        (
            {"run_id": run_id(3), "member": "bob"},
            lambda one: one.run_id == run_id(3) and names(one, "bob"),
        ),
        (
            {"mob_id": "b", "since": late, "member": "bob"},
            lambda one: one.mob_id == "b" and one.timestamp >= late and names(one, "bob"),
        ),
        (
            {"types": ["step_failed", "mob_reset"], "until": late},
            lambda one: one.kind.type == "step_failed" and one.timestamp < late,
        ),
        ({"since": late}, lambda one: one.timestamp >= late),
    )
    for by, holds in whole:
        want = [stored for stored in appended if holds(stored)]
        same(await stores.events.poll(**by), want, f"events of {by}")
        same(await stores.events.poll(0, 5, **by), want[:5], f"the first events of {by}")
        newest = await stores.events.poll(0, 5, newest_first=True, **by)
        same(newest, want[::-1][:5], f"the newest events of {by}")
    call = stores.events.poll(mob_id="a", run_id=run_id(1), types="mob_reset")
    await expect_error(UsageError, call, "a mob and a run")


@case("events.poll.unreadable.newest-first")
async def poll_newest_first_names_unreadable_events(subject: Subject) -> None:
    """Backwards and by member, too, a page ends before an unreadable event, or skips it."""
    stores = await subject.open()
    wired = PeersWired(a=_ANN, b=_BOB)
    stored = await stores.events.append_batch([event(kind=wired) for _ in range(5)])
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    bad = rows[2]._replace(kind=f"{rows[2].kind}}}")
    await stores.engine.write(write_script(Put(EVENTS, (bad,))))
    conditions: tuple[dict[str, Any], ...] = ({}, {"member": "ann"}, {"types": "peers_wired"})
    for by in conditions:
        newest = await stores.events.poll(newest_first=True, **by)
        same(newest, [stored[4], stored[3]], f"the newest events before it, {by}")
        call = stores.events.poll(newest_first=True, before_cursor=4, **by)
        said = await expect_error(SerializationError, call, "the next page")
        assert "cursor 3 " in said.detail, f"the error names the cursor: {said}"
        left_out: list[int] = []
        found = await stores.events.poll(
            0, 3, newest_first=True, on_unreadable=partial(_note, left_out), **by
        )
        same(found, [stored[4], stored[3], stored[1]], f"the newest three readable events, {by}")
        same(left_out, [3], "the event left out")
    same(await stores.events.poll(types="mob_reset"), [], "events of other types")


@case("events.poll-json.same")
async def poll_json_is_poll(subject: Subject) -> None:
    """For the same arguments, `poll_json` returns what `to_json` writes of each event of `poll`."""
    stores = await subject.open()
    same(await stores.events.poll_json(), [], "an empty log")
    mobs = ("a", "", '"\\/', "\x7f\u2028\uffff\U0001f30a", "".join(map(chr, range(32))))
    times = (
        "2026-03-04T05:06:07Z", "2026-03-04T05:06:07.08Z", "2026-03-04T05:06:07.000089Z",
        "2026-03-04T05:06:07.000000001Z", "2026-03-04T05:06:07.1000001Z", "0000-01-01T00:00:00Z",
        "2016-12-31T23:59:60.5Z", "-0044-03-15T12:00:00.01Z", "+12026-01-01T00:00:00.123456789Z",
    )  # fmt: skip
    given = [
        event(mobs[n % len(mobs)], at=Timestamp(times[n % len(times)]), kind=kind)
        for n, kind in enumerate(every_kind() * 3)
    ]
    appended = await stores.events.append_batch(given)
    same(await stores.events.poll_json(), [one.to_json() for one in appended], "the log")
    conditions: tuple[dict[str, Any], ...] = (
        {}, {"newest_first": True}, {"mob_id": mobs[2]}, {"run_id": run_id(1)},
        {"types": "flow_started"}, {"types": ["peers_wired", "task_created"]}, {"member": "ann"},
        {"since": Timestamp(times[0])}, {"until": Timestamp(times[2]), "newest_first": True},
        {"mob_id": mobs[1], "types": "flow_failed", "since": Timestamp(times[6])},
        {"before_cursor": 9}, {"limit": 0}, {"limit": 7, "after_cursor": 20},
    )  # fmt: skip
    for by in conditions:
        want = [one.to_json() for one in await stores.events.poll(**by)]
        same(await stores.events.poll_json(**by), want, f"the events of {by}")
    wrong = (
        {"limit": -1}, {"after_cursor": "1"}, {"types": "no"}, {"mob_id": "a", "run_id": run_id(1)},
    )  # fmt: skip
    for by in cast("tuple[dict[str, Any], ...]", wrong):
        await expect_error(UsageError, stores.events.poll_json(**by), f"arguments {by}")
    call = stores.events.poll_json(len(appended) + 1, reject_stale=True)
    await expect_error(StaleCursorError, call, "a cursor past the latest one")


@case("events.poll-json.unreadable")
async def poll_json_names_unreadable_events(subject: Subject) -> None:
    """An event without a readable time, type or end is unreadable, as for `poll`; others are not.

    A page ends before it, the next call raises its error, and `on_unreadable` skips it.
    """
    stores = await subject.open()
    await stores.events.append_batch([event(kind=PeersWired(a=_ANN, b=_BOB)) for _ in range(7)])
    whole = await stores.events.poll_json()
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    lacking = '{"type":"peers_wired"}'  # of which only `poll` needs the rest
    wrong: tuple[dict[str, Any], ...] = (
        {"kind": ""}, {"kind": rows[2].kind[:-1]}, {"kind": '{"typ":"no"}'},
        {"timestamp": "yesterday"}, {"kind": lacking},
    )  # fmt: skip
    bad = [row._replace(**columns) for row, columns in zip(rows[1:6], wrong, strict=True)]
    await stores.engine.write(write_script(Put(EVENTS, bad)))
    stored = whole[5].replace(rows[5].kind, lacking)
    same(await stores.events.poll_json(), whole[:1], "the events before")
    for after in range(1, 5):
        call = stores.events.poll_json(after)
        said = await expect_error(SerializationError, call, f"poll_json({after})")
        assert f"cursor {after + 1} " in said.detail, f"the error names the cursor: {said}"
    same(await stores.events.poll_json(5), [stored, whole[6]], "the events after")
    await expect_error(SerializationError, stores.events.poll(5), "poll decodes the kind")
    conditions: tuple[dict[str, Any], ...] = ({}, {"mob_id": rows[0].mob_id})
    for by in conditions:
        skipped: list[int] = []
        found = await stores.events.poll_json(on_unreadable=partial(_note, skipped), **by)
        same(found, [whole[0], stored, whole[6]], f"the readable events, {by}")
        same(skipped, [2, 3, 4, 5], f"the events left out, {by}")
        found = await stores.events.poll_json(
            0, 2, newest_first=True, on_unreadable=partial(_note, skipped), **by
        )
        same(found, [whole[6], stored], f"the newest two, {by}")


@case("events.first-cursor")
async def first_cursor(subject: Subject) -> None:
    """The first cursor is that of the oldest event, or the next one if there is none."""
    stores = await subject.open()
    same(await stores.events.first_cursor(), 1, "an empty log")
    await stores.events.append_batch([event(at=timestamp(n)) for n in (1, 9, 3)])
    same(await stores.events.first_cursor(), 1, "three events")
    await stores.events.prune(timestamp(2))
    same(await stores.events.first_cursor(), 2, "after a prune")
    await stores.events.clear()
    same(await stores.events.first_cursor(), 4, "after clear")
    same(await stores.events.latest_cursor(), 3, "the latest cursor after clear")


@case("events.run-id")
async def event_run_id(subject: Subject) -> None:
    """An event has the id of its run, or None, and its JSON does not change by it."""
    stores = await subject.open()
    started = FlowStarted(run_id=run_id(7), flow_id=FlowId("f"), params=None)
    task = TaskUpdated(task_id=TaskId("t"), status="open")
    await stores.events.append_batch([event(kind=kind) for kind in (started, MobReset(), task)])
    found = await stores.events.poll()
    same([stored.run_id for stored in found], [run_id(7), None, None], "the runs of events")
    assert "run_id" not in MobEvent.model_fields, "it is no field, so it is not in the JSON"
