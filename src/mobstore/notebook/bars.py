"""A step ledger as bars: which member worked on which step, from when to when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Bar(NamedTuple):
    """The work of one member on one step, from its dispatch to its end.

    Attributes:
        step_id: the step.
        member_id: the member.
        status: `dispatched` if it is running, or if it was dispatched again before it ended.
        first: position of its first entry in the ledger.
        end: position of the entry that ended it, None while it is running.
    """

    step_id: str
    member_id: str
    status: str
    first: int
    end: int | None


def bars(ledger: Iterable[tuple[str, str, str]]) -> list[Bar]:
    """Return the bars in the order of their first entries.

    A bar extends from a dispatch to the next entry of the same step and member. An entry without
    a dispatch before it is a bar of its own.

    Args:
        ledger: the step, the member and the status of each entry.
    """
    found: list[Bar] = []
    running: dict[tuple[str, str], int] = {}
    for position, (step_id, member_id, status) in enumerate(ledger):
        key = (step_id, member_id)
        dispatch = running.pop(key, None)
        is_dispatch = status == "dispatched"
        if dispatch is not None:
            bar = found[dispatch]
            found[dispatch] = bar._replace(
                status=bar.status if is_dispatch else status, end=position
            )
        if is_dispatch:
            running[key] = len(found)
        if is_dispatch or dispatch is None:
            end = None if is_dispatch else position
            found.append(Bar(step_id, member_id, status, position, end))
    return found
