"""Frames and loops as they lie in each other, and the nodes of a frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from inspector.shapes import Branch, FrameNodes, Nodes
from mobstore.displays.tree import branches, nodes
from mobstore.errors import SerializationError
from mobstore.model.kernel import KernelState
from mobstore.tables import FRAMES, FrameRow, LoopIterationRow, LoopRow
from mobstore.transaction import Commit, Get, Script

_PHASE = '{"phase":'


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
    """All frames and loops of a run in the order of display: what lies in a branch follows it."""
    states = {("frame", row.frame_id): row.kernel_state for row in frames}
    states.update({("loop", row.loop_instance_id): row.kernel_state for row in loops})
    found = branches(
        run_id,
        [row.frame_id for row in frames],
        [row.loop_instance_id for row in loops],
        {row.frame_id: (row.loop_instance_id, int(row.iteration)) for row in iterations},
    )
    return [
        {
            "of": branch.of,
            "id": branch.id,
            "label": branch.label,
            "depth": branch.depth,
            "phase": phase_of(states[branch.of, branch.id]),
            "iteration": None if branch.iteration is None else str(branch.iteration),
            "state": {"of": branch.of, "run_id": run_id, "id": branch.id},
        }
        for branch in found
    ]


def nodes_of(run_id: str, frame_ids: Sequence[str]) -> Script[Nodes]:
    """The nodes of these frames; their states are decoded."""
    found = yield tuple(Get(FRAMES, (run_id, frame_id)) for frame_id in frame_ids)
    rows = [row for row in cast("tuple[FrameRow | None, ...]", found) if row is not None]
    return Commit({"frames": [_nodes(row) for row in rows]})


def _nodes(row: FrameRow) -> FrameNodes:
    return {
        "frame_id": row.frame_id,
        "nodes": [
            {
                "node_id": node.node_id,
                "kind": node.kind,
                "status": node.status,
                "depends_on": list(node.depends_on),
            }
            for node in nodes(KernelState.from_canonical(row.kernel_state))
        ],
    }
