"""The demo: a run that advances one commit at a time.

A move changes states, ledgers, outputs and events. It is one atomic call, so a reload never leaves
half of it, and nothing is written if one of its comparisons fails.

A tab makes moves only with a claim on the run, and each move is fenced by it: once another tab has
taken the claim, nothing of the move is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple, cast
from uuid import UUID, uuid4

from inspector.batched_reads import scan_rows
from inspector.claims import claim_state
from inspector.demo_claim import DemoClaim
from inspector.demo_commit import commit_move
from inspector.demo_definition import DEMO_FLOW, DEMO_MOB, definition, first_state
from inspector.demo_moves import Move, MoveSequence, States, Swap
from inspector.failures import InspectorError
from inspector.formatting import to_json_line, to_plain_json
from inspector.results import ClaimState
from inspector.run_results import DemoMove, DemoRun, Outcome, RunStatus
from mobstore import (
    ClaimLostError,
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
    RefusedError,
    SessionId,
    SessionMember,
    Stores,
    Timestamp,
    is_terminal,
    run_claim_name,
)
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    FRAMES,
    LOOPS,
    RUN_CLAIMS,
    RUN_STATES,
    RUNS,
    RUNS_BY_FLOW,
    FrameRow,
    LoopRow,
)
from mobstore.scripts.transaction import Commit, Get, Now, Scan, Script, fetch

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
    return _to_result(None, _Progress(0, "pending", None))


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


async def demo_move(
    stores: MobStores, own: DemoClaim, run_id: str, who: str, *, keep: bool
) -> DemoMove:
    """Claim a run unless another tab holds it, and make its next move, fenced by the claim.

    Args:
        stores: the stores that hold the run.
        own: the claim of this tab.
        run_id: the run.
        who: the name of this tab.
        keep: keep the claim for further moves, until it is lost or the run ends.

    Raises:
        NotFoundError: the demo has no such run.
        InspectorError: the run belongs to another version of the demo.
    """
    moves = _moves_of(UUID(run_id)).moves
    if (await _read(stores, run_id)).place == len(moves):
        return await _attempt(stores, run_id, "ended")
    claim = await own.acquire(stores, run_id, who)
    if claim is None:
        return await _attempt(stores, run_id, "held")
    if keep:
        own.keep()
    outcome: Outcome = "ended"
    move, cursors, reason = None, list[int](), ""
    try:
        place = (await _read(stores, run_id)).place  # perhaps another tab has moved meanwhile
        if place < len(moves):
            move = moves[place]
            cursors = await commit_move(stores, claim, UUID(run_id), move, Timestamp.now())
            outcome = "made"
    except ClaimLostError as error:
        outcome, reason = "lost", str(error.args[-1])
    except RefusedError:
        outcome = "late"
    finally:
        if not keep or outcome != "made":
            await own.release()
    attempt = await _attempt(stores, run_id, outcome, move)
    return {**attempt, "reason": reason, "epoch": str(claim.epoch), "events": cursors}


async def demo_take_over(stores: MobStores, run_id: str) -> DemoRun:
    """Release the claim on a run, whichever tab holds it.

    Raises:
        NotFoundError: the demo has no such run.
        InspectorError: the run belongs to another version of the demo.
    """
    await _read(stores, run_id)
    claim = await stores.claims.get(run_claim_name(run_id))
    if claim is not None:
        await stores.claims.release(claim)
    return await _demo_run(stores, run_id)


async def _attempt(
    stores: MobStores, run_id: str, outcome: Outcome, move: Move | None = None
) -> DemoMove:
    """Return an attempt at a move without a claim, and the state of the run after it."""
    swaps = [] if move is None else [swap for swap in (move.flow, move.frame, move.loop) if swap]
    changes = [_describe(swap, run_id) for swap in swaps if swap.expected != swap.next]
    return {
        "outcome": outcome,
        "reason": "",
        "epoch": None,
        "summary": "" if move is None else move.summary,
        "method": "" if move is None else move.method,
        "expected": [expected for expected, _ in changes],
        "next": [after for _, after in changes],
        "events": [],
        "demo": await _demo_run(stores, run_id),
    }


# Scripts ---------------------------------------------------------------------------------------


def _unfinished() -> Script[list[str]]:
    found = yield from fetch(
        Scan(RUNS_BY_FLOW, (DEMO_MOB, DEMO_FLOW), limit=_RUNS_BACK, backwards=True)
    )
    return Commit([run.run_id for run in found if not is_terminal(run.status)])


class _Stored(NamedTuple):
    """A run as stored: its states, and the claim on it."""

    states: States
    claim: ClaimState | None


def _read_stored(run_id: str) -> Script[_Stored]:
    of_run = (run_id,)
    run, state = yield from fetch(Get(RUNS, of_run), Get(RUN_STATES, of_run))
    if run is None or state is None or (run.mob_id, run.flow_id) != (DEMO_MOB, DEMO_FLOW):
        raise NotFoundError(f"demo run not found: {brief(run_id)}")
    claim, now = yield from fetch(Get(RUN_CLAIMS, of_run), Now())
    # A run of the demo has few frames and loops, and their states are small.
    frames = yield from scan_rows(FRAMES, of_run, _frame, most=_MOST_PARTS, size=_MOST_SIZE)
    loops = yield from scan_rows(LOOPS, of_run, _loop, most=_MOST_PARTS, size=_MOST_SIZE)
    states = (run.status, state.flow_state, frozenset(frames), frozenset(loops))
    return Commit(_Stored(states, claim_state(claim, now)))


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


class _Progress(NamedTuple):
    """The number of moves made, the status, and the claim."""

    place: int
    status: RunStatus
    claim: ClaimState | None


async def _read(stores: MobStores, run_id: str) -> _Progress:
    stored = await stores.engine.read(lambda: _read_stored(run_id))
    place = _moves_of(UUID(run_id)).counts.get(stored.states)
    if place is None:
        raise InspectorError(
            "rejected", "This run was started by another version of the demo.", "Start a new run."
        )
    return _Progress(place, cast("RunStatus", stored.states[0]), stored.claim)


async def _demo_run(stores: MobStores, run_id: str) -> DemoRun:
    return _to_result(run_id, await _read(stores, run_id))


def _to_result(run_id: str | None, progress: _Progress) -> DemoRun:
    moves = _moves_of(UUID(run_id)).moves if run_id else []
    return {
        "run_id": run_id,
        "mob_id": DEMO_MOB,
        "done": progress.place,
        "of": len(moves),
        "status": progress.status,
        "next": moves[progress.place].summary if progress.place < len(moves) else "",
        "claim": progress.claim,
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
