"""The rosters and task boards of all mobs, folded from the log as the reference does it.

A member comes with `meerkat_spawned` and goes with `meerkat_retired` or `mob_reset`; wires hold
between members that are there. A board knows the tasks that were created, and no reset.

Membership is a few events among many, and no index finds them. So the log is read once, whoever
reads it gives its rows to the fold, and then only what is new.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from itertools import islice
from typing import Any, Literal, cast

from inspector.eventlog import Slice, log_slice
from inspector.pieces import PARSED
from inspector.shapes import Member, Progress, Roster, Task
from inspector.texts import cut, listed, parsed, shortened, shown
from mobstore.scripts.tables import EventRow
from mobstore.scripts.transaction import Engine

_ROWS_AT_ONCE = 5000
_MOST = 500  # members, and tasks
_MOST_LABELS = 50
_LONGEST = 2000  # characters of a text


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
        self._members: dict[str, _Member] = {}
        self._here: dict[str, _Member] = {}
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
        members = list(islice(self._members.values(), _MOST))
        tasks = list(islice(self._tasks.values(), _MOST))
        return {
            "mob_id": mob_id,
            "state": "completed" if self._completed else "active",
            "as_of_cursor": self._cursor,
            "members": [member.told(owned.get(member.member_id, [])) for member in members],
            "members_left_out": len(self._members) - len(members),
            "tasks": tasks,
            "tasks_left_out": len(self._tasks) - len(tasks),
        }

    def _take(self, event: dict[str, Any], at: str) -> None:
        match event["type"]:
            case "mob_created":
                self._completed = False
            case "mob_completed":
                self._completed = True
            case "mob_reset":
                self._completed = False
                for member_id in tuple(self._here):
                    self._leave(member_id, "reset", at)
            case "meerkat_spawned":
                self._leave(event["meerkat_id"], "retired", at)
                member = _Member(event, at)
                self._members[member.member_id] = self._here[member.member_id] = member
            case "meerkat_retired":
                self._leave(event["meerkat_id"], "retired", at)
            case "meerkat_kickoff_updated":
                for member in self._present(event["meerkat_id"]):
                    error = event["kickoff"].get("error")
                    member.kickoff = event["kickoff"]["phase"]
                    member.kickoff_error = error and shortened(error, _LONGEST)
            case "peers_wired" | "peers_unwired" as kind:
                both = self._present(event["a"], event["b"])
                if len(both) == 2:
                    for member, peer in zip(both, (event["b"], event["a"]), strict=True):
                        _set_in(member.wired_to, peer, present=kind == "peers_wired")
            case "external_peer_wired":
                for member in self._present(event["local"]):
                    _set_in(member.external_peers, event["spec"]["name"], present=True)
            case "external_peer_unwired":
                for member in self._present(event["local"]):
                    _set_in(member.external_peers, event["peer_name"], present=False)
            case "task_created":
                self._tasks[event["task_id"]] = _created(event, at)
            case "task_updated":
                if task := self._tasks.get(event["task_id"]):
                    task["status"], task["owner"] = event["status"], event["owner"]
                    task["changed_at"] = at
            case _:
                pass  # tells nothing about members or tasks

    def _present(self, *member_ids: str) -> list[_Member]:
        """Those of the members that are there."""
        return [self._here[member_id] for member_id in member_ids if member_id in self._here]

    def _leave(self, member_id: str, state: Literal["retired", "reset"], at: str) -> None:
        if member := self._here.pop(member_id, None):
            for peer in self._present(*member.wired_to):
                _set_in(peer.wired_to, member_id, present=False)
            member.state, member.left_at = state, at
            member.wired_to, member.external_peers = {}, {}


class _Member:
    """A member; sets of names are dicts, which keep the order and find a name at once."""

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
        self._labels = {cut(key): cut(text) for key, text in islice(labels.items(), _MOST_LABELS)}
        self._spawned_at = at

    def told(self, tasks: list[str]) -> Member:
        """What is told of the member, who owns these tasks."""
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
            "wired_to": listed(self.wired_to),
            "external_peers": listed(self.external_peers),
            "tasks": listed(tasks),
        }


def _decoded(row: EventRow) -> dict[str, Any] | None:
    if row.type.startswith(("step_", "flow_")) or len(row.kind) > PARSED:
        return None  # nearly all of a log, and silent about members; or too long
    return cast("dict[str, Any]", parsed(row.kind, f"event {row.cursor}"))


def _created(event: dict[str, Any], at: str) -> Task:
    return {
        "task_id": event["task_id"],
        "subject": cut(event["subject"]),
        "description": shortened(event["description"], _LONGEST),
        "status": "open",
        "owner": None,
        "blocked_by": listed(event["blocked_by"]),
        "changed_at": at,
    }


def _set_in(ids: dict[str, None], wanted: str, *, present: bool) -> None:
    if present:
        ids[wanted] = None
    else:
        ids.pop(wanted, None)
