"""The roster and the board, folded from events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from inspector.eventlog import Slice
from mobstore import (
    BackendPeerMember,
    ExternalPeerUnwired,
    ExternalPeerWired,
    MeerkatId,
    MeerkatKickoffUpdated,
    MeerkatRetired,
    MeerkatSpawned,
    MobCompleted,
    MobEventKind,
    MobId,
    MobMemberKickoffSnapshot,
    MobReset,
    NewMobEvent,
    OtherEvent,
    PeersUnwired,
    PeersWired,
    ProfileName,
    SessionId,
    SessionMember,
    SystemTime,
    TaskCreated,
    TaskId,
    TaskUpdated,
    TrustedPeerSpec,
)
from mobstore.scripts.tables import EVENTS
from mobstore.scripts.transaction import Commit, Get, Put, Script
from support.pages import Page

SESSION = SessionMember(session_id=SessionId(UUID(int=1)))
PEER = TrustedPeerSpec(name="press", peer_id="p", address="inproc://press")


def spawned(member: str, role: str = "writer") -> MobEventKind:
    return MeerkatSpawned(meerkat_id=MeerkatId(member), role=ProfileName(role), member_ref=SESSION)


def retired(member: str) -> MobEventKind:
    return MeerkatRetired(
        meerkat_id=MeerkatId(member), role=ProfileName("writer"), member_ref=SESSION
    )


def wired(a: str, b: str) -> MobEventKind:
    return PeersWired(a=MeerkatId(a), b=MeerkatId(b))


def append(page: Page, *kinds: MobEventKind | OtherEvent, mob_id: str = "m") -> None:
    events = [
        NewMobEvent(mob_id=MobId(mob_id), kind=kind, allow_other=isinstance(kind, OtherEvent))
        for kind in kinds
    ]
    page.run(page.stores.events.append_batch(events))


def members(page: Page) -> dict[str, Any]:
    return {each["member_id"]: each for each in page.ask("roster", mob_id="m")["members"]}


def test_unknown_keys_of_known_kinds_are_dropped_as_the_reference_does(page: Page) -> None:
    more = json.loads(spawned("ann").to_json()) | {"bridge": {"z": 1}}
    append(
        page,
        OtherEvent.from_json(json.dumps(more)),
        OtherEvent(type="meerkat_spawned", fields={"meerkat_id": "bob", "bridge": 1}),
        OtherEvent(type="meerkat_spawned", fields={"meerkat_id": {}, "role": [], "bridge": 1}),
        OtherEvent(type="member_spawned", fields={"agent_identity": "zoe"}),
        OtherEvent(type="mob_reset", fields={"by": "ann"}),
    )
    assert [(name, one["state"]) for name, one in members(page).items()] == [("ann", "reset")]


def test_members_come_and_go(page: Page) -> None:
    append(page, spawned("a"), spawned("b"), wired("a", "b"), retired("a"))
    found = members(page)
    assert [found[each]["state"] for each in ("a", "b")] == ["retired", "active"]
    assert found["a"]["left_at"] is not None
    assert found["b"]["left_at"] is None
    assert found["a"]["wired_to"] == found["b"]["wired_to"] == []


def test_a_member_that_is_spawned_again_starts_over(page: Page) -> None:
    append(page, spawned("a"), spawned("b"), wired("a", "b"), retired("a"), spawned("a", "editor"))
    found = members(page)
    assert list(found) == ["a", "b"]
    assert (found["a"]["state"], found["a"]["role"]) == ("active", "editor")
    assert found["a"]["left_at"] is None
    assert found["b"]["wired_to"] == []
    append(page, wired("b", "a"), spawned("b"))  # without a retirement
    assert members(page)["a"]["wired_to"] == []


def test_wires_hold_between_present_members(page: Page) -> None:
    append(
        page, spawned("a"), spawned("b"), spawned("c"), wired("a", "b"), wired("b", "a"),
        wired("a", "c"), wired("a", "nobody"), wired("a", "a"),
    )  # fmt: skip
    assert members(page)["a"]["wired_to"] == ["b", "c", "a"]
    append(page, PeersUnwired(a=MeerkatId("b"), b=MeerkatId("a")))
    found = members(page)
    assert (found["a"]["wired_to"], found["b"]["wired_to"]) == (["c", "a"], [])
    append(page, retired("a"))
    assert [each["wired_to"] for each in members(page).values()] == [[], [], []]


def test_peers_outside(page: Page) -> None:
    local = MeerkatId("a")
    append(page, spawned("a"), ExternalPeerWired(local=local, spec=PEER))
    assert members(page)["a"]["external_peers"] == ["press"]
    append(page, ExternalPeerUnwired(local=local, peer_name="press"))
    assert members(page)["a"]["external_peers"] == []


def test_a_reset_and_a_completion(page: Page) -> None:
    append(page, spawned("a"), spawned("b"), retired("b"), MobCompleted())
    assert page.ask("roster", mob_id="m")["state"] == "completed"
    append(page, MobReset())
    roster = page.ask("roster", mob_id="m")
    assert roster["state"] == "active"
    assert [each["state"] for each in roster["members"]] == ["reset", "retired"]


def test_backend_and_first_turn_of_a_member(page: Page) -> None:
    peer = BackendPeerMember(peer_id="p", address="https://desk.example/a")
    kickoff = MobMemberKickoffSnapshot(
        phase="failed",
        error="overloaded",
        updated_at=SystemTime(secs_since_epoch=1, nanos_since_epoch=0),
    )
    append(
        page,
        MeerkatSpawned(meerkat_id=MeerkatId("a"), role=ProfileName("w"), member_ref=peer),
        MeerkatKickoffUpdated(meerkat_id=MeerkatId("a"), kickoff=kickoff),
        MeerkatKickoffUpdated(meerkat_id=MeerkatId("nobody"), kickoff=kickoff),
    )
    (found,) = members(page).values()
    assert (found["backend"], found["address"], found["session_id"]) == (
        "backend_peer", "https://desk.example/a", None,
    )  # fmt: skip
    assert (found["kickoff"], found["kickoff_error"]) == ("failed", "overloaded")


def test_tasks(page: Page) -> None:
    task = TaskCreated(task_id=TaskId("t"), subject="s", description="d", blocked_by=(TaskId("u"),))
    append(
        page, spawned("a"), task,
        TaskUpdated(task_id=TaskId("t"), status="in_progress", owner=MeerkatId("a")),
        TaskUpdated(task_id=TaskId("never made"), status="open", owner=MeerkatId("a")),
    )  # fmt: skip
    roster = page.ask("roster", mob_id="m")
    (told,) = roster["tasks"]
    assert (told["status"], told["owner"], told["blocked_by"]) == ("in_progress", "a", ["u"])
    assert roster["members"][0]["tasks"] == ["t"]
    append(page, TaskUpdated(task_id=TaskId("t"), status="completed"), MobReset())
    roster = page.ask("roster", mob_id="m")
    assert [(told["status"], told["owner"]) for told in roster["tasks"]] == [("completed", None)]
    assert roster["members"][0]["tasks"] == []


@pytest.fixture
def rows_read(page: Page, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows that each read of the log returned."""
    counts: list[int] = []
    read = page.stores.engine.read

    async def counted(make: Callable[[], Script[object]]) -> object:
        result = await read(make)
        if isinstance(result, Slice):
            counts.append(len(result.rows))
        return result

    monkeypatch.setattr(page.stores.engine, "read", counted)
    return counts


