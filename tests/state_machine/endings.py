"""Rules of the end of a run, and of atomic calls that depend on a claim and on a run."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

import mobstore
from mobstore import Claim, StepLedgerEntry
from state_machine.claims import ACTIVE, SECOND, Claims, holders
from state_machine.events import Events
from state_machine.ledgers import Ledgers
from state_machine.oracle import Refusal
from state_machine.pools import KINDS, STATUSES, TIMES, mobs, runs, state, states, step_ids
from state_machine.reads import Reads
from state_machine.runs import Runs

claims_of_run = st.integers(0, 2)
"""Which of the claims that were ever returned for a run, counted from the last one; 0: none."""

_NOTHING = dict.fromkeys(["mob", "flow", "status", "after", "limit", "since"])
_ALL: dict[str, Any] = {**_NOTHING, "newest_first": False, "unclaimed": False}


class Endings(Runs, Ledgers, Reads, Claims, Events):
    """Rules of the end of a run, and of atomic calls that depend on a claim and on a run."""

    def _claim_on(self, run_id: str, which: int) -> Claim | None:
        own = [claim for claim in self.given if claim.name == f"run/{run_id}"]
        return own[-which:][0] if own and which else None

    @rule(
        run_id=runs,
        status=st.sampled_from(STATUSES[2:]),
        which=claims_of_run,
        mob=mobs,
        time=st.none() | st.sampled_from(TIMES),
    )
    def finish_run(self, run_id: str, status: Any, which: int, mob: str, time: str | None) -> None:
        claim = self._claim_on(run_id, which)
        expected: Any = self.missing(run_id)
        if expected is None:
            expected = self.runs[run_id]["status"] in ACTIVE
        if expected is True and claim is not None:
            expected = self._lost(claim) or True
        run = self.runs.get(run_id, {"mob_id": mob, "flow_id": "daily"})
        mob = run["mob_id"]
        kind = {"type": f"flow_{status}", "run_id": run_id, "flow_id": run["flow_id"]}
        if status == "failed":
            kind["reason"] = "reason"
        event = self._new(mob, kind, time)
        if expected is True:
            self._event(mob, kind, time)
            self._end(self.runs[run_id], status)
            self.claims.pop(f"run/{run_id}", None)
        elif expected is False and claim is not None and not self._lost(claim):
            self.claims.pop(f"run/{run_id}")
        self.same(self.stores.runs.finish_run(run_id, status, event, claim=claim), expected)

    @rule(
        run_id=runs,
        holder=holders,
        status=st.sampled_from(STATUSES[2:]),
        mob=mobs,
        late=st.booleans(),
    )
    def claim_and_finish(self, run_id: str, holder: str, status: Any, mob: str, late: bool) -> None:
        """Do what a worker does, which repeats its last call; a run that had ended is replaced."""
        if run_id not in self.runs or self.runs[run_id]["status"] not in ACTIVE:
            self.delete_run(run_id)
            self.create_run(run_id, mob, "daily", "pending", "empty", None, full=False)
        self.acquire(f"run/{run_id}", holder, 1.0)
        if late:
            self.moments_pass(SECOND)
        self.run_headers(**{**_ALL, "unclaimed": True})
        if late:
            self.acquire(f"run/{run_id}", "cat", 1.0)
            self.finish_run(run_id, status, 2, mob, None)
        for reason in ("", "why", ""):
            self.append_failure(run_id, "s", reason, if_absent=True)
        for _ in range(2):
            self.finish_run(run_id, status, 1, mob, None)
        self.atomic(run_id, "", "one", True, "s", mob, 0, run_id)
        self.counts(["status"], None)
        self.run_headers(**{**_ALL, "since": self.subject.now})

    @rule(
        run_id=runs,
        before=states,
        after=states,
        right=st.booleans(),
        step=step_ids,
        mob=mobs,
        which=claims_of_run,
        guard=st.none() | runs,
    )
    def atomic(
        self,
        run_id: str,
        before: str,
        after: str,
        right: bool,
        step: str,
        mob: str,
        which: int,
        guard: str | None,
    ) -> None:
        """Append to a ledger and to the log, if the flow state is as expected; all or nothing."""
        entry = {"step_id": step, "meerkat_id": "w-1", "status": "completed", "output": 1}
        entry["timestamp"] = TIMES[0]
        run = self.runs.get(run_id)
        if run is not None and right:
            before = run["flow_state"]
        claim = self._claim_on(run_id, which)
        expected: Any = None if claim is None else self._lost(claim)
        if guard is not None:
            expected = expected or self.missing(guard) or self._ended(guard)
        expected = expected or self.missing(run_id)
        if run is not None and run["flow_state"] != before:
            reason = f"run {run_id} has another flow state"
            detail = f"operation 3 (runs.cas_flow_state) was refused: {reason}"
            expected = expected or Refusal("RefusedError", f"CAS conflict: {detail}")
        event = self._new(mob, KINDS[0], TIMES[1])
        if run is not None and expected is None:
            self._event(mob, KINDS[0], TIMES[1])
            run["step_ledger"].append(entry)
            run["flow_state"] = after
            expected = self.events[-1]["cursor"]

        async def both(at: mobstore.Stores) -> int:
            appended = await at.events.append(event)
            await at.runs.append_step_entry(
                UUID(run_id), StepLedgerEntry.from_json(json.dumps(entry))
            )
            await at.runs.cas_flow_state(UUID(run_id), expected=state(before), next=state(after))
            return appended.cursor

        self.same(self.stores.atomic(both, claim=claim, unless_ended=guard), expected)

    def _ended(self, run_id: str) -> Refusal | None:
        status = self.runs[run_id]["status"]
        if status in ACTIVE:
            return None
        return Refusal("RunEndedError", f"Run ended: run {run_id} is {status}")
