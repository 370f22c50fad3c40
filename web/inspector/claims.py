"""Claims and consumers: who executes what, and how far each reader of the log is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from inspector.batched_reads import scan_rows, whole
from inspector.formatting import format_timestamp, truncate
from inspector.results import ClaimState, Consumer, NamedClaim, Workers
from mobstore.codec.claims import name_of
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    EVENTS,
    RUN_CLAIMS_BY_HOLDER,
    ClaimRow,
    ConsumerRow,
    RunClaimRow,
)
from mobstore.scripts.transaction import Commit, Count, Now, Scan, Script, fetch

_MOST = 500  # claims, and consumers
_MOST_READ = 20_000  # rows, of which only some are claims that are held


def claim_state(row: ClaimRow | RunClaimRow | None, now: str) -> ClaimState | None:
    """Describe a row of claims; None if it can be claimed and is not held."""
    if row is None or not (row.holder or now < row.due_at):
        return None
    held: Literal["held", "expired"] = "held" if now < row.due_at else "expired"
    return {
        "state": held if row.holder else "put_off",
        "holder": truncate(row.holder),
        "epoch": str(row.epoch),
        "due_at": format_timestamp(row.due_at),
    }


def workers() -> Script[Workers]:
    """Read the claims that are held or put off, and the consumers with their backlogs."""
    now = yield from fetch(Now())
    held = yield from fetch(Scan(RUN_CLAIMS_BY_HOLDER, after="", limit=_MOST_READ))
    named = yield from scan_rows(CLAIMS, (), whole, most=_MOST_READ)
    claims = _claims([*held, *named], now)
    consumers = yield from scan_rows(CONSUMERS, (), whole, most=_MOST_READ)
    behind: Sequence[int] = yield tuple(
        Count(Scan(EVENTS, after=one.cursor)) for one in consumers[:_MOST]
    )
    return Commit(
        {
            "claims": claims[:_MOST],
            "claims_left_out": max(0, len(claims) - _MOST),
            "consumers": list(map(_to_result, consumers, behind)),
            "consumers_left_out": max(0, len(consumers) - _MOST),
        }
    )


def _claims(rows: Sequence[ClaimRow | RunClaimRow], now: str) -> list[NamedClaim]:
    found: list[NamedClaim] = []
    for row in sorted(rows, key=name_of):
        state = claim_state(row, now)
        if state is not None:
            run_id = row.run_id if isinstance(row, RunClaimRow) else None
            found.append({"name": truncate(name_of(row)), "run_id": run_id, "claim": state})
    return found


def _to_result(row: ConsumerRow, behind: int) -> Consumer:
    return {
        "name": truncate(row.name),
        "cursor": row.cursor,
        "behind": behind,
        "updated_at": format_timestamp(row.updated_at),
    }
