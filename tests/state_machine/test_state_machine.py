"""Random calls on all four stores, against an oracle of plain dicts.

The oracle is written from the contract and shares no code with the package: kernel states are
names of a pool with several spellings each, times are texts that the machine's own clock gives.
No rule knows an engine; a `Subject` does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

import mobstore
from mobstore import (
    FailureLedgerEntry,
    FrameSnapshot,
    KernelState,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    MobDefinition,
    MobRun,
    MobStoreError,
    MobStores,
    NewMobEvent,
    Profile,
    StepLedgerEntry,
    Timestamp,
    event_kind_from_json,
)
from state_machine.elsewhere import Elsewhere
from state_machine.subjects import Memory, Pending, Sqlite, Subject

pytestmark = pytest.mark.slow

T = TypeVar("T")

# Small pools, so that calls meet -----------------------------------------------------------------

RUN_IDS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(2)]
MOBS = ["", "desk"]
FLOWS = ["daily", ""]
STEPS = ["s", "t", "é\0"]
MEMBERS = ["w-1", "w-2"]
FRAMES = ["f", ""]
LOOPS = ["l", "l::x"]
NAMES = ["\uffff", "\U0001f40c", ""]
STATUSES = ["pending", "running", "completed", "failed", "canceled"]
STEP_STATUSES = ["dispatched", "completed", "failed"]
TIMES = [
    "2026-03-04T05:06:07Z",
    "2026-03-04T05:06:07.000000001Z",
    "-0001-01-01T00:00:00Z",
    "+10000-01-01T00:00:00Z",
]

# Name: the canonical text, then another spelling of the same state.
STATES: dict[str, list[str]] = {
    "empty": ['{"phase":"","fields":{}}', '{ "fields" : {}, "phase" : "" }'],
    "true": ['{"phase":"P","fields":{"x":{"type":"bool","value":true}}}'],
    "one": [
        '{"phase":"P","fields":{"x":{"type":"u64","value":1}}}',
        '{"phase":"P","fields":{"x":{"value":1,"type":"u64","more":null}}}',
    ],
    "text": [
        '{"phase":"P","fields":{"x":{"type":"string","value":"1"}}}',
        '{"fields":{"x":{"type":"string","value":"\\u0031"}},"phase":"P"}',
    ],
    "set": [
        '{"phase":"P","fields":{"a":{"type":"set","items":[{"type":"bool","value":true},'
        '{"type":"u64","value":1}]},"b":{"type":"none"}}}',
        '{"phase":"P","fields":{"b":{"type":"none"},"a":{"type":"set","items":['
        '{"type":"u64","value":1},{"type":"bool","value":true},{"type":"u64","value":1}]}}}',
    ],
}
OUTPUTS: list[Any] = [None, 1, 1.0, True, "x", {"b": 1, "a": [1, 1.5, False]}, [], 2**64 - 1, -0.5]
KINDS: list[dict[str, Any]] = [
    {"type": "mob_reset"},
    {"type": "peers_wired", "a": "w-1", "b": "w-2"},
    {"type": "flow_started", "run_id": RUN_IDS[0], "flow_id": "daily", "params": {"a": [1, 1.0]}},
    {"type": "task_updated", "task_id": "t", "status": "in_progress", "owner": None},
]

runs = st.sampled_from(RUN_IDS)
states = st.sampled_from(sorted(STATES))
frames, loops = st.sampled_from(FRAMES), st.sampled_from(LOOPS)
mobs, names = st.sampled_from(MOBS), st.sampled_from(NAMES)
step_ids, outputs = st.sampled_from(STEPS), st.sampled_from(OUTPUTS)
spelling = st.integers(0, 1)
ways = st.integers(0, 3)
revisions = st.sampled_from([None, 0, 1, 2, 3, 2**64 - 1])


def _entry(loop_id: str, iteration: int, frame_id: str) -> dict[str, Any]:
    return {"loop_instance_id": loop_id, "iteration": iteration, "frame_id": frame_id}


entries = st.builds(_entry, loops, st.sampled_from([0, 1, 2**64 - 1]), frames)


def state(name: str, spelling: int = 0) -> KernelState:
    return KernelState.from_json(STATES[name][spelling % len(STATES[name])])


def frame(name: str, spelling: int = 0) -> FrameSnapshot:
    return FrameSnapshot(kernel_state=state(name, spelling))


def loop(name: str, spelling: int = 0) -> LoopSnapshot:
    return LoopSnapshot(kernel_state=state(name, spelling))


def ledger_entry(value: dict[str, Any]) -> LoopIterationLedgerEntry:
    return LoopIterationLedgerEntry.from_json(json.dumps(value))


def profile(model: str) -> dict[str, Any]:
    tools = dict.fromkeys(
        ["builtins", "shell", "comms", "memory", "mob", "mob_tasks", "schedule"], False
    )
    return {
        "model": model,
        "skills": [],
        "tools": {**tools, "mcp": [], "rust_bundles": []},
        "peer_description": "",
        "external_addressable": False,
        "backend": None,
        "runtime_mode": "autonomous_host",
        "max_inline_peer_notifications": None,
        "output_schema": None,
        "provider_params": {"n": [1, 1.0, True]},
    }


def typed(value: Any) -> str:
    """A text that tells 1 from 1.0 and True, and sees the order of keys."""
    return json.dumps(value)


class _Refused(NamedTuple):
    """What the oracle answers when the contract says that a call raises."""

    kind: str
    text: str


NOT_FOUND = "NotFoundError", "Not found: "
INTERNAL = "InternalError", "Internal error: "
CONFLICT = "CasConflictError", "CAS conflict: "


class Runner(Protocol):
    """What runs a coroutine to its end from rules, which are not async."""

    def run(self, coro: Coroutine[Any, Any, T], /) -> T: ...

    def close(self) -> None: ...


class Machine(RuleBasedStateMachine):
    """One set of stores and its oracle."""

    make: type[Subject]
    make_runner: type[Runner] = asyncio.Runner  # a browser has its own

    def __init__(self) -> None:
        super().__init__()
        self.runner = self.make_runner()
        self.subject = self.make()
        self.stores = self.runner.run(self.subject.open())  # those that the rules use
        self.others: list[MobStores] = []  # the same stores, opened once more
        self.readers: list[MobStores] = []  # and opened only to read
        self.events: list[dict[str, Any]] = []
        self.next_cursor = 1
        self.runs: dict[str, dict[str, Any]] = {}  # in the order of creation
        self.specs: dict[str, tuple[dict[str, Any], int]] = {}
        self.profiles: dict[str, dict[str, Any]] = {}

    def teardown(self) -> None:
        for stores in (self.stores, *self.others, *self.readers):
            self.runner.run(stores.close())
        self.runner.close()
        self.subject.dispose()

    # Calling and comparing -----------------------------------------------------------------------

    def same(self, call: Awaitable[Any], expected: Any) -> Any:
        """The call answers what the oracle expects, an answer or an error."""

        async def outcome() -> Any:
            try:
                return await call
            except MobStoreError as error:
                return type(error).__name__, str(error)

        got = self.runner.run(outcome())
        if isinstance(expected, _Refused):
            assert got == tuple(expected), (got, expected)
            return got
        assert typed(_plain(got)) == typed(expected), (got, expected)
        return got

    @staticmethod
    def refusal(kind: tuple[str, str], detail: str) -> _Refused:
        return _Refused(kind[0], kind[1] + detail)

    def missing(self, run_id: str) -> _Refused | None:
        if run_id in self.runs:
            return None
        return self.refusal(NOT_FOUND, f"run not found: {run_id}")

    # Time and reopening --------------------------------------------------------------------------

    @rule(now=st.sampled_from(TIMES))
    def time_passes(self, now: str) -> None:
        self.subject.now = now

    @rule(way=ways)
    def reopen(self, way: int) -> None:
        self.stores = self.runner.run(self.subject.reopen(self.stores, way))

    @precondition(lambda self: self.subject.shared and len(self.others) < 2)
    @rule(way=ways)
    def open_once_more(self, way: int) -> None:
        self.others.append(self.stores)
        self.stores = self.runner.run(self.subject.open(way))

    @precondition(lambda self: self.others)
    @rule()
    def use_another(self) -> None:
        self.others.append(self.stores)
        self.stores = self.others.pop(0)

    @precondition(lambda self: self.others)
    @rule(newest=st.booleans())
    def close_another(self, newest: bool) -> None:
        self.runner.run(self.others.pop(-1 if newest else 0).close())

    @precondition(lambda self: self.subject.shared and len(self.readers) < 2)
    @rule(way=ways)
    def open_to_read(self, way: int) -> None:
        self.readers.append(self.runner.run(self.subject.open(way, read_only=True)))

    @precondition(lambda self: self.readers)
    @rule()
    def write_where_it_is_refused(self) -> None:
        refused = "the store was opened read-only; open it without read_only to write"
        event = NewMobEvent(mob_id=mobstore.MobId(""), kind=mobstore.MobReset())
        call = self.readers[0].events.append(event)
        self.same(call, self.refusal(INTERNAL, refused))

    @precondition(lambda self: self.readers)
    @rule(newest=st.booleans())
    def close_a_reader(self, newest: bool) -> None:
        self.runner.run(self.readers.pop(-1 if newest else 0).close())

    @precondition(lambda self: self.subject.shared)
    @rule(way=ways, read_only=st.booleans())
    def open_and_close(self, way: int, read_only: bool) -> None:
        """Once more, and for nothing: it must not disturb those that are open."""

        async def both() -> None:
            await (await self.subject.open(way, read_only=read_only)).close()

        self.runner.run(both())

    @precondition(lambda self: self.subject.elsewhere)
    @rule(mob=mobs, kind=st.sampled_from(KINDS), way=ways)
    def append_elsewhere(self, mob: str, kind: dict[str, Any], way: int) -> None:
        """Another process opens the stores, appends an event, and closes them."""
        event = self._event(mob, kind, TIMES[1])
        appended = self.subject.append_elsewhere(event, way)
        assert typed(_plain(appended)) == typed(self.events[-1])

    # Events --------------------------------------------------------------------------------------

    def _event(self, mob: str, kind: dict[str, Any], time: str | None) -> NewMobEvent:
        self.events.append(
            {
                "cursor": self.next_cursor,
                "timestamp": time or self.subject.now,
                "mob_id": mob,
                "kind": kind,
            }
        )
        self.next_cursor += 1
        return NewMobEvent.model_validate(
            {
                "mob_id": mob,
                "kind": event_kind_from_json(json.dumps(kind)),
                "timestamp": time and Timestamp(time),
            }
        )

    @rule(mob=mobs, kind=st.sampled_from(KINDS), time=st.none() | st.sampled_from(TIMES))
    def append(self, mob: str, kind: dict[str, Any], time: str | None) -> None:
        event = self._event(mob, kind, time)
        self.same(self.stores.events.append(event), self.events[-1])

    @rule(
        batch=st.lists(
            st.tuples(mobs, st.sampled_from(KINDS), st.none() | st.sampled_from(TIMES)), max_size=3
        )
    )
    def append_batch(self, batch: list[tuple[str, dict[str, Any], str | None]]) -> None:
        events = [self._event(*one) for one in batch]
        expected = self.events[len(self.events) - len(batch) :]
        self.same(self.stores.events.append_batch(events), expected)

    @rule(
        after=st.integers(0, 12) | st.just(2**63 - 1), limit=st.integers(0, 4) | st.just(2**63 - 1)
    )
    def poll(self, after: int, limit: int) -> None:
        expected = [event for event in self.events if event["cursor"] > after][:limit]
        self.same(self.stores.events.poll(after, limit), expected)

    @rule(after=st.sampled_from([2**63, 2**64]))
    def poll_too_far(self, after: int) -> None:
        expected = self.refusal(INTERNAL, f"cursor value {after} exceeds i64::MAX")
        self.same(self.stores.events.poll(after, 1), expected)

    @rule()
    def clear(self) -> None:
        self.events = []
        self.same(self.stores.events.clear(), None)

    @rule(time=st.sampled_from(TIMES))
    def prune(self, time: str) -> None:
        order = [TIMES[2], TIMES[0], TIMES[1], TIMES[3]]
        kept = [e for e in self.events if order.index(e["timestamp"]) >= order.index(time)]
        removed, self.events = len(self.events) - len(kept), kept
        self.same(self.stores.events.prune(Timestamp(time)), removed)

    # Runs ----------------------------------------------------------------------------------------

    @initialize(run_id=runs, mob=mobs)
    def one_run_to_begin_with(self, run_id: str, mob: str) -> None:
        self.create_run(run_id, mob, "daily", "running", "empty", None, full=True)

    @rule(
        run_id=runs,
        mob=mobs,
        flow=st.sampled_from(FLOWS),
        status=st.sampled_from(STATUSES),
        name=states,
        params=outputs,
        full=st.booleans(),
    )
    def create_run(
        self, run_id: str, mob: str, flow: str, status: str, name: str, params: Any, *, full: bool
    ) -> None:
        run: dict[str, Any] = {
            "run_id": run_id,
            "mob_id": mob,
            "flow_id": flow,
            "status": status,
            "flow_state": name,
            "activation_params": params,
            "created_at": self.subject.now,
            "completed_at": TIMES[0] if full else None,
            "step_ledger": [],
            "failure_ledger": [],
            "frames": {},
            "loops": {},
            "loop_iteration_ledger": [],
            "schema_version": 4,
            "root_step_outputs": {},
            "loop_iteration_outputs": {},
        }
        if full:
            entry = {"step_id": "s", "meerkat_id": "w-1", "status": "dispatched"}
            run["step_ledger"] = [{**entry, "output": params, "timestamp": TIMES[1]}]
            run["failure_ledger"] = [{"step_id": "s", "reason": "", "timestamp": TIMES[3]}]
            run["frames"], run["loops"] = {"f": name}, {"l": name}
            run["loop_iteration_ledger"] = [
                {"loop_instance_id": "l", "iteration": 0, "frame_id": "f"}
            ]
            run["root_step_outputs"] = {"t": 1, "s": 2}
            run["loop_iteration_outputs"] = {"l": [{"t": 1, "s": 2}, {}]}
        argument = MobRun.from_json(json.dumps(_run(run)))
        expected: Any = None
        if run_id in self.runs:
            expected = self.refusal(INTERNAL, f"run already exists: {run_id}")
        else:
            self.runs[run_id] = run
        self.same(self.stores.runs.create_run(argument), expected)

    def _end(self, run: dict[str, Any], status: str) -> None:
        run["status"] = status
        if status in STATUSES[2:] and run["completed_at"] is None:
            run["completed_at"] = self.subject.now

    @rule(run_id=runs, before=st.sampled_from(STATUSES), after=st.sampled_from(STATUSES))
    def cas_run_status(self, run_id: str, before: Any, after: Any) -> None:
        run = self.runs.get(run_id)
        done = run is not None and run["status"] == before and before in STATUSES[:2]
        if run is not None and done:
            self._end(run, after)
        call = self.stores.runs.cas_run_status(UUID(run_id), expected=before, next=after)
        self.same(call, done)

    @rule(run_id=runs, before=states, after=states, spelling=spelling)
    def cas_flow_state(self, run_id: str, before: str, after: str, spelling: int) -> None:
        run = self.runs.get(run_id)
        done = run is not None and run["flow_state"] == before
        if run is not None and done:
            run["flow_state"] = after
        call = self.stores.runs.cas_flow_state(
            UUID(run_id), expected=state(before, spelling), next=state(after)
        )
        self.same(call, done)

    @rule(
        run_id=runs,
        status=st.sampled_from(STATUSES),
        next_status=st.sampled_from(STATUSES),
        before=states,
        after=states,
        right=st.booleans(),
        spelling=spelling,
    )
    def cas_run_snapshot(
        self,
        run_id: str,
        status: Any,
        next_status: Any,
        before: str,
        after: str,
        right: bool,
        spelling: int,
    ) -> None:
        run = self.runs.get(run_id)
        if run is not None and right:
            status, before = run["status"], run["flow_state"]
        done = (
            run is not None
            and run["status"] == status
            and status in STATUSES[:2]
            and run["flow_state"] == before
        )
        if run is not None and done:
            self._end(run, next_status)
            run["flow_state"] = after
        call = self.stores.runs.cas_run_snapshot(
            UUID(run_id),
            expected_status=status,
            expected_flow_state=state(before, spelling),
            next_status=next_status,
            next_flow_state=state(after),
        )
        self.same(call, done)

    @rule(
        run_id=runs,
        step=step_ids,
        meerkat=st.sampled_from(MEMBERS),
        status=st.sampled_from(STEP_STATUSES),
        output=outputs,
        if_absent=st.booleans(),
    )
    def append_step(
        self, run_id: str, step: str, meerkat: str, status: str, output: Any, if_absent: bool
    ) -> None:
        identity = {"step_id": step, "meerkat_id": meerkat, "status": status}
        entry = {**identity, "output": output, "timestamp": self.subject.now}
        expected: Any = self.missing(run_id)
        if expected is None:
            ledger = self.runs[run_id]["step_ledger"]
            there = any(identity.items() <= _hashable(old).items() for old in ledger)
            if if_absent:
                expected = not there
            if not (if_absent and there):
                ledger.append(entry)
        argument = StepLedgerEntry.from_json(json.dumps(entry))
        store = self.stores.runs
        append = store.append_step_entry_if_absent if if_absent else store.append_step_entry
        self.same(append(UUID(run_id), argument), expected)

    @rule(run_id=runs, step=step_ids, output=outputs)
    def put_step_output(self, run_id: str, step: str, output: Any) -> None:
        expected: Any = self.missing(run_id)
        if expected is None:
            of_step = [e for e in self.runs[run_id]["step_ledger"] if e["step_id"] == step]
            if of_step:
                of_step[-1]["output"] = output
            else:
                text = f"cannot set output for unknown step '{step}' in run '{run_id}'"
                expected = self.refusal(INTERNAL, text)
        self.same(self.stores.runs.put_step_output(UUID(run_id), step, output), expected)

    @rule(run_id=runs, step=step_ids, reason=st.sampled_from(["", "why"]))
    def append_failure(self, run_id: str, step: str, reason: str) -> None:
        entry = {"step_id": step, "reason": reason, "timestamp": self.subject.now}
        expected = self.missing(run_id)
        if expected is None:
            self.runs[run_id]["failure_ledger"].append(entry)
        argument = FailureLedgerEntry.from_json(json.dumps(entry))
        self.same(self.stores.runs.append_failure_entry(UUID(run_id), argument), expected)

    def _record_iteration(self, run_id: str, entry: dict[str, Any]) -> None:
        ledger = self.runs[run_id]["loop_iteration_ledger"]
        if entry not in ledger:
            ledger.append(entry)

    @rule(run_id=runs, loop_id=loops, name=states, entry=st.none() | entries)
    def upsert_loop(
        self, run_id: str, loop_id: str, name: str, entry: dict[str, Any] | None
    ) -> None:
        expected = self.missing(run_id)
        if expected is None:
            self.runs[run_id]["loops"][loop_id] = name
            if entry is not None:
                self._record_iteration(run_id, entry)
        call = self.stores.runs.upsert_loop_snapshot(
            UUID(run_id),
            loop_instance_id=loop_id,
            snapshot=loop(name),
            ledger_entry=None if entry is None else ledger_entry(entry),
        )
        self.same(call, expected)

    @rule(
        run_id=runs, frame_id=frames, before=st.none() | states, after=states, right=st.booleans()
    )
    def cas_frame_state(
        self, run_id: str, frame_id: str, before: str | None, after: str, right: bool
    ) -> None:
        expected: Any = self.missing(run_id)
        if expected is None:
            stored = self.runs[run_id]["frames"]
            if right:
                before = stored.get(frame_id)
            expected = stored.get(frame_id) == before
            if expected:
                stored[frame_id] = after
        call = self.stores.runs.cas_frame_state(
            UUID(run_id),
            frame_id=frame_id,
            expected=None if before is None else frame(before, 1),
            next=frame(after),
        )
        self.same(call, expected)

    @rule(
        run_id=runs,
        wrapper=st.sampled_from(
            ["grant_node_slot", "start_loop", "request_body", "start_body", "end_body", "end_loop"]
        ),
        flow_before=states,
        flow_after=states,
        frame_id=frames,
        frame_before=states,
        frame_after=states,
        loop_id=loops,
        loop_before=states,
        loop_after=states,
        entry=entries,
        right=st.integers(0, 9),
        spelling=spelling,
    )
    def cas_wrapper(
        self,
        run_id: str,
        wrapper: str,
        flow_before: str,
        flow_after: str,
        frame_id: str,
        frame_before: str,
        frame_after: str,
        loop_id: str,
        loop_before: str,
        loop_after: str,
        entry: dict[str, Any],
        right: int,
        spelling: int,
    ) -> None:
        expected: Any = self.missing(run_id)
        if expected is None:
            run = self.runs[run_id]
            if right:  # else chance decides, which seldom hits
                flow_before = run["flow_state"]
                frame_before = run["frames"].get(frame_id, frame_before)
                loop_before = run["loops"].get(loop_id, loop_before)
            adds_frame, adds_loop = wrapper == "start_body", wrapper == "start_loop"
            expected = run["flow_state"] == flow_before
            if wrapper != "request_body":
                stored = run["frames"].get(frame_id)
                expected = expected and stored == (None if adds_frame else frame_before)
            if wrapper != "grant_node_slot":
                stored = run["loops"].get(loop_id)
                expected = expected and stored == (None if adds_loop else loop_before)
            if expected:
                run["flow_state"] = flow_after
                if wrapper != "request_body":
                    run["frames"][frame_id] = frame_after
                if wrapper != "grant_node_slot":
                    run["loops"][loop_id] = loop_after
                if adds_frame:
                    self._record_iteration(run_id, entry)
        of_flow: dict[str, Any] = {
            "expected_run_state": state(flow_before, spelling),
            "next_run_state": state(flow_after),
        }
        of_frame: dict[str, Any] = {
            "frame_id": frame_id,
            "expected_frame": frame(frame_before, spelling),
            "next_frame": frame(frame_after),
        }
        of_loop: dict[str, Any] = {
            "loop_instance_id": loop_id,
            "expected_loop": loop(loop_before, spelling),
            "next_loop": loop(loop_after),
        }
        store, run_uuid = self.stores.runs, UUID(run_id)
        call: Awaitable[bool]
        if wrapper == "grant_node_slot":
            call = store.cas_grant_node_slot(run_uuid, **of_flow, **of_frame)
        elif wrapper == "start_loop":
            call = store.cas_start_loop(
                run_uuid,
                **of_flow,
                **of_frame,
                loop_instance_id=loop_id,
                initial_loop=loop(loop_after),
            )
        elif wrapper == "request_body":
            call = store.cas_loop_request_body_frame(run_uuid, **of_flow, **of_loop)
        elif wrapper == "start_body":
            call = store.cas_grant_body_frame_start(
                run_uuid,
                **of_flow,
                **of_loop,
                frame_id=frame_id,
                initial_frame=frame(frame_after),
                ledger_entry=ledger_entry(entry),
            )
        elif wrapper == "end_body":
            call = store.cas_complete_body_frame(run_uuid, **of_flow, **of_frame, **of_loop)
        else:
            call = store.cas_complete_loop(run_uuid, **of_flow, **of_frame, **of_loop)
        self.same(call, expected)

    @rule(
        run_id=runs,
        frame_id=frames,
        before=states,
        after=states,
        right=st.sampled_from([True, True, True, False]),
        step=step_ids,
        output=outputs,
        context=st.none() | st.tuples(loops, st.integers(0, 3) | st.just(2**64 - 1)),
    )
    def cas_complete_step(
        self,
        run_id: str,
        frame_id: str,
        before: str,
        after: str,
        right: bool,
        step: str,
        output: Any,
        context: tuple[str, int] | None,
    ) -> None:
        expected: Any = self.missing(run_id)
        if expected is None:
            run = self.runs[run_id]
            if right:
                before = run["frames"].get(frame_id, before)
            expected = run["frames"].get(frame_id) == before
            if expected and context is None:
                run["root_step_outputs"][step] = output
            elif expected and context is not None:
                loop_id, iteration = context
                recorded = run["loop_iteration_outputs"].get(loop_id, [])
                loops = run["loop_iteration_outputs"].values()
                outputs = 1 + sum(len(one) for loop in loops for one in loop)
                following = sum(map(len, loops)) - len(recorded) + iteration + 1
                if iteration > len(recorded) and following > 1_024 + 16 * outputs:
                    expected = self.refusal(
                        INTERNAL,
                        f"loop iteration {iteration} is too far past the last recorded one of loop"
                        f" '{loop_id}': the loops of a run may have 1024 iterations, and"
                        " 16 more for each of their outputs",
                    )
                else:
                    recorded += [{} for _ in range(iteration + 1 - len(recorded))]
                    recorded[iteration][step] = output
                    run["loop_iteration_outputs"][loop_id] = recorded
            if expected is True:
                run["frames"][frame_id] = after
        call = self.stores.runs.cas_complete_step_and_record_output(
            UUID(run_id),
            frame_id=frame_id,
            expected_frame=frame(before, 1),
            next_frame=frame(after),
            step_output_key=step,
            step_output=output,
            loop_context=context,
        )
        self.same(call, expected)

    @rule(mob=mobs, flow=st.none() | st.sampled_from(FLOWS))
    def list_runs(self, mob: str, flow: str | None) -> None:
        expected = [
            _run(run)
            for run in self.runs.values()
            if run["mob_id"] == mob and (flow is None or run["flow_id"] == flow)
        ]
        self.same(self.stores.runs.list_runs(mob, flow), expected)

    @rule(
        mob=st.none() | mobs,
        status=st.none() | st.sampled_from(STATUSES),
        after=st.none() | runs,
        limit=st.none() | st.integers(0, 2),
    )
    def run_headers(
        self, mob: str | None, status: Any, after: str | None, limit: int | None
    ) -> None:
        expected: Any = [
            {name: run[name] for name in mobstore.RunHeader.model_fields}
            for place, run in enumerate(_run(run) for run in self.runs.values())
            if mob in {None, run["mob_id"]}
            and status in {None, run["status"]}
            and (after not in self.runs or place > list(self.runs).index(after))
        ][:limit]
        if after is not None and after not in self.runs:
            expected = self.refusal(
                NOT_FOUND, f"run not found: {after}; it can be followed by no other"
            )
        call = self.stores.runs.run_headers(
            mob, status=status, after=UUID(after) if after else None, limit=limit
        )
        self.same(call, expected)

    @rule(run_id=runs, start=st.integers(0, 3), limit=st.none() | st.integers(0, 2))
    def step_entries(self, run_id: str, start: int, limit: int | None) -> None:
        stop = None if limit is None else start + limit
        expected: Any = self.missing(run_id)
        if expected is None:
            expected = _run(self.runs[run_id])["step_ledger"][start:stop]
        call = self.stores.runs.step_entries(UUID(run_id), start=start, limit=limit)
        self.same(call, expected)

    @rule(run_id=runs)
    def delete_run(self, run_id: str) -> None:
        expected = self.runs.pop(run_id, None) is not None
        self.same(self.stores.runs.delete_run(UUID(run_id)), expected)

    @rule(time=st.sampled_from(TIMES), status=st.sampled_from(STATUSES))
    def prune_runs(self, time: str, status: Any) -> None:
        order = [TIMES[2], TIMES[0], TIMES[1], TIMES[3]]
        doomed = [
            run_id
            for run_id, run in self.runs.items()
            if run["status"] == status
            and run["completed_at"] is not None
            and order.index(run["completed_at"]) < order.index(time)
        ]
        for run_id in doomed:
            del self.runs[run_id]
        self.same(self.stores.runs.prune_runs(Timestamp(time), status), len(doomed))

    # Several at once -----------------------------------------------------------------------------

    @rule(run_id=runs, before=states, after=states, step=step_ids, mob=mobs)
    def atomic(self, run_id: str, before: str, after: str, step: str, mob: str) -> None:
        """Append to a ledger and to the log, if the flow state is as expected; all or nothing."""
        entry = {"step_id": step, "meerkat_id": "w-1", "status": "completed", "output": 1}
        entry["timestamp"] = TIMES[0]
        run = self.runs.get(run_id)
        expected: Any = self.missing(run_id)
        if run is not None and run["flow_state"] != before:
            detail = f"operation 3 was refused: run {run_id} has another flow state"
            expected = _Refused("RefusedError", f"CAS conflict: {detail}")
        cursor = self.next_cursor
        event = self._event(mob, KINDS[0], TIMES[1])
        if run is not None and expected is None:
            run["step_ledger"].append(entry)
            run["flow_state"] = after
            expected = cursor
        else:
            self.events.pop()
            self.next_cursor = cursor

        async def both(at: mobstore.Stores) -> int:
            appended = await at.events.append(event)
            await at.runs.append_step_entry(
                UUID(run_id), StepLedgerEntry.from_json(json.dumps(entry))
            )
            await at.runs.cas_flow_state(UUID(run_id), expected=state(before), next=state(after))
            return appended.cursor

        self.same(self.stores.atomic(both), expected)

    # Specs ---------------------------------------------------------------------------------------

    @rule(mob=mobs, content=st.sampled_from(["a", "b"]), revision=revisions)
    def put_spec(self, mob: str, content: str, revision: int | None) -> None:
        definition = MobDefinition.model_validate({"id": content})
        current = self.specs[mob][1] if mob in self.specs else 0
        expected: Any = current + 1
        if revision is not None and revision != current:
            expected = _Refused(
                "SpecRevisionConflictError",
                f"spec revision conflict for mob {mob}:"
                f" expected Some({revision}), actual {current}",
            )
        else:
            self.specs[mob] = json.loads(definition.to_json()), current + 1
        self.same(self.stores.specs.put_spec(mob, definition, revision), expected)

    @rule(mob=mobs, revision=revisions)
    def delete_spec(self, mob: str, revision: int | None) -> None:
        done = mob in self.specs and revision in {None, self.specs[mob][1]}
        if done:
            del self.specs[mob]
        self.same(self.stores.specs.delete_spec(mob, revision), done)

    # Realm profiles ------------------------------------------------------------------------------

    @rule(name=names, model=st.sampled_from(["a", "b"]))
    def create_profile(self, name: str, model: str) -> None:
        expected: Any
        if name in self.profiles:
            expected = self.refusal(CONFLICT, f"realm profile already exists: {name}")
        else:
            now = self.subject.now
            expected = self.profiles[name] = {
                "name": name,
                "profile": profile(model),
                "revision": 1,
                "created_at": now,
                "updated_at": now,
            }
        argument = Profile.from_json(json.dumps(profile(model)))
        self.same(self.stores.realm_profiles.create(name, argument), expected)

    def _at_revision(self, name: str, revision: int) -> _Refused | None:
        if name not in self.profiles:
            return self.refusal(NOT_FOUND, f"realm profile not found: {name}")
        actual = self.profiles[name]["revision"]
        if actual != revision:
            text = f"realm profile '{name}' revision conflict: expected {revision}, actual {actual}"
            return self.refusal(CONFLICT, text)
        return None

    @rule(name=names, model=st.sampled_from(["a", "b"]), revision=st.integers(0, 3))
    def update_profile(self, name: str, model: str, revision: int) -> None:
        expected: Any = self._at_revision(name, revision)
        if expected is None:
            expected = self.profiles[name]
            expected.update(
                profile=profile(model), revision=revision + 1, updated_at=self.subject.now
            )
        argument = Profile.from_json(json.dumps(profile(model)))
        self.same(self.stores.realm_profiles.update(name, argument, revision), expected)

    @rule(name=names, revision=st.integers(0, 3))
    def delete_profile(self, name: str, revision: int) -> None:
        expected: Any = self._at_revision(name, revision) or self.profiles.pop(name)
        self.same(self.stores.realm_profiles.delete(name, revision), expected)

    # The whole state -----------------------------------------------------------------------------

    @invariant()
    def everything_is_as_the_oracle_says(self) -> None:
        self.runner.run(self._check())

    async def _check(self) -> None:
        for stores in (self.stores, *self.others, *self.readers):
            assert typed(_plain(await stores.events.replay_all())) == typed(self.events)
            assert await stores.events.latest_cursor() == self.next_cursor - 1
        for stores in (self.stores, *self.readers[-1:]):
            await self._check_all(stores)

    async def _check_all(self, stores: MobStores) -> None:
        for run_id in RUN_IDS:
            found = await stores.runs.get_run(UUID(run_id))
            stored = self.runs.get(run_id)
            assert typed(_plain(found)) == typed(None if stored is None else _run(stored))
        for mob in MOBS:
            listed = [str(run.run_id) for run in await stores.runs.list_runs(mob)]
            assert listed == [id_ for id_, run in self.runs.items() if run["mob_id"] == mob]
            spec = await stores.specs.get_spec(mob)
            assert typed(_plain(spec)) == typed(self.specs.get(mob))
        assert await stores.specs.list_specs() == sorted(self.specs, key=str.encode)
        by_name = [self.profiles[name] for name in sorted(self.profiles, key=str.encode)]
        assert typed(_plain(await stores.realm_profiles.list())) == typed(by_name)
        for name in NAMES:
            one = await stores.realm_profiles.get(name)
            assert typed(_plain(one)) == typed(self.profiles.get(name))


def _hashable(entry: dict[str, Any]) -> dict[str, str]:
    return {key: entry[key] for key in ("step_id", "meerkat_id", "status")}


def _run(run: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a run of the oracle: states spelled out, free JSON and sorted maps in order."""

    def snapshots(names: dict[str, str]) -> dict[str, Any]:
        return {key: {"kernel_state": spelled(names[key])} for key in sorted(names)}

    def spelled(name: str) -> Any:
        return json.loads(STATES[name][0])

    outputs_of_loops = run["loop_iteration_outputs"]
    document = {
        **run,
        "flow_state": spelled(run["flow_state"]),
        "frames": snapshots(run["frames"]),
        "loops": snapshots(run["loops"]),
        "loop_iteration_outputs": {key: outputs_of_loops[key] for key in sorted(outputs_of_loops)},
    }
    return cast("dict[str, Any]", json.loads(json.dumps(document).replace(*_FREE_JSON)))


# The one output with keys in another order than the written one.
_FREE_JSON = json.dumps(OUTPUTS[5]), json.dumps({"a": [1, 1.5, False], "b": 1})


def _plain(value: Any) -> Any:
    if isinstance(value, mobstore.Record):
        return json.loads(value.to_json())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


class MemoryMachine(Machine):
    make = Memory


class PendingMachine(Machine):
    make = Pending


def profile_of(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=70,
        # Explaining a failure takes minutes when each step asks for everything.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
        deadline=None,
    )


def test_memory() -> None:
    run_state_machine_as_test(MemoryMachine, settings=profile_of(40))


def test_sqlite() -> None:
    with Elsewhere() as process:

        class Shared(Sqlite):
            elsewhere = process

        class SqliteMachine(Machine):
            make = Shared

        run_state_machine_as_test(SqliteMachine, settings=profile_of(15))


def test_pending() -> None:
    run_state_machine_as_test(PendingMachine, settings=profile_of(20))