def test_only_new_events_are_read_again(page: Page, rows_read: list[int]) -> None:
    append(page, spawned("a"), spawned("x"))
    append(page, spawned("y"), mob_id="another mob")
    assert list(members(page)) == ["a", "x"]
    append(page, spawned("b"))
    assert list(members(page)) == ["a", "x", "b"]
    assert rows_read == [3, 1]
    assert page.told == [(3, 3), (4, 4)]


def test_a_corrupt_event_changes_nothing(page: Page) -> None:
    append(page, spawned("a"), spawned("b"))
    page.ask("roster", mob_id="m")
    append(page, spawned("c"))

    def damage(kind: str) -> None:
        def script() -> Script[None]:
            (row,) = yield (Get(EVENTS, (3,)),)
            return Commit(None, (Put(EVENTS, (row._replace(kind=kind),)),))

        page.run(page.stores.engine.write(script))

    damage("{")
    for _ in range(2):
        assert page.failure("roster", mob_id="m")["kind"] == "data"
    damage(spawned("d").to_json())
    assert list(members(page)) == ["a", "b", "d"]


def test_another_log_is_read_from_its_beginning(page: Page) -> None:
    append(page, spawned("a"))
    assert list(members(page)) == ["a"]
    page.ask("erase")
    append(page, spawned("b"), spawned("c"))  # its last cursor is beyond that of the first log
    assert list(members(page)) == ["b", "c"]
    page.run(page.stores.events.clear())
    assert members(page) == {}


def test_an_unknown_mob(page: Page) -> None:
    roster = page.ask("roster", mob_id="nobody")
    assert (roster["members"], roster["tasks"], roster["as_of_cursor"]) == ([], [], 0)


@pytest.mark.slow
def test_calls_at_the_same_time_read_one_log(page: Page) -> None:
    kinds = [spawned("a"), *[MobReset(), spawned("a")] * 3000, retired("a"), spawned("b")]
    append(page, *kinds)

    async def at_once() -> list[str]:
        calls = [
            page.inspector.call(method, json.dumps(params))
            for method, params in (
                ("roster", {"mob_id": "m"}),
                ("events", {"limit": 100}),
                ("roster", {"mob_id": "m"}),
                ("events", {"newest_first": True}),
                ("overview", {}),
            )
        ]
        return await asyncio.gather(*calls)

    first, _, second, _, overview = (json.loads(text)["result"] for text in page.run(at_once()))
    assert first == second == page.ask("roster", mob_id="m")
    assert [each["state"] for each in first["members"]] == ["retired", "active"]
    assert overview["events"] == len(kinds)


@pytest.mark.slow
def test_a_long_log_is_read_in_pages_with_progress(page: Page) -> None:
    append(page, *[MobReset()] * 1200, spawned("last"))
    assert list(members(page)) == ["last"]
    assert page.told == [(500, 1201), (1000, 1201), (1201, 1201)]
