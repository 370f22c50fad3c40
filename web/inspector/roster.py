"""Rosters and task boards of all mobs, folded from the log as the reference does.

A member joins with `meerkat_spawned` and leaves with `meerkat_retired` or `mob_reset`. Wires hold
between present members. Tasks stay on the board when the mob is reset.

The log is read once; later only new events are read.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from itertools import islice
from typing import Any, Literal, cast

from inspector.batched_reads import MOST_DECODED
from inspector.eventlog import Slice, log_slice
from inspector.formatting import (
    abbreviate,
    first_names,
    format_timestamp,
    parse_json,
    truncate,
)
from inspector.results import Member, Progress, Roster, Task
from mobstore.errors import SerializationError
from mobstore.model.event import EVENT_KINDS, event_kind_from_json
from mobstore.scripts.tables import EventRow
from mobstore.scripts.transaction import Engine

_ROWS_AT_ONCE = 500  # in IndexedDB, writers wait while they are read
_MOST = 500  # members, and tasks
_MOST_LABELS = 50
_LONGEST = 2000  # characters of a text


class RosterFold:
    """The rosters of all mobs up to a cursor.

    Attributes:
        cursor: the cursor of the last event added, 0 at first.
        first: the first event of the log, None at first. If it changes, the log is another one.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.cursor = 0
        self.first: EventRow | None = None
        self._mobs: defaultdict[str, _Mob] = defaultdict(_Mob)

    def add(self, found: Slice) -> None:
        """Add a slice of the log if it continues at `cursor`; start over if the log is another one.

        Raises:
            SerializationError: an event is corrupt; nothing is added.
        """
        if self.first not in {None, found.first}:
            self._reset()
        if found.after != self.cursor or not found.rows:
            return
        events = [_decoded(row) for row in found.rows]
        for row, event in zip(found.rows, events, strict=True):
            self._mobs[row.mob_id].add(row, event)
        self.first, self.cursor = found.first, found.rows[-1].cursor

    async def follow(self, engine: Engine, progress: Progress | None) -> None:
        """Add all new events; report the cursor reached and the last one of the log.

        Raises:
            SerializationError: an event is corrupt.
        """
        while True:
            found = await engine.read(partial(log_slice, self.cursor, _ROWS_AT_ONCE))
            self.add(found)
            if progress:
                progress(self.cursor, found.last)
            if self.cursor >= found.last:
                return

    def roster(self, mob_id: str) -> Roster:
        """Return the roster of a mob."""
        return self._mobs.get(mob_id, _Mob()).roster(mob_id)


class _Mob:
    """The roster of one mob, folded from its events."""

    def __init__(self) -> None:
        self._cursor = 0
        self._completed = False
        self._members: dict[str, _Member] = {}
        self._present_members: dict[str, _Member] = {}
        self._tasks: dict[str, Task] = {}

    def add(self, row: EventRow, event: dict[str, Any] | None) -> None:
        """Add the next event."""
        self._cursor = row.cursor
        if event is not None:
            self._apply(event, format_timestamp(row.timestamp))

    def roster(self, mob_id: str) -> Roster:
        """Return the roster so far."""
        owned: dict[str | None, list[str]] = {}
        for task in self._tasks.values():
            owned.setdefault(task["owner"], []).append(task["task_id"])
        members = list(islice(self._members.values(), _MOST))
        tasks = list(islice(self._tasks.values(), _MOST))
        return {
            "mob_id": mob_id,
            "state": "completed" if self._completed else "active",
            "as_of_cursor": self._cursor,
            "members": [member.to_result(owned.get(member.member_id, [])) for member in members],
            "members_left_out": len(self._members) - len(members),
            "tasks": tasks,
            "tasks_left_out": len(self._tasks) - len(tasks),
        }

    def _apply(self, event: dict[str, Any], at: str) -> None:
        match event["type"]:
            case "mob_created":
                self._completed = False
            case "mob_completed":
                self._completed = True
            case "mob_reset":
                self._completed = False
                for member_id in tuple(self._present_members):
                    self._leave(member_id, "reset", at)
            case "meerkat_spawned":
                self._leave(event["meerkat_id"], "retired", at)
                member = _Member(event, at)
                self._members[member.member_id] = self._present_members[member.member_id] = member
            case "meerkat_retired":
                self._leave(event["meerkat_id"], "retired", at)
            case "meerkat_kickoff_updated":
                for member in self._present(event["meerkat_id"]):
                    error = event["kickoff"].get("error")
                    member.kickoff = event["kickoff"]["phase"]
                    member.kickoff_error = error and abbreviate(error, _LONGEST)
            case "peers_wired" | "peers_unwired" as kind:
                both = self._present(event["a"], event["b"])
                if len(both) == 2:
                    for member, peer in zip(both, (event["b"], event["a"]), strict=True):
                        _set_membership(member.wired_to, peer, present=kind == "peers_wired")
            case "external_peer_wired":
                for member in self._present(event["local"]):
                    _set_membership(member.external_peers, event["spec"]["name"], present=True)
            case "external_peer_unwired":
                for member in self._present(event["local"]):
                    _set_membership(member.external_peers, event["peer_name"], present=False)
            case "task_created":
                self._tasks[event["task_id"]] = _created(event, at)
            case "task_updated":
                if task := self._tasks.get(event["task_id"]):
                    task["status"], task["owner"] = event["status"], event["owner"]
                    task["changed_at"] = at
            case _:
                pass  # not about members or tasks

    def _present(self, *member_ids: str) -> list[_Member]:
        """Return those of the members that are present."""
        return [
            self._present_members[member_id]
            for member_id in member_ids
            if member_id in self._present_members
        ]

    def _leave(self, member_id: str, state: Literal["retired", "reset"], at: str) -> None:
        if member := self._present_members.pop(member_id, None):
            for peer in self._present(*member.wired_to):
                _set_membership(peer.wired_to, member_id, present=False)
            member.state, member.left_at = state, at
            member.wired_to, member.external_peers = {}, {}


