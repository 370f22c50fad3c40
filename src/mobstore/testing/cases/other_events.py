"""Cases of events of other kinds: kept as they are, found as others are, refused unless allowed."""

from __future__ import annotations

from functools import partial
from typing import Any

from mobstore.errors import ConflictError, MobStoreError, SerializationError, UsageError
from mobstore.maintenance.verification import verify
from mobstore.model.event import MobEvent, MobReset, NewMobEvent, PeersWired
from mobstore.model.event_types import STRUCTURAL_KINDS
from mobstore.model.ids import MeerkatId, MobId
from mobstore.model.json import JsonInput
from mobstore.model.other_event import OtherEvent
from mobstore.scripts.tables import EVENTS
from mobstore.scripts.transaction import Put, Scan
from mobstore.stores.mob_stores import Stores
from mobstore.testing.kinds import other_kinds
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import definition, event, make_run, run_id, timestamp
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject
from mobstore.testing.subscriptions import take


@case("events.other.kept")
async def kept_as_they_are(subject: Subject) -> None:
    """Events of other kinds are stored and read as they are, byte for byte, in every way."""
    stores = await subject.open()
    kinds = other_kinds()
    wanted = [kind.to_json() for kind in kinds]
    first = await stores.events.append(event(kind=kinds[0]))
    same(first.kind.to_json(), wanted[0], "the result of append")
    appended = [first, *await stores.events.append_batch([event(kind=kind) for kind in kinds[1:]])]
    same([one.kind.to_json() for one in appended], wanted, "the results")
    same([one.kind for one in appended], list(kinds), "the kinds")
    mixed = await stores.events.append_batch([event(), event(kind=kinds[1]), event()])
    log = [*appended, *mixed]
    same(await stores.events.replay_all(), log, "the log")
    same(await stores.events.poll(), log, "poll")
    same(await stores.events.poll_json(), [one.to_json() for one in log], "poll_json")
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    same([row.kind for row in rows[: len(kinds)]], wanted, "the stored JSON")
    same([row.type for row in rows[: len(kinds)]], [kind.type for kind in kinds], "the types")
    same(await take(stores.events.subscribe(), len(log)), log, "a subscription")
    problems = [one for one in (await verify(stores)).problems if one.table == EVENTS.name]
    same(problems, [], "problems of events")


async def _built(kind: OtherEvent) -> NewMobEvent:
    return NewMobEvent(mob_id=MobId("m"), kind=kind)


@case("events.other.allowed")
async def only_if_allowed(subject: Subject) -> None:
    """Without `allow_other` another event is refused, also unchecked; nothing is written."""
    stores = await subject.open()
    other = OtherEvent(type="mob_stopped", fields={})
    given = event(kind=other)
    bad: list[NewMobEvent] = [
        given.model_copy(update={"allow_other": False}),
        given.model_copy(update={"allow_other": 1}),
        event().model_copy(update={"kind": other}),
    ]
    for one in bad:
        said = await expect_error(UsageError, stores.events.append(one), "not allowed")
        assert "allow_other=True" in said.detail, f"the error says how: {said}"
        await expect_error(UsageError, stores.events.append_batch([event(), one]), "in a batch")
    error = await expect_error(ValueError, _built(other), "the constructor")
    assert "allow_other=True" in str(error), f"the error says how: {error}"
    known = await stores.events.append(event(kind=MobReset()).model_copy())
    same((known.cursor, known.kind), (1, MobReset()), "the only event")
    allowed = NewMobEvent(mob_id=MobId("m"), kind=MobReset(), allow_other=True)
    same((await stores.events.append(allowed)).kind, MobReset(), "a known kind")


