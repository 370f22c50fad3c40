"""The demo in the stores: a run is started, and moved on one commit at a time.

A move changes states, ledgers, outputs and events. Made one after the other by the stores' methods,
a reload in between would leave half of it. Their scripts are therefore run as one transaction: if
one of them finds a state changed, nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any, cast
from uuid import UUID, uuid4

from inspector.demo_play import (
    DEMO_FLOW,
    DEMO_MOB,
    Move,
    Play,
    States,
    Swap,
    definition,
    first_state,
)
from inspector.failures import RefusedError
from inspector.shapes import DemoMove, DemoRun, RunStatus
from inspector.texts import compact, plain
from mobstore import (
    FlowStarted,
    KernelState,
    KernelValue,
    MeerkatId,
    MeerkatSpawned,
    MobCreated,
    MobEventKind,
    MobRun,
    MobStores,
    NamedVariant,
    NotFoundError,
    PeersWired,
    ProfileName,
    SessionId,
    SessionMember,
    Timestamp,
    is_terminal,
)
from mobstore.model.json import encode_json
from mobstore.operations import events, runs, specs
from mobstore.operations.runs import KeyedSwap
from mobstore.rows.events import EventDraft, draft_event
from mobstore.rows.runs import RunRows
from mobstore.tables import (
    FRAMES,
    LOOPS,
    RUN_STATES,
    RUNS,
    RUNS_BY_FLOW,
    SPECS,
    FailureLedgerRow,
    LoopIterationRow,
    StepLedgerRow,
)
from mobstore.transaction import Commit, Get, Scan, Script, Write, fetch

_ROLES = {"editor-1": "editor", "writer-1": "writer", "critic-1": "critic"}
_RUNS_BACK = 20

_play = lru_cache(maxsize=4)(Play)


async def demo_state(stores: MobStores) -> DemoRun:
    """The newest run among the last twenty that can go on, if there is one."""
    for run_id in await stores.engine.read(_unfinished):
        try:
            return await _demo_run(stores, run_id)
        except RefusedError:
            continue  # of another version of the demo
    return _told(None, 0, "pending")


async def demo_start(stores: MobStores) -> DemoRun:
    """Make a new run, and the demo's mob if there is none yet."""
    run = MobRun.pending(DEMO_MOB, DEMO_FLOW, first_state(), {"topic": "tides"})
    now, rows = Timestamp.now(), RunRows(run)
    started = FlowStarted(run_id=run.run_id, flow_id=run.flow_id, params=run.activation_params)
    mob, flow = _drafts(_mob_events(), now), _drafts((started,), now)
    await stores.engine.write(lambda: _start(rows, mob, flow))
    return await _demo_run(stores, rows.run_id)


async def demo_move(stores: MobStores, run_id: str) -> DemoMove:
    """Make the next move of a run, unless another tab makes it first.

    Raises:
        NotFoundError: there is no such run of the demo.
        RefusedError: the run is of another version of the demo.
    """
    place, _ = await _place(stores, run_id)
    moves = _play(UUID(run_id)).moves
    if place == len(moves):
        return {
            "won": False, "what": "", "method": "", "compared": [], "swapped": [], "events": [],
            "demo": await _demo_run(stores, run_id),
        }  # fmt: skip
    move, now = moves[place], Timestamp.now()
    drafts = _drafts(move.events, now)
    results = await stores.engine.write(
        lambda: _together(_scripts(run_id, move, now.sortable, drafts))
    )
    first: int = results[-1] if results else 0
    swaps = [swap for swap in (move.flow, move.frame, move.loop) if swap]
    told = [_in_words(swap, run_id) for swap in swaps if swap.before != swap.after]
    return {
        "won": results is not None,
        "what": move.what,
        "method": move.method,
        "compared": [before for before, _ in told],
        "swapped": [after for _, after in told],
        "events": list(range(first, first + len(drafts))) if results else [],
        "demo": await _demo_run(stores, run_id),
    }


# Scripts ---------------------------------------------------------------------------------------


def _unfinished() -> Script[list[str]]:
    found = yield from fetch(
        Scan(RUNS_BY_FLOW, (DEMO_MOB, DEMO_FLOW), limit=_RUNS_BACK, backwards=True)
    )
    return Commit([run.run_id for run in found if not is_terminal(run.status)])


def _standing(run_id: str) -> Script[States]:
    of_run = (run_id,)
    run, state = yield from fetch(Get(RUNS, of_run), Get(RUN_STATES, of_run))
    if run is None or state is None or (run.mob_id, run.flow_id) != (DEMO_MOB, DEMO_FLOW):
        raise NotFoundError(f"demo run not found: {run_id}")
    frames, loops = yield from fetch(Scan(FRAMES, of_run), Scan(LOOPS, of_run))
    return Commit(
        (
            run.status,
            state.flow_state,
            frozenset((frame.frame_id, frame.kernel_state) for frame in frames),
            frozenset((loop.loop_instance_id, loop.kernel_state) for loop in loops),
        )
    )


