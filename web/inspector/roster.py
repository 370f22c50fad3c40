"""The rosters and task boards of all mobs, folded from the log as the reference does it.

A member comes with `meerkat_spawned` and goes with `meerkat_retired` or `mob_reset`; wires hold
between members that are there. A board knows the tasks that were created, and no reset.

Membership is a few events among many, and no index finds them. So the log is read once, whoever
reads it gives its rows to the fold, and then only what is new.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import Any, Literal, cast

from inspector.eventlog import Slice, log_slice
from inspector.shapes import Member, Progress, Roster, Task
from inspector.texts import parsed, shown
from mobstore.tables import EventRow
from mobstore.transaction import Engine

_ROWS_AT_ONCE = 5000


class Fold:
    """What the log tells up to a cursor.

    Attributes:
        cursor: that of the last event taken in, 0 at first.
        first: the first event of the log, None at first; another one is the sign of another log.
        events: how many events each mob has.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.cursor = 0
        self.first: EventRow | None = None
        self.events = Counter[str]()
        self._mobs: defaultdict[str, _Mob] = defaultdict(_Mob)

    def take(self, found: Slice) -> None:
        """Take in a slice of the log if it goes on where this stands; forget all of another log.

        Raises:
            SerializationError: an event cannot be read; nothing is taken in.
        """
        if self.first not in {None, found.first}:
            self._forget()
        if found.after != self.cursor or not found.rows:
            return
        events = [_decoded(row) for row in found.rows]
        for row, event in zip(found.rows, events, strict=True):
            self._mobs[row.mob_id].take(row, event)
        self.first, self.cursor = found.first, found.rows[-1].cursor
        self.events.update(row.mob_id for row in found.rows)

    async def follow(self, engine: Engine, progress: Progress | None) -> None:
        """Read what is new in the log; tells cursors, the last one read and the last there is.

        Raises:
            SerializationError: an event cannot be read.
        """
        while True:
            found = await engine.read(partial(log_slice, self.cursor, _ROWS_AT_ONCE))
            self.take(found)
            if progress:
                progress(self.cursor, found.last)
            if self.cursor >= found.last:
                return

    def roster(self, mob_id: str) -> Roster:
        """What is told of a mob."""
        return self._mobs.get(mob_id, _Mob()).roster(mob_id)


class _Mob:
    """What the events of one mob tell."""

    def __init__(self) -> None:
        self._cursor = 0
        self._completed = False
        self._members: dict[str, Member] = {}
        self._tasks: dict[str, Task] = {}

    def take(self, row: EventRow, event: dict[str, Any] | None) -> None:
        """Take in the next event."""
        self._cursor = row.cursor
        if event is not None:
            self._take(event, shown(row.timestamp))

    def roster(self, mob_id: str) -> Roster:
        """What they tell so far."""
        owned: dict[str | None, list[str]] = {}
        for task in self._tasks.values():
            owned.setdefault(task["owner"], []).append(task["task_id"])
        for member_id, member in self._members.items():
            member["tasks"] = owned.get(member_id, [])
        return {
            "mob_id": mob_id,
            "state": "completed" if self._completed else "active",
            "as_of_cursor": self._cursor,
            "members": list(self._members.values()),
            "tasks": list(self._tasks.values()),
        }

    def _take(self, event: dict[str, Any], at: str) -> None:
        match event["type"]:
            case "mob_created":
                self._completed = False
            case "mob_completed":
                self._completed = True
            case "mob_reset":
                self._completed = False
                for member in self._members.values():
                    self._leave(member["member_id"], "reset", at)
            case "meerkat_spawned":
                self._leave(event["meerkat_id"], "retired", at)
                self._members[event["meerkat_id"]] = _spawned(event, at)
            case "meerkat_retired":
                self._leave(event["meerkat_id"], "retired", at)
            case "meerkat_kickoff_updated":
                for member in self._present(event["meerkat_id"]):
                    member["kickoff"] = event["kickoff"]["phase"]
                    member["kickoff_error"] = event["kickoff"].get("error")
            case "peers_wired" | "peers_unwired" as kind:
                both = self._present(event["a"], event["b"])
                if len(both) == 2:
                    for member, peer in zip(both, (event["b"], event["a"]), strict=True):
                        _set_in(member["wired_to"], peer, present=kind == "peers_wired")
            case "external_peer_wired":
                for member in self._present(event["local"]):
                    _set_in(member["external_peers"], event["spec"]["name"], present=True)
            case "external_peer_unwired":
                for member in self._present(event["local"]):
                    _set_in(member["external_peers"], event["peer_name"], present=False)
            case "task_created":
                self._tasks[event["task_id"]] = _created(event, at)
            case "task_updated":
                if task := self._tasks.get(event["task_id"]):
                    task["status"], task["owner"] = event["status"], event["owner"]
                    task["changed_at"] = at
            case _:
                pass  # tells nothing about members or tasks

    def _present(self, *member_ids: str) -> list[Member]:
        """Those of the members that are there."""
        found = [self._members.get(member_id) for member_id in member_ids]
        return [member for member in found if member and member["state"] == "active"]

    def _leave(self, member_id: str, state: Literal["retired", "reset"], at: str) -> None:
        for member in self._present(member_id):
            for peer in tuple(member["wired_to"]):  # a member may be wired to itself
                _set_in(self._members[peer]["wired_to"], member_id, present=False)
            member["state"], member["left_at"] = state, at
            member["wired_to"], member["external_peers"] = [], []


def _decoded(row: EventRow) -> dict[str, Any] | None:
    if row.type.startswith(("step_", "flow_")):
        return None  # nearly all of a log, and silent about members
    return cast("dict[str, Any]", parsed(row.kind, f"event {row.cursor}"))


def _spawned(event: dict[str, Any], at: str) -> Member:
    ref = event["member_ref"]
    return {
        "member_id": event["meerkat_id"],
        "role": event["role"],
        "state": "active",
        "runtime_mode": event["runtime_mode"],
        "backend": ref["kind"],
        "session_id": ref.get("session_id"),
        "address": ref.get("address"),
        "labels": event.get("labels", {}),
        "spawned_at": at,
        "left_at": None,
        "kickoff": None,
        "kickoff_error": None,
        "wired_to": [],
        "external_peers": [],
        "tasks": [],
    }


def _created(event: dict[str, Any], at: str) -> Task:
    return {
        "task_id": event["task_id"],
        "subject": event["subject"],
        "description": event["description"],
        "status": "open",
        "owner": None,
        "blocked_by": event["blocked_by"],
        "changed_at": at,
    }


def _set_in(ids: list[str], wanted: str, *, present: bool) -> None:
    if present and wanted not in ids:
        ids.append(wanted)
    elif not present and wanted in ids:
        ids.remove(wanted)
