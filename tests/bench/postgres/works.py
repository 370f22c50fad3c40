"""The kinds of work on PostgreSQL, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from bench.outcome import Outcome
from bench.postgres import appending, following, growth, importing, reading, swapping
from bench.postgres.stage import Stage
from bench.turns import Settings

Work: TypeAlias = Callable[[Stage, Settings], Iterator[Outcome]]

WORKS: dict[str, Work] = {
    "append-one": appending.append_one,
    "append-64": appending.append_64,
    "append-batch": appending.append_batch,
    "cas-one": swapping.cas_one,
    "cas-64": swapping.cas_64,
    "get-run": reading.get_run,
    "poll": reading.poll,
    "import": importing.importing,
    "subscribe-across": following.across,
    "processes": growth.processes,
    "stores": growth.stores,
    "long-log": growth.long_log,
    "slow-commit": growth.slow_commit,
    "idle": following.idle,
}