def _start(run: RunRows, mob: list[EventDraft], flow: list[EventDraft]) -> Script[None]:
    spec = yield from fetch(Get(SPECS, (DEMO_MOB,)))
    scripts: list[Script[Any]] = [runs.create_run(run)]
    if spec is None:
        scripts.append(specs.put_spec(DEMO_MOB, definition().to_json(), 0))
    scripts.append(events.append_batch(flow if spec else [*mob, *flow]))
    together = yield from _together(scripts)
    return Commit(None, together.writes)


def _scripts(run_id: str, move: Move, now: str, drafts: list[EventDraft]) -> list[Script[Any]]:
    """What makes up a move; each of its states is compared and swapped by one script."""
    scripts: list[Script[Any]] = []
    flow, frame, loop = _keyed(move.flow), _keyed(move.frame), _keyed(move.loop)
    run = runs.Swap(flow.expected or "", flow.following) if flow else None
    if move.status and run:
        before, after = move.status
        scripts.append(
            runs.cas_run_snapshot(run_id, before, run.expected, after, run.following, now)
        )
        run = None
    if move.output and frame:
        step, output, of_loop = move.output
        scripts.append(runs.cas_complete_step(run_id, frame, step, encode_json(output), of_loop))
        frame = None
    entry = None
    if move.iteration:
        loop_id, iteration, frame_id = move.iteration
        entry = LoopIterationRow(run_id, 0, loop_id, str(iteration), frame_id)
    scripts.append(runs.cas_states(run_id, flow_state=run, frame=frame, loop=loop, entry=entry))
    if move.step:
        step, member, status, output = move.step
        scripts.append(
            runs.append_step_entry(
                StepLedgerRow(run_id, 0, step, member, status, encode_json(output), now)
            )
        )
    if move.failure:
        step, reason = move.failure
        scripts.append(runs.append_failure_entry(FailureLedgerRow(run_id, 0, step, reason, now)))
    scripts.append(events.append_batch(drafts))
    return scripts


def _together(scripts: Sequence[Script[Any]]) -> Script[list[Any] | None]:
    """Several scripts as one: all that they write, or nothing and None if one compares unequal."""
    results: list[Any] = []
    writes: list[Write] = []
    for script in scripts:
        commit = yield from script
        if commit.refusal:
            return Commit(None)
        results.append(commit.result)
        writes += commit.writes
    return Commit(results, tuple(writes))


def _keyed(swap: Swap | None) -> KeyedSwap | None:
    if swap is None:
        return None
    key, before, after = swap
    return KeyedSwap(key, None if before is None else before.to_json(), after.to_json())


# Events of a new mob ---------------------------------------------------------------------------


def _mob_events() -> list[MobEventKind]:
    members = [MeerkatId(member) for member in _ROLES]
    return [
        MobCreated(definition=definition()),
        *(
            MeerkatSpawned(
                meerkat_id=member,
                role=ProfileName(_ROLES[member]),
                member_ref=SessionMember(session_id=SessionId(uuid4())),
            )
            for member in members
        ),
        *(PeersWired(a=a, b=b) for a, b in combinations(members, 2)),
    ]


def _drafts(kinds: Sequence[MobEventKind], now: Timestamp) -> list[EventDraft]:
    return [draft_event(DEMO_MOB, now, kind) for kind in kinds]


# In words --------------------------------------------------------------------------------------


async def _place(stores: MobStores, run_id: str) -> tuple[int, RunStatus]:
    """How many moves were made, and the status."""
    states = await stores.engine.read(lambda: _standing(run_id))
    place = _play(UUID(run_id)).places.get(states)
    if place is None:
        raise RefusedError(
            "refused", "This run was begun by another version of the demo.", "Start a new run."
        )
    return place, cast("RunStatus", states[0])


async def _demo_run(stores: MobStores, run_id: str) -> DemoRun:
    return _told(run_id, *await _place(stores, run_id))


def _told(run_id: str | None, place: int, status: RunStatus) -> DemoRun:
    moves = _play(UUID(run_id)).moves if run_id else []
    return {
        "run_id": run_id,
        "mob_id": DEMO_MOB,
        "done": place,
        "of": len(moves),
        "status": status,
        "next": moves[place].what if place < len(moves) else "",
    }


def _in_words(swap: Swap, run_id: str) -> tuple[str, str]:
    """What of a state a move compares and changes: as it is before and after."""
    key, before, after = swap
    name = key.removeprefix(f"{run_id}-") or "run"
    if before is None:
        return f"{name}: not there", f"{name}: {after.phase}"
    changes = list(_changes(before, after))
    was = ", ".join(f"{field} {_word(old, run_id)}" for field, old, _ in changes)
    becomes = ", ".join(f"{field} {_word(new, run_id)}" for field, _, new in changes)
    return f"{name}: {was}", f"{name}: {becomes}"


def _changes(
    before: KernelState, after: KernelState
) -> Iterator[tuple[str, KernelValue, KernelValue]]:
    """The fields that differ, and of maps the entries."""
    if before.phase != after.phase:
        yield "phase", before.phase, after.phase
    fields = before.fields
    for name, new in after.fields.items():
        old = fields[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            for key, value in new.items():
                if old.get(key) != value:
                    yield f"{name} {key}", old.get(key), value
        elif old != new:
            yield name, old, new


def _word(value: KernelValue, run_id: str) -> str:
    if isinstance(value, NamedVariant):
        return value.variant
    return compact(plain(value)).replace(f"{run_id}-", "")
