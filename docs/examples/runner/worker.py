"""A worker: it claims one run after the other, and executes its flow.

    python -m runner.worker URL NAME

Each commit is fenced by the claim. A worker that was killed is replaced once its claim expires; one
that was frozen for longer has lost it, and cannot write any more. The next worker continues at the
last commit, so only the work of the step at hand is done again.
"""

import asyncio
import random
import sys
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import mobstore
from mobstore import MobRun, MobStores, Stores
from runner.flow import (
    DEFINITION,
    frame_of,
    holds,
    loop_of,
    next_node,
    outputs_of,
    stage_of,
    with_node,
)

TTL = 1.0  # seconds after which the run of a killed worker goes to another


class Work(NamedTuple):
    """A step to work on: its node, its loop and iteration if it is in one, all outputs so far."""

    step: str
    frame_id: str
    node_id: str
    loop: tuple[str, int] | None
    outputs: dict[str, Any]


async def perform(work: Work) -> dict[str, Any]:
    """Stand in for the work of an agent."""
    await asyncio.sleep(random.uniform(0.01, 0.05))
    return {"score": round(random.random(), 3), "after": sorted(work.outputs)}


class Execution:
    """The execution of one run, from wherever it is."""

    def __init__(self, stores: MobStores, claim: mobstore.RunClaim) -> None:
        self.stores, self.claim = stores, claim
        self.run_id, self.flow_id = claim.run.run_id, claim.run.flow_id
        self.flow = DEFINITION.flows[self.flow_id]
        self.fence: dict[str, Any] = {"claim": claim, "unless_ended": self.run_id}

    async def execute(self) -> None:
        """Run the flow to its end."""
        while (work := await self.stores.atomic(self.advance, **self.fence)) is not None:
            complete = partial(self.complete, work=work, output=await perform(work))
            await self.stores.atomic(complete, **self.fence)
        done = mobstore.FlowCompleted(run_id=self.run_id, flow_id=self.flow_id)
        event = mobstore.NewMobEvent(mob_id=self.claim.run.mob_id, kind=done)
        await self.stores.runs.finish_run(self.run_id, "completed", event, claim=self.claim)

    async def advance(self, at: Stores) -> Work | None:
        """Make moves until a step has to be worked on; None: the flow is done."""
        root, root_id = self.flow.root or mobstore.FrameSpec(nodes={}), f"{self.run_id}-root"
        if root_id not in (await self.read(at)).frames:
            await at.runs.cas_run_status(self.run_id, expected="pending", next="running")
            first = frame_of(dict.fromkeys(root.nodes, "pending"))
            await at.runs.cas_frame_state(self.run_id, frame_id=root_id, expected=None, next=first)
            started = mobstore.FlowStarted(run_id=self.run_id, flow_id=self.flow_id, params=None)
            await self.append(at, started)
        return await self.advance_frame(at, root_id, root, None)

    async def advance_frame(
        self, at: Stores, frame_id: str, spec: mobstore.FrameSpec, loop: tuple[str, int] | None
    ) -> Work | None:
        """Advance the nodes of a frame, each after its dependencies."""
        while (node_id := next_node(spec, (await self.read(at)).frames[frame_id])) is not None:
            node = spec.nodes[node_id]
            if isinstance(node, mobstore.RepeatUntilSpec):
                work = await self.advance_loop(at, frame_id, node_id, node)
            else:
                work = await self.dispatch(at, frame_id, node_id, node.step_id, loop)
            if work is not None:
                return work
        return None

    async def dispatch(
        self, at: Stores, frame_id: str, node_id: str, step: str, loop: tuple[str, int] | None
    ) -> Work | None:
        """Dispatch a step, unless a worker before this one has; skip it if its condition fails."""
        run = await self.read(at)
        frame, outputs = run.frames[frame_id], outputs_of(run)
        condition = self.flow.steps[step].condition
        if condition is not None and not holds(condition, outputs):
            next_ = with_node(frame, node_id, "skipped")
            await at.runs.cas_frame_state(
                self.run_id, frame_id=frame_id, expected=frame, next=next_
            )
            kind = mobstore.StepSkipped(run_id=self.run_id, step_id=step, reason="condition")
            await self.append(at, kind)
            return None
        if frame != (running := with_node(frame, node_id, "running")):
            await at.runs.cas_grant_node_slot(
                self.run_id,
                expected_run_state=run.flow_state,
                next_run_state=run.flow_state.replace(last_granted_frame=frame_id),
                frame_id=frame_id,
                expected_frame=frame,
                next_frame=running,
            )
            await self.record(at, step, "dispatched")
            who = self.claim.holder
            done = mobstore.StepDispatched(run_id=self.run_id, step_id=step, meerkat_id=who)
            await self.append(at, done)
        return Work(step, frame_id, node_id, loop, outputs)

    async def complete(self, at: Stores, work: Work, output: Any) -> None:
        """Record the output of a step."""
        frame = (await self.read(at)).frames[work.frame_id]
        await at.runs.cas_complete_step_and_record_output(
            self.run_id,
            frame_id=work.frame_id,
            expected_frame=frame,
            next_frame=with_node(frame, work.node_id, "completed"),
            step_output_key=work.step,
            step_output=output,
            loop_context=work.loop,
        )
        await self.record(at, work.step, "completed")
        await self.append(at, mobstore.StepCompleted(run_id=self.run_id, step_id=work.step))

    async def advance_loop(
        self, at: Stores, frame_id: str, node_id: str, node: mobstore.RepeatUntilSpec
    ) -> Work | None:
        """Repeat the body frame until the condition holds, or for the most iterations."""
        loop_id = f"{frame_id}::{node_id}"
        while True:
            run = await self.read(at)
            frame, loop = run.frames[frame_id], run.loops.get(loop_id)
            of_loop: dict[str, Any] = {"run_id": self.run_id, "loop_instance_id": loop_id}
            of_loop |= {"expected_run_state": run.flow_state, "next_run_state": run.flow_state}
            if loop is None:
                await at.runs.cas_start_loop(
                    **of_loop,
                    frame_id=frame_id,
                    expected_frame=frame,
                    next_frame=with_node(frame, node_id, "running"),
                    initial_loop=loop_of("Ready", 0),
                )
                continue
            stage, iteration = stage_of(loop)
            body_id = f"{loop_id}::iter-{iteration}"
            if stage == "Ready":
                requested = loop_of("Requested", iteration)
                await at.runs.cas_loop_request_body_frame(
                    **of_loop, expected_loop=loop, next_loop=requested
                )
                entry = mobstore.LoopIterationLedgerEntry(
                    loop_instance_id=loop_id, iteration=iteration, frame_id=body_id
                )
                await at.runs.cas_grant_body_frame_start(
                    **of_loop,
                    expected_loop=requested,
                    next_loop=loop_of("Running", iteration),
                    frame_id=body_id,
                    initial_frame=frame_of(dict.fromkeys(node.body.nodes, "pending")),
                    ledger_entry=entry,
                )
            elif work := await self.advance_frame(
                at, body_id, node.body, (node.loop_id, iteration)
            ):
                return work
            elif iteration + 1 < node.max_iterations and not holds(node.until, outputs_of(run)):
                body = run.frames[body_id]
                await at.runs.cas_complete_body_frame(
                    **of_loop,
                    expected_loop=loop,
                    next_loop=loop_of("Ready", iteration + 1),
                    frame_id=body_id,
                    expected_frame=body,
                    next_frame=body,
                )
            else:
                await at.runs.cas_complete_loop(
                    **of_loop,
                    expected_loop=loop,
                    next_loop=loop_of("Completed", iteration),
                    frame_id=frame_id,
                    expected_frame=frame,
                    next_frame=with_node(frame, node_id, "completed"),
                )
                return None

    async def read(self, at: Stores) -> MobRun:
        """Return the run as this commit has made it so far."""
        run = await at.runs.get_run(self.run_id)
        if run is None:
            raise LookupError(f"run {self.run_id} was deleted")
        return run

    async def append(self, at: Stores, kind: mobstore.MobEventKind) -> None:
        """Append an event of the run's mob."""
        await at.events.append(mobstore.NewMobEvent(mob_id=self.claim.run.mob_id, kind=kind))

    async def record(self, at: Stores, step: str, status: mobstore.StepRunStatus) -> None:
        """Append to the step ledger."""
        now, who = mobstore.Timestamp.now(), self.claim.holder
        entry = mobstore.StepLedgerEntry(step_id=step, meerkat_id=who, status=status, timestamp=now)
        await at.runs.append_step_entry(self.run_id, entry)


# --8<-- [start:main]
async def main(url: str, name: str) -> None:
    """Execute runs until the process is ended."""
    async with (
        mobstore.open_stores(url) as stores,
        stores.runs.claims(name, ttl=TTL, mob_id=DEFINITION.id) as claims,
    ):
        async for claim in claims:
            try:
                async with stores.claims.keep(claim):
                    await Execution(stores, claim).execute()
            except (mobstore.ClaimLostError, mobstore.RunEndedError) as error:
                print(error, flush=True)  # another worker has the run, or it was canceled
                await stores.claims.release(claim)
            except Exception as error:  # it is tried again later
                print(f"{type(error).__name__}: {error}", flush=True)
                await stores.claims.release(claim, not_before=timedelta(seconds=2))


# --8<-- [end:main]
if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
