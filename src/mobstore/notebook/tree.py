"""The tree of frames and loops of a run, and the nodes of a frame."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from mobstore.errors import SerializationError
from mobstore.model.kernel import KernelState
from mobstore.model.kernel_values import KernelValue, NamedVariant
from mobstore.model.run import MobRun

_Key: TypeAlias = tuple[Literal["frame", "loop"], str]
_SEPARATOR = "::"
_DIGITS = re.compile(r"([0-9]+)")
_NUMBERS = 64  # compared in an id: a name may contain tens of thousands


class Branch(NamedTuple):
    """A frame or a loop in the tree.

    Attributes:
        of: `frame` or `loop`.
        id: the id of the frame or of the loop instance.
        label: the id without the prefix that names its parent, or the run.
        depth: the distance from the root, 0 at the root.
        iteration: the iteration that the frame ran by the ledger, from 0; None for other branches.
    """

    of: Literal["frame", "loop"]
    id: str
    label: str
    depth: int
    iteration: int | None


class Node(NamedTuple):
    """A node of a frame; "" and () where its state has no value.

    Attributes:
        node_id: its name.
        kind: `Step` or `Loop`.
        status: Pending, Ready, Running, Completed, Failed, Skipped, Canceled.
        depends_on: the nodes that it waits for.
    """

    node_id: str
    kind: str
    status: str
    depends_on: tuple[str, ...]


def run_branches(run: MobRun) -> list[Branch]:
    """Return all frames and loops of a run in the order of display."""
    iterations: dict[str, tuple[str, int]] = {
        entry.frame_id: (entry.loop_instance_id, entry.iteration)
        for entry in run.loop_iteration_ledger
    }
    return branches(str(run.run_id), run.frames, run.loops, iterations)


def branches(
    run_id: str,
    frames: Iterable[str],
    loops: Iterable[str],
    iterations: Mapping[str, tuple[str, int]],
) -> list[Branch]:
    """Return all frames and loops of a run in the order of display: children follow their parent.

    The ledger names the frame of each iteration of a loop. Otherwise the id names the parent:
    `frame::node` for a loop and `loop::iter-n` for a frame. A branch without a parent, or in a
    cycle, is at the root.

    Args:
        run_id: the id of the run.
        frames: the ids of its frames.
        loops: the ids of its loop instances.
        iterations: the loop instance and the iteration of each frame in the ledger.
    """
    keys: list[_Key] = [*(("frame", name) for name in frames), *(("loop", name) for name in loops)]
    known = set(keys)

    def number(key: _Key) -> int | None:
        of, name = key
        return iterations[name][1] if of == "frame" and name in iterations else None

    def parent(key: _Key) -> _Key | None:
        of, name = key
        if of == "frame" and name in iterations:
            by_ledger: _Key = ("loop", iterations[name][0])
            if by_ledger in known:
                return by_ledger
        prefix, separator, _ = name.rpartition(_SEPARATOR)
        by_id: _Key = ("loop" if of == "frame" else "frame", prefix)
        return by_id if separator and by_id in known else None

    children: dict[_Key | None, list[_Key]] = {}
    for key in sorted(keys, key=lambda key: (-1 if (n := number(key)) is None else n, _order(key))):
        children.setdefault(parent(key), []).append(key)
    tree: list[Branch] = []
    seen: set[_Key] = set()
    for start in (*children.get(None, ()), *keys):
        stack = [(start, f"{run_id}-", 0)]
        while stack:
            key, prefix, depth = stack.pop()
            if key in seen:
                continue
            seen.add(key)
            of, name = key
            tree.append(Branch(of, name, name.removeprefix(prefix) or name, depth, number(key)))
            prefix = f"{name}{_SEPARATOR}"  # one for all children: a long name may have many
            stack += [(child, prefix, depth + 1) for child in reversed(children.get(key, []))]
    return tree


def _order(key: _Key) -> tuple[str, list[tuple[int, str]], str]:
    """Return a sort key that compares digits as numbers, so `iter-2` precedes `iter-10`."""
    of, name = key
    pieces = [
        (len(digits), digits) if (digits := piece.lstrip("0")).isdecimal() else (0, piece)
        for piece in _DIGITS.split(name, _NUMBERS)
    ]
    return of, pieces, name


def phase(state: KernelState) -> str:
    """Return the phase of a state, or that it cannot be read."""
    try:
        return state.phase
    except SerializationError:
        return "cannot be read"


def nodes(state: KernelState) -> list[Node]:
    """Return the nodes of a frame in their order.

    Raises:
        SerializationError: the state cannot be read.
    """
    fields = state.fields
    statuses, kinds, needs = (
        _map(fields.get(name)) for name in ("node_status", "node_kind", "node_dependencies")
    )
    names = dict.fromkeys([*_seq(fields.get("ordered_nodes")), *statuses])
    return [
        Node(
            name,
            _word(kinds.get(name)),
            _word(statuses.get(name)),
            tuple(map(_word, _seq(needs.get(name)))),
        )
        for name in names
        if isinstance(name, str)
    ]


# Stores do not read kernel states, so these fields may hold any value.


def _map(value: KernelValue) -> Mapping[KernelValue, KernelValue]:
    return value if isinstance(value, Mapping) else {}


def _seq(value: KernelValue) -> tuple[KernelValue, ...]:
    return value if isinstance(value, tuple) and not isinstance(value, NamedVariant) else ()


def _word(value: KernelValue) -> str:
    if isinstance(value, NamedVariant):
        return value.variant
    return "" if value is None else str(value)