@case("events.other.refused")
async def refused(subject: Subject) -> None:
    """Fields without a JSON form, too deep, or of a known kind are refused; nothing is written."""
    stores = await subject.open()
    deep: JsonInput = 1
    for _ in range(126):
        deep = [deep]
    bad: tuple[tuple[Any, Any], ...] = (
        ("x", {"n": float("nan")}), ("x", {"n": 2**64}), ("x", {"n": b""}),
        ("x", {"type": "y"}), ("x", {"deep": deep}), ("x", {1: 1}), ("x", [1]), (1, {}), (None, {}),
        ("\ud800", {}), ("x", {"\ud800": 1}), ("x", {"n": "\ud800"}), ("x" * 65_537, {}),
        ("peers_wired", {"a": "ann"}), ("peers_wired", {"a": "ann", "b": 1}),
    )  # fmt: skip
    for type_, fields in bad:
        given = OtherEvent.model_construct(type=type_, fields=fields)
        new = event().model_copy(update={"kind": given, "allow_other": True})
        said = await expect_error(MobStoreError, stores.events.append(new), f"{type_!r:.20}")
        named = "event.kind" in said.detail or "type" in said.detail
        assert named, f"the error names the part: {said}"
    same_as_known = OtherEvent(type="peers_wired", fields={"b": "bob", "a": "ann"})
    call = stores.events.append(event(kind=same_as_known))
    said = await expect_error(SerializationError, call, "a known kind")
    assert "PeersWired" in said.detail, f"the error names the kind: {said}"
    same(await stores.events.replay_all(), [], "the log")


@case("events.other.found")
async def found_as_others(subject: Subject) -> None:
    """They are found by run, member, type, mob and time; a type without events is refused."""
    stores = await subject.open()
    run, ann = run_id(3), MeerkatId("ann")
    kinds = (
        OtherEvent(type="remote_turn_bound", fields={"n": 1, "run_id": str(run).upper()}),
        OtherEvent(type="member_reset", fields={"agent_identity": "ann", "run_id": "no id"}),
        OtherEvent(
            type="step_dispatched", fields={"run_id": f"{run}", "target": {"identity": "ann"}}
        ),
        OtherEvent(type="mob_stopped", fields={"run_id": {"a": [str(run)]}, "member": 7}),
    )
    appended = await stores.events.append_batch(
        [event(kind=kind, at=timestamp(n)) for n, kind in enumerate(kinds)]
        + [event("a", kind=PeersWired(a=ann, b=MeerkatId("bob")), at=timestamp(9))]
    )
    same([one.run_id for one in appended], [run, None, run, None, None], "the runs")
    queries: tuple[tuple[dict[str, Any], list[int]], ...] = (
        ({"run_id": run}, [1, 3]),
        ({"member": "ann"}, [2, 3, 5]),
        ({"types": "mob_stopped"}, [4]),
        ({"types": ["mob_stopped", "peers_wired", "step_dispatched"]}, [3, 4, 5]),
        ({"types": ["step_dispatched", "mob_reset"], "member": "ann"}, [3]),
        ({"run_id": run, "since": timestamp(1)}, [3]),
        ({"mob_id": "mob", "until": timestamp(3)}, [1, 2, 3]),
    )
    for by, want in queries:
        found = await stores.events.poll(**by)
        same([one.cursor for one in found], want, f"poll {by}")
        texts = await stores.events.poll_json(**by)
        same(texts, [one.to_json() for one in found], f"poll_json {by}")
    for wrong in ("mob_stoped", ["mob_stopped", "x"]):
        said = await expect_error(UsageError, stores.events.poll(types=wrong), f"{wrong}")
        assert "step_failed, step_skipped" in said.detail, f"the error lists the types: {said}"


@case("events.other.removed")
async def removed_as_others(subject: Subject) -> None:
    """Prune removes them as others, and keeps those of a type to keep."""
    stores = await subject.open()
    stopped, reset = (OtherEvent(type=one, fields={"n": 1}) for one in ("mob_stopped", "mob_reset"))
    await stores.events.append_batch(
        [event(kind=kind, at=timestamp(n)) for n, kind in enumerate((stopped, reset, stopped))]
    )
    call = stores.events.prune(timestamp(9), keep=["mob_stoped"])
    await expect_error(UsageError, call, "a type without events")
    same(await stores.events.prune(timestamp(2), keep=STRUCTURAL_KINDS), 1, "pruned")
    same(await stores.events.prune(timestamp(9), keep="mob_stopped"), 1, "pruned but of a type")
    same([one.cursor for one in await stores.events.replay_all()], [3], "the log")


