"""The values that all contestants store: created beforehand, the same in every run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set as AbstractSet
from functools import cache
from random import Random
from typing import Any, cast
from uuid import UUID

from mobstore import (
    FlowId,
    FlowStarted,
    FrameId,
    FrameSnapshot,
    KernelState,
    MeerkatId,
    MobDefinition,
    MobEventKind,
    MobId,
    MobRun,
    NamedVariant,
    NewMobEvent,
    PeersWired,
    Profile,
    ProfileName,
    RunId,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepId,
    StepLedgerEntry,
    StepTargetCompleted,
    TaskCreated,
    TaskId,
    Timestamp,
    ToolConfig,
)

MOB = MobId("tide-desk")
FLOW = FlowId("publish")
MOMENT = Timestamp("2026-03-02T08:00:01.329000970Z")


@cache
def events(count: int) -> list[NewMobEvent]:
    """Return events of a working mob, about 150 bytes of JSON each."""
    random = Random(count)
    return [NewMobEvent(mob_id=MOB, kind=_kind(random, n)) for n in range(count)]


@cache
def kinds(count: int) -> list[dict[str, Any]]:
    """Return the kinds of the same events as plain dicts."""
    return [json.loads(event.kind.to_json()) for event in events(count)]


def _kind(random: Random, n: int) -> MobEventKind:
    run = RunId(UUID(int=random.getrandbits(128), version=4))
    step, member = StepId(f"step-{random.randrange(20)}"), MeerkatId(f"writer-{n % 50}")
    choices: tuple[MobEventKind, ...] = (
        StepDispatched(run_id=run, step_id=step, meerkat_id=member),
        StepTargetCompleted(run_id=run, step_id=step, meerkat_id=member),
        StepCompleted(run_id=run, step_id=step),
        StepFailed(run_id=run, step_id=step, reason="the member did not answer within 30,000 ms"),
        FlowStarted(run_id=run, flow_id=FLOW, params={"topic": "high tide", "words": 400 + n}),
        TaskCreated(
            task_id=TaskId(f"task-{n}"), subject="Check the figures", blocked_by=(),
            description="Every figure of the draft needs its source named.",
        ),
        PeersWired(a=member, b=MeerkatId("editor")),
    )  # fmt: skip
    return choices[n % len(choices)]


@cache
def states(size: int, count: int = 64) -> list[KernelState]:
    """Return flow states of about `size` bytes of JSON.

    They differ everywhere, because SQLite rewrites only the changed pages of a long row.
    """
    random, steps = Random(size), 1
    while len(_state(Random(size), steps).to_json()) < size:
        steps += 1
    return [_state(random, steps) for _ in range(count)]


def _state(random: Random, steps: int) -> KernelState:
    return MobRun.flow_state_for_steps(
        StepId(f"step-{random.getrandbits(64):016x}") for _ in range(steps)
    )


def plain_fields(state: KernelState) -> dict[str, Any]:
    """Return a state's fields as a program holds them: dicts, sets, tuples."""
    return {name: _plain(value) for name, value in state.fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, AbstractSet):
        return frozenset(cast("AbstractSet[Any]", value))
    if isinstance(value, tuple) and not isinstance(value, NamedVariant):
        return tuple(_plain(item) for item in cast("tuple[Any, ...]", value))
    return value


def run(*, mob: str = MOB, entries: int = 0, frames: int = 0) -> MobRun:
    """Return a run with a small flow state, a step ledger, and frames of 5 KB."""
    pending = MobRun.pending(MobId(mob), FLOW, states(500, 1)[0], {"topic": "high tide"})
    shots = states(5_000)
    return pending.model_copy(
        update={
            "step_ledger": tuple(step_entry(n) for n in range(entries)),
            "frames": {
                FrameId(f"frame-{n}"): FrameSnapshot(kernel_state=shots[n % len(shots)])
                for n in range(frames)
            },
        }
    )


def step_entry(n: int) -> StepLedgerEntry:
    """Return an entry of a step ledger."""
    return StepLedgerEntry(
        step_id=StepId(f"step-{n % 20}"),
        meerkat_id=MeerkatId(f"writer-{n % 50}"),
        status="completed",
        output={"words": n, "text": "The tide is high at noon; boats leave at one."},
        timestamp=MOMENT,
    )


def profile(n: int) -> Profile:
    """Return a small profile."""
    return Profile(
        model=f"model-small-{n}", tools=ToolConfig(comms=True), peer_description="Finds sources"
    )


def definition(n: int) -> MobDefinition:
    """Return a small definition with one profile."""
    return MobDefinition(id=MobId(f"mob-{n}"), profiles={ProfileName("delegate"): profile(n)})
