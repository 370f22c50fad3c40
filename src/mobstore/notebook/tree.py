"""Frames and loops as they lie in each other, and the nodes of a frame."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from mobstore.errors import SerializationError
from mobstore.model.kernel import KernelState
from mobstore.model.kernel_values import KernelValue, NamedVariant
from mobstore.model.run import MobRun

_Key: TypeAlias = tuple[Literal["frame", "loop"], str]
_BETWEEN = "::"
_DIGITS = re.compile(r"([0-9]+)")
_NUMBERS = 64  # in an id, that count as such: a name may hold tens of thousands


class Branch(NamedTuple):
    """A frame or a loop in the tree.

    Attributes:
        of: which of the two.
        id: the frame's or the loop instance's.
        label: the id without that of what it lies in, or of the run.
        depth: how deep it lies, 0 at the root.
        iteration: of a frame that the ledger says ran an iteration: its number from 0.
    """

    of: Literal["frame", "loop"]
    id: str
    label: str
    depth: int
    iteration: int | None


class Node(NamedTuple):
    """A node of a frame; "" and () are what its state does not say.

    Attributes:
        node_id: its name.
        kind: `Step` or `Loop`.
        status: Pending, Ready, Running, Completed, Failed, Skipped, Canceled.
        depends_on: the nodes before it.
    """

    node_id: str
    kind: str
    status: str
    depends_on: tuple[str, ...]


def branches_of(run: MobRun) -> list[Branch]:
    """All frames and loops of a run in the order of display."""
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
    """All frames and loops of a run in the order of display: what lies in a branch follows it.

    Which frame is an iteration of which loop stands in the ledger; else an id tells where its
    owner lies, `frame::node` of a loop and `loop::iter-n` of a frame. What that leaves without a
    place, or in a circle, stands at the root.

    Args:
        run_id: the run's.
        frames: the ids of its frames.
        loops: the ids of its loop instances.
        iterations: of each frame that the ledger tells of: the loop instance and the iteration.
    """
    keys: list[_Key] = [*(("frame", name) for name in frames), *(("loop", name) for name in loops)]
    known = set(keys)

    def number(key: _Key) -> int | None:
        of, name = key
        return iterations[name][1] if of == "frame" and name in iterations else None

    def holder(key: _Key) -> _Key | None:
        of, name = key
        if of == "frame" and name in iterations:
            told: _Key = ("loop", iterations[name][0])
            if told in known:
                return told
        above, between, _ = name.rpartition(_BETWEEN)
        named: _Key = ("loop" if of == "frame" else "frame", above)
        return named if between and named in known else None

    children: dict[_Key | None, list[_Key]] = {}
    for key in sorted(keys, key=lambda key: (-1 if (n := number(key)) is None else n, _rank(key))):
        children.setdefault(holder(key), []).append(key)
    tree: list[Branch] = []
    seen: set[_Key] = set()
    for start in (*children.get(None, ()), *keys):
        waiting = [(start, f"{run_id}-", 0)]
        while waiting:
            key, prefix, depth = waiting.pop()
            if key in seen:
                continue
            seen.add(key)
            of, name = key
            tree.append(Branch(of, name, name.removeprefix(prefix) or name, depth, number(key)))
            prefix = f"{name}{_BETWEEN}"  # one for all: a long name may hold many
            lying_in = reversed(children.get(key, []))
            waiting += [(child, prefix, depth + 1) for child in lying_in]
    return tree


def _rank(key: _Key) -> tuple[str, list[tuple[int, str]], str]:
    """What a key sorts by: numbers in its id count as numbers, so `iter-2` precedes `iter-10`."""
    of, name = key
    pieces = [
        (len(digits), digits) if (digits := piece.lstrip("0")).isdecimal() else (0, piece)
        for piece in _DIGITS.split(name, _NUMBERS)
    ]
    return of, pieces, name


def phase(state: KernelState) -> str:
    """The phase of a state, or that it cannot be read."""
    try:
        return state.phase
    except SerializationError:
        return "cannot be read"


def nodes(state: KernelState) -> list[Node]:
    """The nodes of a frame in their order.

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


# A store never looks into states, so anything may stand where a machine would put these.


def _map(value: KernelValue) -> Mapping[KernelValue, KernelValue]:
    return value if isinstance(value, Mapping) else {}


def _seq(value: KernelValue) -> tuple[KernelValue, ...]:
    return value if isinstance(value, tuple) and not isinstance(value, NamedVariant) else ()


def _word(value: KernelValue) -> str:
    if isinstance(value, NamedVariant):
        return value.variant
    return "" if value is None else str(value)
