"""The kinds of work, by name. Each one measures and yields outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from bench.outcome import Outcome
from bench.turns import Settings
from bench.works import (
    append,
    atomic,
    cas,
    claims,
    doubling,
    following,
    frames,
    growth,
    imports,
    ledger,
    meerkat,
    memory,
    moving,
    points,
    poll,
    resuming,
    retention,
    searches,
)

Work: TypeAlias = Callable[[Settings], Iterator[Outcome]]

WORKS: dict[str, Work] = {
    "append-one": append.append_one,
    "append-64": append.append_64,
    "append-batch": append.append_batch,
    "poll": poll.poll,
    "cas": cas.cas,
    "points": points.points,
    "ledger": ledger.ledger,
    "frames": frames.frames,
    "list-runs": doubling.list_runs,
    "poll-in-long-log": doubling.poll,
    "prune": doubling.prune,
    "subscribe": following.subscribe,
    "subscribe-across": following.across,
    "atomic": atomic.atomic,
    "claims": claims.claims,
    "claim-next": claims.claim_next,
    "fence": claims.fence,
    "waiting": claims.waiting,
    "search": searches.search,
    "delete-run": retention.delete_run,
    "run-headers": resuming.run_headers,
    "poll-of-mob": resuming.poll_of_mob,
    "growth": growth.growth,
    "memory": memory.memory,
    "meerkat": meerkat.meerkat,
    "copy": moving.copying,
    "export": moving.exporting,
    "verify": moving.verifying,
    "import": imports.imports,
}
