"""Frames and loops as they lie in each other, and the nodes of a frame."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, cast

from inspector.shapes import Branch, FrameNodes, Nodes
from mobstore.errors import SerializationError
from mobstore.model.kernel import KernelState, KernelValue, NamedVariant
from mobstore.tables import FRAMES, FrameRow, LoopIterationRow, LoopRow
from mobstore.transaction import Commit, Get, Script

_Key: TypeAlias = tuple[Literal["frame", "loop"], str]
_PHASE = '{"phase":'
_BETWEEN = "::"


def phase_of(state: str) -> str:
    """The phase of a state as stored, without decoding the rest, which may be long.

    Raises:
        SerializationError: it is no stored state.
    """
    if state.startswith(_PHASE):
        try:
            phase, _ = json.JSONDecoder().raw_decode(state, len(_PHASE))
        except ValueError:
            pass
        else:
            return str(phase)
    raise SerializationError("a stored kernel state cannot be read")


def tree_of(
    run_id: str,
    frames: Sequence[FrameRow],
    loops: Sequence[LoopRow],
    iterations: Sequence[LoopIterationRow],
) -> list[Branch]:
    """All frames and loops of a run in the order of display: what lies in a branch follows it.

    Which frame is an iteration of which loop stands in the ledger; else an id tells where its
    owner lies, `frame::node` of a loop and `loop::iter-n` of a frame. What that leaves without a
    place, or in a circle, stands at the root.
    """
    states: dict[_Key, str] = {("frame", row.frame_id): row.kernel_state for row in frames}
    states.update({("loop", row.loop_instance_id): row.kernel_state for row in loops})
    recorded = {("frame", row.frame_id): row for row in iterations}
    children: dict[_Key | None, list[_Key]] = {}
    for key in sorted(states, key=lambda key: (_iteration(recorded.get(key)), key)):
        children.setdefault(_holder(key, states, recorded.get(key)), []).append(key)
    tree: list[Branch] = []
    seen: set[_Key] = set()
    for start in (*children.get(None, ()), *states):
        waiting = [(start, f"{run_id}-", 0)]
        while waiting:
            key, prefix, depth = waiting.pop()
            if key in seen:
                continue
            seen.add(key)
            of, name = key
            entry = recorded.get(key)
            tree.append(
                {
                    "of": of,
                    "id": name,
                    "label": name.removeprefix(prefix) or name,
                    "depth": depth,
                    "phase": phase_of(states[key]),
                    "iteration": None if entry is None else entry.iteration,
                    "state": {"of": of, "run_id": run_id, "id": name},
                }
            )
            lying_in = reversed(children.get(key, []))
            waiting += [(child, f"{name}{_BETWEEN}", depth + 1) for child in lying_in]
    return tree


def nodes(run_id: str, frame_ids: Sequence[str]) -> Script[Nodes]:
    """The nodes of these frames; their states are decoded."""
    found = yield tuple(Get(FRAMES, (run_id, frame_id)) for frame_id in frame_ids)
    rows = [row for row in cast("tuple[FrameRow | None, ...]", found) if row is not None]
    return Commit({"frames": [_nodes(row) for row in rows]})


def _holder(key: _Key, states: Mapping[_Key, str], entry: LoopIterationRow | None) -> _Key | None:
    of, name = key
    if entry is not None and ("loop", entry.loop_instance_id) in states:
        return "loop", entry.loop_instance_id
    above, between, _ = name.rpartition(_BETWEEN)
    holder: _Key = ("loop" if of == "frame" else "frame", above)
    return holder if between and holder in states else None


def _iteration(entry: LoopIterationRow | None) -> int:
    return -1 if entry is None else int(entry.iteration)


def _nodes(row: FrameRow) -> FrameNodes:
    fields = KernelState.from_canonical(row.kernel_state).fields
    statuses, kinds, needs = (
        _map(fields.get(name)) for name in ("node_status", "node_kind", "node_dependencies")
    )
    names = dict.fromkeys([*_seq(fields.get("ordered_nodes")), *statuses])
    return {
        "frame_id": row.frame_id,
        "nodes": [
            {
                "node_id": name,
                "kind": _word(kinds.get(name)),
                "status": _word(statuses.get(name)),
                "depends_on": [_word(need) for need in _seq(needs.get(name))],
            }
            for name in names
            if isinstance(name, str)
        ],
    }


# A store never looks into states, so anything may stand where a machine would put these.


def _map(value: KernelValue) -> Mapping[KernelValue, KernelValue]:
    return value if isinstance(value, Mapping) else {}


def _seq(value: KernelValue) -> tuple[KernelValue, ...]:
    return value if isinstance(value, tuple) and not isinstance(value, NamedVariant) else ()


def _word(value: KernelValue) -> str:
    if isinstance(value, NamedVariant):
        return value.variant
    return "" if value is None else str(value)