class _Member:
    """A member. Sets of names are dicts: they keep the order and have fast lookups."""

    def __init__(self, event: dict[str, Any], at: str) -> None:
        ref = event["member_ref"]
        self.member_id: str = event["meerkat_id"]
        self.state: Literal["active", "retired", "reset"] = "active"
        self.left_at: str | None = None
        self.kickoff: str | None = None
        self.kickoff_error: str | None = None
        self.wired_to: dict[str, None] = {}
        self.external_peers: dict[str, None] = {}
        self._role: str = event["role"]
        self._runtime_mode: str = event["runtime_mode"]
        self._backend: str = ref["kind"]
        self._session_id: str | None = ref.get("session_id")
        self._address: str | None = ref.get("address")
        labels: dict[str, str] = event.get("labels", {})
        self._labels = {
            truncate(key): truncate(text) for key, text in islice(labels.items(), _MOST_LABELS)
        }
        self._spawned_at = at

    def to_result(self, tasks: list[str]) -> Member:
        """Return the member, with the tasks that it owns."""
        return {
            "member_id": self.member_id,
            "role": self._role,
            "state": self.state,
            "runtime_mode": self._runtime_mode,
            "backend": self._backend,
            "session_id": self._session_id,
            "address": self._address,
            "labels": self._labels,
            "spawned_at": self._spawned_at,
            "left_at": self.left_at,
            "kickoff": self.kickoff,
            "kickoff_error": self.kickoff_error,
            "wired_to": first_names(self.wired_to),
            "external_peers": first_names(self.external_peers),
            "tasks": first_names(tasks),
        }


def _decoded(row: EventRow) -> dict[str, Any] | None:
    if row.type.startswith(("step_", "flow_")) or len(row.kind) > MOST_DECODED:
        return None  # most of a log, and not about members; or too long to decode
    event = cast("dict[str, Any]", parse_json(row.kind, f"event {row.cursor}"))
    known = EVENT_KINDS.models.get(row.type)
    if known is None:
        return None
    if event.keys() <= known.model_fields.keys():
        return event
    try:  # without its unknown keys
        return cast("dict[str, Any]", json.loads(event_kind_from_json(row.kind).to_json()))
    except SerializationError:
        return None


def _created(event: dict[str, Any], at: str) -> Task:
    return {
        "task_id": event["task_id"],
        "subject": truncate(event["subject"]),
        "description": abbreviate(event["description"], _LONGEST),
        "status": "open",
        "owner": None,
        "blocked_by": first_names(event["blocked_by"]),
        "changed_at": at,
    }


def _set_membership(ids: dict[str, None], wanted: str, *, present: bool) -> None:
    if present:
        ids[wanted] = None
    else:
        ids.pop(wanted, None)
