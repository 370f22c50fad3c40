"""Runs for the tests of their scripts."""

from __future__ import annotations

import json
from typing import Any

from mobstore import MobRun
from mobstore.codec.runs import RunRows
from mobstore.scripts.tables import RunRow, RunStateRow
from mobstore.scripts.transaction import Commit, Script
from support.scripts import play

ID = "5f0c1a52-0e6b-4f0b-9a7a-1d2f3a4b5c6d"
OLD = "2026-03-04T05:06:07.000000000Z"
NOW = "2026-03-04T05:06:08.000000001Z"
RUN = RunRow(ID, 7, "desk", "daily", "running", "null", OLD, "", 4)
STATE = RunStateRow(ID, "A")

BARE: dict[str, Any] = {
    "run_id": ID,
    "mob_id": "desk",
    "flow_id": "daily",
    "status": "running",
    "flow_state": {"phase": "A", "fields": {}},
    "activation_params": {"b": [1, 1.0, True], "a": None},
    "created_at": "2026-03-04T05:06:07Z",
    "completed_at": None,
    "step_ledger": [],
    "failure_ledger": [],
    "frames": {},
    "loops": {},
    "loop_iteration_ledger": [],
    "schema_version": 4,
    "root_step_outputs": {},
    "loop_iteration_outputs": {},
}
FULL: dict[str, Any] = {
    **BARE,
    "status": "failed",
    "completed_at": "2026-03-04T05:06:08.000000001Z",
    "step_ledger": [
        {
            "step_id": "s",
            "meerkat_id": "m",
            "status": "dispatched",
            "output": None,
            "timestamp": "2026-03-04T05:06:07Z",
        },
        {
            "step_id": "s",
            "meerkat_id": "m",
            "status": "completed",
            "output": {"x": 1.5},
            "timestamp": "2026-03-04T05:06:07.089Z",
        },
    ],
    "failure_ledger": [{"step_id": "s", "reason": "why", "timestamp": "2026-03-04T05:06:07Z"}],
    "frames": {
        "f1": {"kernel_state": {"phase": "F1", "fields": {}}},
        "f2": {"kernel_state": {"phase": "F2", "fields": {}}},
    },
    "loops": {"l": {"kernel_state": {"phase": "L", "fields": {}}}},
    "loop_iteration_ledger": [{"loop_instance_id": "l", "iteration": 2**64 - 1, "frame_id": "f1"}],
    "root_step_outputs": {"z": 1, "a": [2]},
    "loop_iteration_outputs": {"polish": [{"y": 1, "b": 2}, {}, {"c": None}], "void": []},
}


def read(document: dict[str, Any]) -> MobRun:
    return MobRun.from_json(json.dumps(document))


def encoded(document: dict[str, Any]) -> RunRows:
    return RunRows(read(document))


def ended(script: Script[Any], *answers: tuple[Any, ...]) -> Commit[Any]:
    return play(script, *answers)[1]


def state(phase: str) -> str:
    return f'{{"phase":"{phase}","fields":{{}}}}'