@case("events.other.keyed")
async def keyed(subject: Subject) -> None:
    """With a key they are appended once; another order of fields is other content."""
    stores = await subject.open()
    other = OtherEvent(type="x", fields={"a": 1, "b": {"d": 1.5, "c": []}})
    one = await stores.events.append(event(kind=other), key="k")
    same(await stores.events.append(event(kind=other), key="k"), one, "again")
    others: tuple[dict[str, JsonInput], ...] = (
        {"a": 1, "b": {"c": [], "d": 1.5}}, {"b": {"d": 1.5, "c": []}, "a": 1}, {"a": 1},
    )  # fmt: skip
    for fields in others:
        changed = event(kind=OtherEvent(type="x", fields=fields))
        await expect_error(ConflictError, stores.events.append(changed, key="k"), f"{fields}")


@case("events.other.together")
async def together(subject: Subject) -> None:
    """They take part in atomic calls and in the end of a run; consumers get them."""
    stores = await subject.open()
    run = make_run()
    other = OtherEvent(type="flow_failed", fields={"run_id": str(run.run_id), "cause": {"x": 1}})

    async def both(at: Stores, *, fail: bool) -> MobEvent:
        stored = await at.events.append(event(kind=other))
        await at.specs.put_spec("m", definition(), None)
        if fail:
            raise LookupError
        return stored

    await expect_error(LookupError, stores.atomic(partial(both, fail=True)), "a call that fails")
    same(await stores.events.poll(), [], "the log after it")
    stored = await stores.atomic(partial(both, fail=False))
    await stores.runs.create_run(run)
    done = event(kind=other)
    wrong = event(kind=OtherEvent(type="x", fields={"flow_id": "other"}))
    await expect_error(UsageError, stores.runs.finish_run(run.run_id, "failed", wrong), "a flow")
    await expect_error(UsageError, stores.runs.finish_run(run.run_id, "completed", done), "ending")
    assert await stores.runs.finish_run(run.run_id, "failed", done), "it ends the run"
    ended = (await stores.events.replay_all())[-1]
    got: list[MobEvent] = []
    async with stores.events.follow("c", linger=0) as batches:
        async for batch in batches:
            got += batch.events
            await batch.done()
            if len(got) == 2:
                break
    same(got, [stored, ended], "what a consumer gets")


@case("events.other.corrupt")
async def corrupt(subject: Subject) -> None:
    """A known kind that lacks something is unreadable; with unknown keys it is another event."""
    stores = await subject.open()
    await stores.events.append_batch([event() for _ in range(5)])
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    kinds = ('{"type":"peers_wired","a":"x"}', '{"type":"peers_wired","a":"x","c":1}',
             '{"type":"x","k":1,"k":2}', '{"type":7}')  # fmt: skip
    bad = [row._replace(kind=kind) for row, kind in zip(rows, kinds, strict=False)]
    await stores.engine.write(write_script(Put(EVENTS, bad)))
    left_out: list[int] = []

    def note(cursor: int, error: SerializationError) -> None:
        left_out.append(cursor)
        assert "cannot be read" in error.detail, f"the error: {error}"

    found = await stores.events.poll(on_unreadable=note)
    same([one.kind.to_json() for one in found], [kinds[1], '{"type":"mob_completed"}'], "readable")
    same(left_out, [1, 3, 4], "unreadable")
    found_by_verify = (await verify(stores)).problems
    problems = [
        one.key for one in found_by_verify if one.table == EVENTS.name and not one.repairable
    ]
    same(problems, [(1,), (3,), (4,)], "problems")
