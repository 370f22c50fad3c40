"""Frames and loops as they lie in each other, and the nodes of a frame."""

from __future__ import annotations

import json
from collections.abc import Sequence

from inspector.pieces import PARSED, get_all
from inspector.shapes import Branch, FrameNodes, Nodes
from inspector.texts import cut, listed
from mobstore.errors import SerializationError
from mobstore.model.kernel import KernelState
from mobstore.notebook.tree import Node, branches, nodes
from mobstore.scripts.tables import FRAMES, FrameRow, LoopIterationRow
from mobstore.scripts.transaction import Commit, Script

_PHASE = '{"phase":'
_MOST_NODES = 500


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
            return cut(str(phase))
    raise SerializationError("a stored kernel state cannot be read")


def tree_of(
    run_id: str,
    frames: Sequence[tuple[str, str]],
    loops: Sequence[tuple[str, str]],
    iterations: Sequence[LoopIterationRow],
) -> list[Branch]:
    """Frames and loops of a run in the order of display: what lies in a branch follows it.

    Args:
        run_id: the run's.
        frames: the ids of frames and the phases of their states.
        loops: those of loops.
        iterations: of the ledger.
    """
    phases = {("frame", frame_id): phase for frame_id, phase in frames}
    phases.update({("loop", loop_id): phase for loop_id, phase in loops})
    found = branches(
        run_id,
        [frame_id for frame_id, _ in frames],
        [loop_id for loop_id, _ in loops],
        {row.frame_id: (row.loop_instance_id, int(row.iteration)) for row in iterations},
    )
    return [
        {
            "of": branch.of,
            "id": branch.id,
            "label": branch.label,
            "depth": branch.depth,
            "phase": phases[branch.of, branch.id],
            "iteration": None if branch.iteration is None else str(branch.iteration),
            "state": {"of": branch.of, "run_id": run_id, "id": branch.id},
        }
        for branch in found
    ]


def nodes_of(run_id: str, frame_ids: Sequence[str]) -> Script[Nodes]:
    """The first nodes of these frames; their states are decoded unless they are too long."""
    keys = [(run_id, frame_id) for frame_id in frame_ids]
    return Commit({"frames": (yield from get_all(FRAMES, keys, _nodes))})


def _nodes(row: FrameRow) -> FrameNodes:
    return {
        "frame_id": row.frame_id,
        "nodes": [
            {
                "node_id": cut(node.node_id),
                "kind": cut(node.kind),
                "status": cut(node.status),
                "depends_on": listed(node.depends_on),
            }
            for node in _decoded(row.kernel_state)[:_MOST_NODES]
        ],
    }


def _decoded(state: str) -> list[Node]:
    return nodes(KernelState.from_canonical(state)) if len(state) <= PARSED else []
