"""Claims to rows and back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from mobstore.codec.arguments import describe, name_text, to_timestamp
from mobstore.codec.decoding import naming_unreadable_rows, stored_number, stored_text
from mobstore.codec.runs import read_header, run_key
from mobstore.errors import UsageError
from mobstore.model.claim import RUN_PREFIX, Claim, RunClaim
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import ClaimRow, RunClaimRow, RunRow

_LONGEST = timedelta(days=36_500)
_MICROSECOND = timedelta(microseconds=1)
LONGEST_TTL = _LONGEST // _MICROSECOND
"""The most microseconds until a claim expires."""


def run_claim_name(run_id: UUID | str) -> str:
    """Return the name of a run's claim: `run/` and the id in lower case with hyphens.

    Raises:
        UsageError: it is neither a UUID nor the text of one.
    """
    return f"{RUN_PREFIX}{run_key(run_id)}"


def claim_name(name: str) -> str:
    """Check the name of a claim.

    Raises:
        UsageError: it is not text, or is empty, or begins with `run/` but is not a run's.
        SerializationError: it holds lone surrogates, or is too long.
    """
    checked = name_text(name, "name")
    if checked.startswith(RUN_PREFIX):
        return run_claim_name(checked.removeprefix(RUN_PREFIX))
    return checked


def holder_text(holder: str) -> str:
    """Check the name of a holder.

    Raises:
        UsageError: it is not text, or is empty.
        SerializationError: it holds lone surrogates, or is too long.
    """
    return name_text(holder, "holder")


def microseconds(duration: float | timedelta, what: str) -> int:
    """Return a duration in microseconds, at least 1.

    Raises:
        UsageError: it is not a positive number of seconds or timedelta, or exceeds 100 years.
    """
    if isinstance(duration, (int, float)) and type(duration) is not bool:
        if not 0 < duration <= _LONGEST.total_seconds():
            raise UsageError(f"{what} must be a positive number of seconds, at most 100 years")
        return max(1, round(duration * 1_000_000))
    if not isinstance(duration, timedelta):
        raise UsageError(f"{what} must be seconds or a timedelta, not {describe(duration)}")
    if not timedelta(0) < duration <= _LONGEST:
        raise UsageError(f"{what} must be positive, and at most 100 years")
    return duration // _MICROSECOND


def due_time(time: Timestamp | datetime | timedelta, what: str) -> str | timedelta:
    """Return a time as sortable text, or a delay as it is.

    Raises:
        UsageError: it is a naive datetime, a delay that is negative or exceeds 100 years, or
            something else.
    """
    if isinstance(time, timedelta):
        if not timedelta(0) <= time <= _LONGEST:
            raise UsageError(f"{what} must not be negative, and at most 100 years")
        return time
    return to_timestamp(time, what).sortable


def check_claim(claim: Claim) -> Claim:
    """Check that a value is a claim.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(claim, Claim):
        raise UsageError(f"claim must be a Claim, not {describe(claim)}")
    return claim


def name_of(row: ClaimRow | RunClaimRow) -> str:
    """Return the name of the claim in a row."""
    return row.name if isinstance(row, ClaimRow) else f"{RUN_PREFIX}{row.run_id}"


def read_claim(row: ClaimRow | RunClaimRow) -> Claim:
    """Decode a claim that is held.

    Raises:
        SerializationError: it cannot be read.
    """
    with naming_unreadable_rows("claim", name_of(row)):
        return Claim.assemble(_fields(row))


def read_run_claim(row: RunClaimRow, run: RunRow | None) -> RunClaim:
    """Decode a claim that is held, with the header of its run.

    Raises:
        SerializationError: it cannot be read, or is not that of a run.
    """
    with naming_unreadable_rows("claim", name_of(row)):
        if run is None or run[:5] != row[:5]:
            raise ValueError("its run does not exist, or is another one; see mobstore verify")
        return RunClaim.assemble({**_fields(row), "run": read_header(run, row)})


def _fields(row: ClaimRow | RunClaimRow) -> dict[str, Any]:
    return {
        "name": stored_text(name_of(row)),
        "holder": stored_text(row.holder),
        "epoch": stored_number(row.epoch),
        "expires_at": Timestamp.from_sortable(row.due_at),
        "ttl": stored_number(row.ttl) / 1_000_000,
    }
