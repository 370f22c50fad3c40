"""Rules of lists and pages of runs, and of retention."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

import mobstore
from mobstore import Timestamp
from state_machine.oracle import NOT_FOUND, Oracle, run_document
from state_machine.pools import FLOWS, STATUSES, TIMES, mobs, runs


class Reads(Oracle):
    """Rules of lists and pages of runs, and of retention."""

    @rule(mob=mobs, flow=st.none() | st.sampled_from(FLOWS))
    def list_runs(self, mob: str, flow: str | None) -> None:
        expected = [
            run_document(run)
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
            for place, run in enumerate(run_document(run) for run in self.runs.values())
            if mob in {None, run["mob_id"]}
            and status in {None, run["status"]}
            and (after not in self.runs or place > list(self.runs).index(after))
        ][:limit]
        if after is not None and after not in self.runs:
            expected = self.refusal(NOT_FOUND, f"`after` names a run that does not exist: {after}")
        call = self.stores.runs.run_headers(
            mob, status=status, after=UUID(after) if after else None, limit=limit
        )
        self.same(call, expected)

    @rule(run_id=runs, start=st.integers(0, 3), limit=st.none() | st.integers(0, 2))
    def step_entries(self, run_id: str, start: int, limit: int | None) -> None:
        stop = None if limit is None else start + limit
        expected: Any = self.missing(run_id)
        if expected is None:
            expected = run_document(self.runs[run_id])["step_ledger"][start:stop]
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
