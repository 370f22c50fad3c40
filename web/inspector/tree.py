"""The tree of frames and loops of a run, and the nodes of its frames."""

from __future__ import annotations

import json
from collections.abc import Sequence

from inspector.batched_reads import MOST_DECODED, get_rows
from inspector.formatting import first_names, truncate
from inspector.run_results import Branch, FrameNodes, Nodes
from mobstore.errors import SerializationError
from mobstore.model.kernel import KernelState
from mobstore.notebook.tree import Node, branches, nodes
from mobstore.scripts.tables import FRAMES, FrameRow, LoopIterationRow
from mobstore.scripts.transaction import Commit, Script

_PHASE = '{"phase":'
_MOST_NODES = 500


def phase_of(state: str) -> str:
    """Return the phase of a stored state without decoding the rest, which may be long.

    Raises:
        SerializationError: the state is corrupt.
    """
    if state.startswith(_PHASE):
        try:
            phase, _ = json.JSONDecoder().raw_decode(state, len(_PHASE))
        except ValueError:
            pass
        else:
            return truncate(str(phase))
    raise SerializationError("a stored kernel state cannot be read")


def tree_of(
    run_id: str,
    frames: Sequence[tuple[str, str]],
    loops: Sequence[tuple[str, str]],
    iterations: Sequence[LoopIterationRow],
) -> list[Branch]:
    """Arrange frames and loops of a run for display: children follow their parent.

    Args:
        run_id: the id of the run.
        frames: ids and phases of its frames.
        loops: ids and phases of its loops.
        iterations: entries of its loop iteration ledger.
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
    """Read the first nodes of these frames; a state that is too long yields none."""
    keys = [(run_id, frame_id) for frame_id in frame_ids]
    return Commit({"frames": (yield from get_rows(FRAMES, keys, _nodes))})


def _nodes(row: FrameRow) -> FrameNodes:
    return {
        "frame_id": row.frame_id,
        "nodes": [
            {
                "node_id": truncate(node.node_id),
                "kind": truncate(node.kind),
                "status": truncate(node.status),
                "depends_on": first_names(node.depends_on),
            }
            for node in _decoded(row.kernel_state)[:_MOST_NODES]
        ],
    }


def _decoded(state: str) -> list[Node]:
    return nodes(KernelState.from_canonical(state)) if len(state) <= MOST_DECODED else []
