"""Rules of ledgers, loops and outputs of a run."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from mobstore import FailureLedgerEntry, StepLedgerEntry
from state_machine.oracle import INTERNAL, Oracle, identity_of
from state_machine.pools import (
    MEMBERS,
    STEP_STATUSES,
    entries,
    ledger_entry,
    loop,
    loops,
    outputs,
    runs,
    states,
    step_ids,
)


class Ledgers(Oracle):
    """Rules of ledgers, loops and outputs of a run."""

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
            there = any(identity.items() <= identity_of(old).items() for old in ledger)
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

    @rule(run_id=runs, step=step_ids, reason=st.sampled_from(["", "why"]), if_absent=st.booleans())
    def append_failure(self, run_id: str, step: str, reason: str, if_absent: bool) -> None:
        entry = {"step_id": step, "reason": reason, "timestamp": self.subject.now}
        expected: Any = self.missing(run_id)
        if expected is None:
            ledger = self.runs[run_id]["failure_ledger"]
            there = any((old["step_id"], old["reason"]) == (step, reason) for old in ledger)
            if if_absent:
                expected = not there
            if not (if_absent and there):
                ledger.append(entry)
        argument = FailureLedgerEntry.from_json(json.dumps(entry))
        store = self.stores.runs
        append = store.append_failure_entry_if_absent if if_absent else store.append_failure_entry
        self.same(append(UUID(run_id), argument), expected)

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
