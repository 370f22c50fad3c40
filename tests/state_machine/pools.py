"""Small pools of arguments, so that calls interact, and values made from them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from mobstore import (
    FrameSnapshot,
    KernelState,
    LoopIterationLedgerEntry,
    LoopSnapshot,
)

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
OTHER_KINDS: list[dict[str, Any]] = [
    {"type": "mob_stopped", "run_id": RUN_IDS[1], "by": {"b": 1, "a": 1.0}},
    {"type": "peers_wired", "a": "w-1", "b": "w-2", "at": None},
]
KNOWN_KINDS: list[dict[str, Any]] = [
    {"type": "mob_reset"},
    {"type": "peers_wired", "a": "w-1", "b": "w-2"},
    {"type": "flow_started", "run_id": RUN_IDS[0], "flow_id": "daily", "params": {"a": [1, 1.0]}},
    {"type": "task_updated", "task_id": "t", "status": "in_progress", "owner": None},
]
KINDS = KNOWN_KINDS + OTHER_KINDS

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
