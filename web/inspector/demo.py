"""The demo: a run that advances one commit at a time.

A move changes states, ledgers, outputs and events. It is one atomic call, so a reload never leaves
half of it, and nothing is written if one of its comparisons fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import combinations
from typing import cast
from uuid import UUID, uuid4

from inspector.batched_reads import scan_rows
from inspector.demo_commit import commit_move
from inspector.demo_definition import DEMO_FLOW, DEMO_MOB, definition, first_state
from inspector.demo_moves import MoveSequence, States, Swap
from inspector.failures import InspectorError
from inspector.formatting import to_json_line, to_plain_json
from inspector.run_results import DemoMove, DemoRun, RunStatus
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
    NewMobEvent,
    NotFoundError,
    PeersWired,
    ProfileName,
    SessionId,
    SessionMember,
    Stores,
    Timestamp,
    is_terminal,
)
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    FRAMES,
    LOOPS,
    RUN_STATES,
    RUNS,
    RUNS_BY_FLOW,
    FrameRow,
    LoopRow,
)
from mobstore.scripts.transaction import Commit, Get, Scan, Script, fetch

_ROLES = {"editor-1": "editor", "writer-1": "writer", "critic-1": "critic"}
_RUNS_BACK = 20
_MOST_PARTS = 100  # frames, and loops, of a run
_MOST_SIZE = 2**20  # characters of their states

_moves_of = lru_cache(maxsize=4)(MoveSequence)


async def demo_state(stores: MobStores) -> DemoRun:
    """Find the newest demo run that can continue, among the last twenty."""
    for run_id in await stores.engine.read(_unfinished):
        try:
            return await _demo_run(stores, run_id)
        except InspectorError:
            continue  # it belongs to another version of the demo
    return _to_result(None, 0, "pending")


async def demo_start(stores: MobStores) -> DemoRun:
    """Create a run, and the demo's mob if it does not exist yet."""
    run = MobRun.pending(DEMO_MOB, DEMO_FLOW, first_state(), {"topic": "tides"})
    started = FlowStarted(run_id=run.run_id, flow_id=run.flow_id, params=run.activation_params)
    of_mob = _mob_events()

    async def start(at: Stores) -> None:
        await at.runs.create_run(run)
        kinds: list[MobEventKind] = [started]
        if await at.specs.get_spec(DEMO_MOB) is None:
            await at.specs.put_spec(DEMO_MOB, definition())
            kinds = [*of_mob, started]
        await at.events.append_batch([NewMobEvent(mob_id=DEMO_MOB, kind=kind) for kind in kinds])

    await stores.atomic(start)
    return await _demo_run(stores, str(run.run_id))


async def demo_move(stores: MobStores, run_id: str) -> DemoMove:
    """Make the next move of a run, unless another tab makes it first.

    Raises:
        NotFoundError: the demo has no such run.
        InspectorError: the run belongs to another version of the demo.
    """
    made, _ = await _count_moves(stores, run_id)
    moves = _moves_of(UUID(run_id)).moves
    if made == len(moves):
        return {
            "won": False, "summary": "", "method": "", "expected": [], "next": [], "events": [],
            "demo": await _demo_run(stores, run_id),
        }  # fmt: skip
    move = moves[made]
    cursors = await commit_move(stores, UUID(run_id), move, Timestamp.now())
    swaps = [swap for swap in (move.flow, move.frame, move.loop) if swap]
    changes = [_describe(swap, run_id) for swap in swaps if swap.expected != swap.next]
    return {
        "won": cursors is not None,
        "summary": move.summary,
        "method": move.method,
        "expected": [expected for expected, _ in changes],
        "next": [after for _, after in changes],
        "events": cursors or [],
        "demo": await _demo_run(stores, run_id),
    }


# Scripts ---------------------------------------------------------------------------------------


def _unfinished() -> Script[list[str]]:
    found = yield from fetch(
        Scan(RUNS_BY_FLOW, (DEMO_MOB, DEMO_FLOW), limit=_RUNS_BACK, backwards=True)
    )
    return Commit([run.run_id for run in found if not is_terminal(run.status)])


def _read_states(run_id: str) -> Script[States]:
    of_run = (run_id,)
    run, state = yield from fetch(Get(RUNS, of_run), Get(RUN_STATES, of_run))
    if run is None or state is None or (run.mob_id, run.flow_id) != (DEMO_MOB, DEMO_FLOW):
        raise NotFoundError(f"demo run not found: {brief(run_id)}")
    # A run of the demo has few frames and loops, and their states are small.
    frames = yield from scan_rows(FRAMES, of_run, _frame, most=_MOST_PARTS, size=_MOST_SIZE)
    loops = yield from scan_rows(LOOPS, of_run, _loop, most=_MOST_PARTS, size=_MOST_SIZE)
    return Commit(
        (
            run.status,
            state.flow_state,
            frozenset(frames),
            frozenset(loops),
        )
    )


def _frame(row: FrameRow) -> tuple[str, str]:
    return row.frame_id, row.kernel_state


def _loop(row: LoopRow) -> tuple[str, str]:
    return row.loop_instance_id, row.kernel_state


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


# Descriptions ----------------------------------------------------------------------------------


async def _count_moves(stores: MobStores, run_id: str) -> tuple[int, RunStatus]:
    """Read the number of moves made, and the status."""
    states = await stores.engine.read(lambda: _read_states(run_id))
    place = _moves_of(UUID(run_id)).counts.get(states)
    if place is None:
        raise InspectorError(
            "rejected", "This run was started by another version of the demo.", "Start a new run."
        )
    return place, cast("RunStatus", states[0])


async def _demo_run(stores: MobStores, run_id: str) -> DemoRun:
    return _to_result(run_id, *await _count_moves(stores, run_id))


def _to_result(run_id: str | None, place: int, status: RunStatus) -> DemoRun:
    moves = _moves_of(UUID(run_id)).moves if run_id else []
    return {
        "run_id": run_id,
        "mob_id": DEMO_MOB,
        "done": place,
        "of": len(moves),
        "status": status,
        "next": moves[place].summary if place < len(moves) else "",
    }


def _describe(swap: Swap, run_id: str) -> tuple[str, str]:
    """Describe the part of a state that a move changes, as expected and as next."""
    key, expected, new = swap
    name = key.removeprefix(f"{run_id}-") or "run"
    if expected is None:
        return f"{name}: absent", f"{name}: {new.phase}"
    changes = list(_changes(expected, new))
    old_text = ", ".join(f"{field} {_format(old, run_id)}" for field, old, _ in changes)
    new_text = ", ".join(f"{field} {_format(value, run_id)}" for field, _, value in changes)
    return f"{name}: {old_text}", f"{name}: {new_text}"


def _changes(
    before: KernelState, after: KernelState
) -> Iterator[tuple[str, KernelValue, KernelValue]]:
    """Yield the fields that differ, entry by entry for maps, with both values."""
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


def _format(value: KernelValue, run_id: str) -> str:
    if isinstance(value, NamedVariant):
        return value.variant
    return to_json_line(to_plain_json(value)).replace(f"{run_id}-", "")
