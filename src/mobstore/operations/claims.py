"""Scripts of claims: on names, and on runs.

A claim is held if its row has a holder. It is lost if the row has another holder or epoch than the
caller's claim; its expiry matters only to acquiring it. Epochs come from a counter of the store, so
that none is assigned twice, even after a row was removed.

Claims on runs are found by their due time: the time from which a run can be claimed. It is set to
the run's creation, to the expiry of its claim, or to a later time when the claim is released.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, cast

from mobstore.codec.claims import name_of, read_claim, read_run_claim
from mobstore.errors import ClaimLostError, InternalError, SerializationError
from mobstore.model.claim import RUN_PREFIX, Claim, RunClaim
from mobstore.model.json import I64_MAX
from mobstore.model.run import is_terminal
from mobstore.model.timestamp import Timestamp
from mobstore.operations.ledgers import require_run
from mobstore.scripts.tables import (
    CLAIMS,
    COUNTERS,
    NEXT_EPOCH,
    RUN_CLAIMS,
    RUN_CLAIMS_BY_FLOW,
    RUN_CLAIMS_BY_HOLDER,
    RUN_CLAIMS_BY_MOB,
    RUN_CLAIMS_BY_STATUS,
    RUNS,
    ClaimRow,
    CounterRow,
    Index,
    Key,
    RunClaimRow,
)
from mobstore.scripts.transaction import (
    Commit,
    Delete,
    Get,
    Now,
    Put,
    Read,
    Scan,
    Script,
    ScriptPart,
    Write,
    add_or_put,
    fetch,
    next_number,
)

_Row: TypeAlias = ClaimRow | RunClaimRow

_PAGE = 256  # claims
_LAST = "\U0010ffff"  # the character that sorts after all others
_SURROGATES, _AFTER_SURROGATES = 0xD800, 0xE000  # code points between them are no characters
_MOST_READ = 1000  # runs that were changed or cannot be read, of one call


def acquire(name: str, holder: str, ttl: int) -> Script[Claim | None]:
    """Assign a name to a holder; None if it is held or put off, or its run has ended.

    Args:
        name: the name.
        holder: the holder.
        ttl: microseconds until it expires.

    Raises:
        NotFoundError: it is the name of a run that does not exist.
    """
    counter, found, now = yield from fetch(Get(COUNTERS, (NEXT_EPOCH,)), _find(name), Now())
    row = yield from _found_or_free(name, found)
    if row is None or now < row.due_at or _has_ended(row):
        return Commit(None)
    taken, writes = _take(row, counter, holder, now, ttl)
    return Commit(read_claim(taken), writes)


def renew(claim: Claim, ttl: int | None) -> Script[Claim]:
    """Set the expiry of a claim to `ttl` microseconds from now; None: as many as before.

    Raises:
        ClaimLostError: it is not its holder's any more.
    """
    row, now = yield from fetch(_find(claim.name), Now())
    row = require_held(row, claim)
    ttl = row.ttl if ttl is None else ttl
    renewed = row._replace(due_at=_later(now, ttl), ttl=ttl)
    return Commit(read_claim(renewed), (_put(renewed, later=row.due_at <= renewed.due_at),))


def hold(claim: Claim) -> Script[None]:
    """Check that a claim is still its holder's, in the transaction that depends on it.

    Raises:
        ClaimLostError: it is not.
    """
    require_held((yield from fetch(_find(claim.name))), claim)
    return Commit(None)


def release(claim: Claim, not_before: str | timedelta | None) -> Script[bool]:
    """End a claim, and return whether it was still its holder's.

    Args:
        claim: the claim.
        not_before: the time from which it can be acquired, or a delay; None: now.
    """
    row, now = yield from fetch(_find(claim.name), Now())
    if row is None or not is_held(row, claim):
        return Commit(False)
    return Commit(True, (end_claim(row, now, _due_time(not_before, now)),))


def put_off(name: str, not_before: str | timedelta | None) -> Script[bool]:
    """Change from when a name can be acquired, and return whether it was free.

    Args:
        name: the name.
        not_before: the time, or a delay; None: now.

    Raises:
        NotFoundError: it is the name of a run that does not exist.
    """
    found, now = yield from fetch(_find(name), Now())
    row = yield from _found_or_free(name, found)
    if row is None or row.holder:
        return Commit(False)
    due = _due_time(not_before, now)
    if isinstance(row, ClaimRow) and due is None:
        return Commit(True, (Delete(CLAIMS, (name,)),))
    return Commit(True, (_put(row._replace(due_at=due or now)),))


def _due_time(not_before: str | timedelta | None, now: str) -> str | None:
    if isinstance(not_before, timedelta):
        return (Timestamp.from_sortable(now) + not_before).sortable
    return not_before


def end_claim(row: _Row, now: str, not_before: str | None = None) -> Write:
    """Return the write that ends a claim; it can be acquired from `not_before` on, or from now."""
    if isinstance(row, ClaimRow) and not_before is None:
        return Delete(CLAIMS, (row.name,))
    if _has_ended(row):
        return Delete(RUN_CLAIMS, (cast("RunClaimRow", row).run_id,))
    return _put(row._replace(holder="", due_at=not_before or now))


def get(name: str) -> Script[Claim | None]:
    """Return the claim on a name, even an expired one; None if it is not held."""
    row = yield from fetch(_find(name))
    return Commit(read_claim(row) if row is not None and row.holder else None)


def list_claims(prefix: str, *, expired: bool | None) -> Script[list[Claim]]:
    """Return the claims that are held, by name.

    Args:
        prefix: the start of their names. Other names are not read, but all claims on runs are if it
            may be the start of theirs: few are held, of the many that an index by run would find.
        expired: only expired ones, or only others; None: both.
    """
    has_runs = RUN_PREFIX.startswith(prefix) or prefix.startswith(RUN_PREFIX)
    now, first, others, runs = yield from fetch(
        Now(),
        Get(CLAIMS, (prefix,)),  # bounds are exclusive
        Scan(CLAIMS, after=prefix or None, before=_end_of(prefix)),
        Scan(RUN_CLAIMS_BY_HOLDER, after="", limit=None if has_runs else 0),
    )
    rows: Sequence[_Row] = [*([] if first is None else [first]), *others, *runs]
    found = [
        row
        for row in rows
        if row.holder and name_of(row).startswith(prefix) and expired in {None, row.due_at <= now}
    ]
    return Commit([read_claim(row) for row in sorted(found, key=name_of)])


def _end_of(prefix: str) -> str | None:
    """Return the first text after all that start with a prefix; None if there is none."""
    start = prefix.rstrip(_LAST)
    if not start:
        return None
    following = ord(start[-1]) + 1
    return start[:-1] + chr(_AFTER_SURROGATES if following == _SURROGATES else following)


# Work ------------------------------------------------------------------------------------------


class Work(NamedTuple):
    """The runs that a worker executes, and its claims on them.

    Attributes:
        holder: the worker.
        ttl: microseconds until a claim expires.
        statuses: those of the runs.
        mob_id: the mob; None: all mobs.
        flow_id: the flow, only with a mob; None: all flows.
        most: the number of claims on runs, not counting expired ones, that the holder may have;
            None: any number.
    """

    holder: str
    ttl: int
    statuses: tuple[str, ...]
    mob_id: str | None = None
    flow_id: str | None = None
    most: int | None = None


def claim_next(work: Work) -> Script[RunClaim | None]:
    """Claim the run that has been due longest; None if no run is due, or the holder has enough.

    Runs that cannot be read are passed over while others are due.

    Raises:
        SerializationError: only runs that cannot be read are due.
    """
    counter: CounterRow | None
    now: str
    held: Sequence[RunClaimRow]
    counter, now, held, *found = yield (
        Get(COUNTERS, (NEXT_EPOCH,)),
        Now(),
        _held_by(work, work.most),
        *_first_due(work),
    )
    if work.most is not None and (yield from _has(work, work.most, held, now)):
        return Commit(None)
    unreadable: dict[str, SerializationError] = {}
    for limit in range(2, _MOST_READ):
        first = _earliest(found, unreadable)
        if first is None or now < first.due_at:
            break
        run, row = yield from fetch(Get(RUNS, (first.run_id,)), Get(RUN_CLAIMS, (first.run_id,)))
        if row == first:
            taken, writes = _take(first, counter, work.holder, now, work.ttl)
            try:
                return Commit(read_run_claim(cast("RunClaimRow", taken), run), writes)
            except SerializationError as error:
                unreadable[first.run_id] = error
        # PostgreSQL: the run changed after the scan. Now it is locked, and cannot change again. An
        # engine may answer an equal scan as before, so this one has another limit.
        found = list((yield _first_due(work, limit)))
    for cause in unreadable.values():
        raise SerializationError(
            f"{cause.detail}, and no other run is due; end it by finish_run, or delete it"
        ) from cause
    return Commit(None)


class Pause(NamedTuple):
    """The pause of a worker before it can claim a run, and what may end it early.

    Attributes:
        seconds: the seconds until it can; 0 if it can now, None if no run is left.
        held: the names of its claims that have not expired, if they are `most` or more.
    """

    seconds: float | None
    held: Sequence[str]


def pause_of(work: Work) -> Script[Pause]:
    """Return how long a worker must wait until a run is due and it has fewer than `most` claims."""
    now, held, *found = yield (
        Now(),
        _held_by(work),
        *_first_due(work),
    )
    first = _earliest(found)
    held = [row for row in held if row.due_at > now]
    if work.most is None or len(held) < work.most:
        held = []
    names = [name_of(row) for row in held]
    if first is None:
        return Commit(Pause(None, names))
    due = first.due_at
    if work.most is not None and held:
        due = max(due, sorted(row.due_at for row in held)[-work.most])
    if due <= now:
        return Commit(Pause(0.0, []))
    wait = Timestamp.from_sortable(due) - Timestamp.from_sortable(now)
    # The difference is cut to microseconds.
    return Commit(Pause(wait.total_seconds() + 1e-6, names))


def due_runs(work: Work) -> Scan[RunClaimRow]:
    """Return the scan that finds the runs of a worker's mob and flow, for listeners."""
    return Scan(*_index_of(work))


