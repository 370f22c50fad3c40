"""Rules of creating runs and of their status and flow state."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from mobstore import MobRun
from state_machine.oracle import INTERNAL, Oracle, run_document
from state_machine.pools import (
    FLOWS,
    STATUSES,
    TIMES,
    mobs,
    outputs,
    runs,
    spelling,
    state,
    states,
)


class Runs(Oracle):
    """Rules of creating runs and of their status and flow state."""

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
        argument = MobRun.from_json(json.dumps(run_document(run)))
        expected: Any = None
        if run_id in self.runs:
            expected = self.refusal(INTERNAL, f"run already exists: {run_id}")
        else:
            self.add_run(run)
        self.same(self.stores.runs.create_run(argument), expected)

    def _end(self, run: dict[str, Any], status: str) -> None:
        run["status"] = status
        if status in STATUSES[2:]:
            self.end_run(run)
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
