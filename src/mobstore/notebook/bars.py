"""A step ledger as bars: who worked at what, from when to when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Bar(NamedTuple):
    """What one member did for one step, from its dispatch to its end.

    Attributes:
        step_id: the step.
        member_id: the member.
        status: `dispatched` while at work, or when it was dispatched again before it ended.
        first: position of its first entry in the ledger.
        end: position of the entry that ended it, None while it is at work.
    """

    step_id: str
    member_id: str
    status: str
    first: int
    end: int | None


def bars(ledger: Iterable[tuple[str, str, str]]) -> list[Bar]:
    """The bars in the order of their first entries.

    A bar goes from a dispatch to the next entry of the same step and member. An entry without a
    dispatch before it is a bar of its own.

    Args:
        ledger: of each entry the step, the member and the status.
    """
    found: list[Bar] = []
    at_work: dict[tuple[str, str], int] = {}
    for position, (step_id, member_id, status) in enumerate(ledger):
        who = (step_id, member_id)
        begun = at_work.pop(who, None)
        again = status == "dispatched"
        if begun is not None:
            bar = found[begun]
            found[begun] = bar._replace(status=bar.status if again else status, end=position)
        if again:
            at_work[who] = len(found)
        if again or begun is None:
            found.append(Bar(step_id, member_id, status, position, None if again else position))
    return found