def _held_by(work: Work, limit: int | None = None) -> Scan[RunClaimRow]:
    """Return the scan of a worker's claims on runs; of none, if their number does not matter."""
    return Scan(RUN_CLAIMS_BY_HOLDER, (work.holder,), limit=0 if work.most is None else limit)


def _has(work: Work, most: int, held: Sequence[RunClaimRow], now: str) -> ScriptPart[bool]:
    """Return whether a worker has `most` claims; read more only in place of expired ones."""
    count, limit = 0, most
    while True:
        count += sum(row.due_at > now for row in held)
        if count >= most or len(held) < limit:
            return count >= most
        limit = max(limit, _PAGE)
        held = yield from fetch(replace(_held_by(work, limit), after=held[-1].run_id))


def _first_due(work: Work, limit: int = 1) -> tuple[Read, ...]:
    """Return the reads of the runs of each status that are due first."""
    index, given = _index_of(work)
    return tuple(Scan(index, (*given, status), limit=limit) for status in work.statuses)


def _index_of(work: Work) -> tuple[Index[RunClaimRow], Key]:
    """Return the index of a worker's mob and flow, and its first values."""
    given = tuple(part for part in (work.mob_id, work.flow_id) if part is not None)
    return (RUN_CLAIMS_BY_STATUS, RUN_CLAIMS_BY_MOB, RUN_CLAIMS_BY_FLOW)[len(given)], given


