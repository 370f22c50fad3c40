"""Variants of the engine that are each wrong in one way; tests show that they notice it.

It does not import pytest, so that child processes start quickly.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias, TypeVar, cast
from unittest.mock import patch

from mobstore.engines.postgres import jobs, locks, readers, transaction
from mobstore.engines.postgres.locks import Lock, Locks
from mobstore.engines.postgres.transaction import Transaction
from mobstore.engines.postgres.wire import Statement
from mobstore.engines.postgres.writer import Writer
from mobstore.scripts import overlay
from mobstore.scripts.hidden_rows import HiddenRows
from mobstore.scripts.overlay import Overlay
from mobstore.scripts.tables import Row
from mobstore.scripts.transaction import Count, Get, Read, Scan, Script, Write

T = TypeVar("T")
Broken: TypeAlias = Callable[[], AbstractContextManager[Any]]


# Locks -------------------------------------------------------------------------------------------


def _only_the_store(self: Locks, asked: Iterable[Read | Write]) -> set[Lock]:  # noqa: ARG001
    """Lock no aggregate; the store's own lock is taken shared."""
    return set()


_prelude = Transaction._prelude


def _no_later_locks(self: Transaction, asked: Sequence[Read | Write]) -> list[Statement]:
    """Lock only what the first round needs."""
    if self._begun:
        self._trying = False
        return []
    return _prelude(self, asked)


_locks_of = locks._locks_of


def _nothing_for_writes(asked: Read | Write) -> Iterable[Lock]:
    """Lock only what is read."""
    return _locks_of(asked) if isinstance(asked, (Get, Scan, Count)) else ()


_SNAPSHOT = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
_MERE_SNAPSHOTS = {"read committed": _SNAPSHOT, "serializable": _SNAPSHOT}


# Commits -----------------------------------------------------------------------------------------


def _never_fenced(self: Writer) -> Statement:
    """Let each transaction commit, whatever the writer's epoch is; its number is noted."""
    fence = next_fence(self)
    assert ' AND "epoch" = $3::bigint' in fence.sql
    return fence._replace(sql=fence.sql.replace('"epoch" = $3', '"epoch" <> -$3'))


def _no_fence(self: Writer) -> Statement:
    """Note no number of a transaction."""
    next_fence(self)
    return Statement("SELECT 1")


next_fence = Writer._next_fence


# Groups of scripts -------------------------------------------------------------------------------


def _uncorrected(self: Overlay, script: Script[T]) -> Script[T]:
    """Let scripts read what is stored, without the writes of those before."""
    commit = yield from script
    self.writes += commit.writes
    return commit


def _cut_short(scan: Scan[Any], hidden: HiddenRows) -> Generator[Read, Any, list[Row]]:
    """Drop hidden rows from a limited scan, and take no others in their place."""
    return hidden.visible((yield scan))


_answer = Overlay._answer


def _count_once(self: Overlay, read: Read, hidden: HiddenRows | None) -> overlay._Answer:
    """Add the pending rows to the number of stored ones, though some of these are hidden."""
    if isinstance(read, Count):
        stored = yield read
        return stored + cast("int", self._pending.answer(read))
    return (yield from _answer(self, read, hidden))


def _go_on_in_turn(self: jobs._Ahead) -> Script[Any]:
    """Continue a script that ran ahead, though it has not seen the writes of those before."""
    if self._script is None:
        return self._job.script()
    return jobs._resumed(self._script, self.asked)


VARIANTS: Mapping[str, Broken] = {
    "none": nullcontext,
    "no locks of aggregates": lambda: patch.object(Locks, "add", _only_the_store),
    "no later locks": lambda: patch.object(Transaction, "_prelude", _no_later_locks),
    "no locks for writes": lambda: patch.object(locks, "_locks_of", _nothing_for_writes),
    "no lock of the whole store": lambda: patch.object(Locks, "whole", property(lambda _: False)),
    "mere snapshots": lambda: patch.object(transaction, "_BEGIN", _MERE_SNAPSHOTS),
    "readers of many moments": lambda: patch.object(
        readers, "_SNAPSHOT", Statement("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
    ),
    "no epoch in the fence": lambda: patch.object(Writer, "_next_fence", _never_fenced),
    "no fence": lambda: patch.object(Writer, "_next_fence", _no_fence),
    "no overlay": lambda: patch.object(Overlay, "run", _uncorrected),
    "limited scans cut short": lambda: patch.object(overlay, "_visible", _cut_short),
    "counts asked once": lambda: patch.object(Overlay, "_answer", _count_once),
    "no restart": lambda: patch.object(jobs._Ahead, "turn", _go_on_in_turn),
}
