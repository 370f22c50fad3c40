"""Rules of the compare-and-swap wrappers of frames and loops."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from state_machine.ledgers import Ledgers
from state_machine.oracle import INTERNAL
from state_machine.pools import (
    entries,
    frame,
    frames,
    ledger_entry,
    loop,
    loops,
    outputs,
    runs,
    spelling,
    state,
    states,
    step_ids,
)


class Frames(Ledgers):
    """Rules of the compare-and-swap wrappers of frames and loops."""

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
            if right:  # a random state is rarely the right one
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