def _earliest(
    found: Sequence[Sequence[RunClaimRow]], without: Container[str] = ()
) -> RunClaimRow | None:
    rows = [row for rows in found for row in rows if row.run_id not in without]
    return min(rows, key=lambda row: (row.due_at, row.number), default=None)


# Rows ------------------------------------------------------------------------------------------


def scan_of(name: str) -> Scan[Any]:
    """Return the scan that finds the row of a claim, for listeners."""
    find = _find(name)
    return Scan(find.table, find.key)


def _find(name: str) -> Get[Any]:
    if name.startswith(RUN_PREFIX):
        return Get(RUN_CLAIMS, (name.removeprefix(RUN_PREFIX),))
    return Get(CLAIMS, (name,))


def _found_or_free(name: str, found: _Row | None) -> ScriptPart[_Row | None]:
    """Return the row found for a name, or that of a name never held; None: its run has ended.

    Raises:
        NotFoundError: it is the name of a run that does not exist.
    """
    if found is not None:
        return found
    if not name.startswith(RUN_PREFIX):
        return ClaimRow(name, "", "", 0, 0)
    run_id = name.removeprefix(RUN_PREFIX)
    require_run((yield from fetch(Get(RUNS, (run_id,)))), run_id)
    return None


def _put(row: _Row, *, later: bool = False) -> Put[Any]:
    return Put(CLAIMS, (row,)) if isinstance(row, ClaimRow) else Put(RUN_CLAIMS, (row,), later)


def _has_ended(row: _Row) -> bool:
    return isinstance(row, RunClaimRow) and is_terminal(row.status)


@lru_cache(64)  # the claims of one commit are made at one time
def _later(now: str, microseconds: int) -> str:
    return (Timestamp.from_sortable(now) + timedelta(microseconds=microseconds)).sortable


def _take(
    row: _Row, counter: CounterRow | None, holder: str, now: str, ttl: int
) -> tuple[_Row, tuple[Write, ...]]:
    """Return the row of a new claim, and the writes that make it."""
    # A counter may be behind after a partial restore.
    epoch = max(next_number(counter, NEXT_EPOCH), row.epoch + 1)
    if epoch >= I64_MAX:
        raise InternalError("the epochs of claims are used up")
    taken = row._replace(holder=holder, epoch=epoch, due_at=_later(now, ttl), ttl=ttl)
    count = add_or_put(COUNTERS, counter, CounterRow(NEXT_EPOCH, epoch + 1))
    return taken, (_put(taken, later=row.due_at <= taken.due_at), count)


def is_held(row: _Row, claim: Claim) -> bool:
    """Return whether a claim is still its holder's."""
    return bool(row.holder) and (row.holder, row.epoch) == (claim.holder, claim.epoch)


def require_held(row: _Row | None, claim: Claim) -> _Row:
    """Return the row of a claim.

    Raises:
        ClaimLostError: it is not its holder's any more.
    """
    if row is None or not row.holder:
        raise lost(claim, "it was released")
    if not is_held(row, claim):
        raise lost(claim, f"{row.holder} holds it, epoch {row.epoch}")
    return row


def lost(claim: Claim, why: str) -> ClaimLostError:
    """Return the error for a claim that is not its holder's any more."""
    return ClaimLostError(claim.name, claim.holder, claim.epoch, why)
