"""Scripts of the end of a run: its status, its event and its claim in one commit, once."""

from __future__ import annotations

from mobstore.errors import RunEndedError, UsageError
from mobstore.model.claim import Claim
from mobstore.model.run import is_terminal
from mobstore.operations.claims import is_held, require_held
from mobstore.operations.events import append_batch
from mobstore.operations.ledgers import require_run
from mobstore.operations.runs import put_status
from mobstore.scripts.tables import RUN_CLAIMS, RUNS, EventRow
from mobstore.scripts.transaction import Commit, Delete, Get, Script, fetch


def finish_run(
    run_id: str,
    status: str,
    event: EventRow,
    flow_id: str | None,
    claim: Claim | None,
    now: str,
) -> Script[bool]:
    """End a run, append its terminal event and remove its row of claims, once.

    Args:
        run_id: the run.
        status: a terminal status.
        event: its event; the cursor is ignored.
        flow_id: the flow that the event names; None if it names none.
        claim: the claim on the run that must still be its holder's; None: any holder loses it.
        now: the time at which the run ends.

    Returns:
        False if the run has ended already; this is checked first, so that a repeated call does not
        depend on the claim that the first one has released. The claim ends, too, if it is held.

    Raises:
        NotFoundError: there is no such run.
        ClaimLostError: the claim is not its holder's any more.
        UsageError: the event belongs to another mob or flow.
    """
    run, row = yield from fetch(Get(RUNS, (run_id,)), Get(RUN_CLAIMS, (run_id,)))
    run = require_run(run, run_id)
    if event.mob_id != run.mob_id:
        raise UsageError(f"event belongs to another mob than run {run_id}")
    if flow_id not in {None, run.flow_id}:
        raise UsageError(f"event belongs to another flow than run {run_id}")
    if is_terminal(run.status):
        held = claim is not None and row is not None and is_held(row, claim)
        return Commit(False, (Delete(RUN_CLAIMS, (run_id,)),) if held else ())
    if claim is not None:
        require_held(row, claim)
    appended = yield from append_batch((event,))
    ended = put_status(run, None, status, now)
    return Commit(True, (*ended, Delete(RUN_CLAIMS, (run_id,)), *appended.writes))


def require_not_ended(run_id: str) -> Script[None]:
    """Check that a run has not ended, in the transaction that depends on it.

    Raises:
        RunEndedError: it has.
        NotFoundError: there is no such run.
    """
    run = require_run((yield from fetch(Get(RUNS, (run_id,)))), run_id)
    if is_terminal(run.status):
        raise RunEndedError(run_id, run.status)
    return Commit(None)
