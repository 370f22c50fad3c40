"""Checks that the mobs, runs and realm profiles of a file are new to the store.

The store itself answers. It also holds the rows of the files before, since a loading script sees
its own writes. So no set of names is kept, however many files and mobs there are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from mobstore.errors import InternalError
from mobstore.meerkat.conversion import DuplicateError, Start
from mobstore.meerkat.releases import row_name
from mobstore.meerkat.report import unreadable
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    EVENTS,
    EVENTS_BY_MOB,
    REALM_PROFILES,
    RUNS,
    RUNS_BY_MOB,
    SPECS,
    EventRow,
    RunRow,
    Table,
)
from mobstore.scripts.transaction import Add, Get, Read, Scan, ScriptPart

_KEYED: dict[Table[Any], str] = {
    RUNS: "mob_runs",
    SPECS: "mob_specs",
    REALM_PROFILES: "realm_profiles",
}
"""The tables whose keys may be in use, and where the reference keeps their rows."""

_MOST_LISTED = 15
_MOST = 10_000
"""The number of clashes after which the rest is not read."""

_STORE = "the store"


class Arrivals:
    """The files of an import, and the names that are in one of them and in the store already."""

    def __init__(self, *, empty: bool, several: bool) -> None:
        """Prepare an import.

        Args:
            empty: whether the store was empty before.
            several: whether there are several files, so that messages must name them.
        """
        self._was_empty, self._several = empty, several
        self._starts: list[Start] = []
        self._names: list[str] = []
        self._known: Iterable[str] = ()  # mobs of the last page: most files have only one
        self._seen: set[tuple[int, str, int]] = set()
        self._listed: list[str] = []

    def begin(self, path: Path, start: Start) -> None:
        """Begin the next file."""
        self._starts.append(start)
        self._names.append(brief(path.name))
        self._known = ()

    def admit(self, adds: Sequence[Add[Any]]) -> ScriptPart[tuple[Add[Any], ...]]:
        """Record the names in rows of the file that are in use.

        Args:
            adds: the rows of a page of one table of the file, one write a table.

        Returns:
            The writes, without rows whose key is in use; none of them may be committed.

        Raises:
            DuplicateError: the file has two rows with one key.
            InternalError: so many names are in use that the rest is not read.
        """
        taken: set[str] = set()
        for add in adds:
            if add.table in {EVENTS, RUNS, SPECS} and not self._is_first:
                yield from self._check_mobs(add)
            if add.table in _KEYED:
                taken |= yield from self._check_keys(add)
        if not taken:
            return tuple(adds)
        # The parts of a run have its id in their first column.
        free = [replace(add, rows=[row for row in add.rows if row[0] not in taken]) for add in adds]
        return tuple(add for add in free if add.rows)

    def check(self) -> None:
        """Check that no name was in use.

        Raises:
            InternalError: some were; they are listed.
        """
        if not self._seen:
            return
        more = len(self._seen) - len(self._listed)
        least = "at least " if len(self._seen) >= _MOST else ""
        rest = f"; and {least}{more:,} more" if more else ""
        raise InternalError(
            f"nothing was imported, because names are in use: {'; '.join(self._listed)}{rest}."
            " Leave out one of two files, or import into another store"
        )

    @property
    def _is_first(self) -> bool:
        """True if no row can be in the store that is not of the current file."""
        return self._was_empty and len(self._starts) == 1

    def _check_mobs(self, add: Add[Any]) -> ScriptPart[None]:
        mobs = dict.fromkeys(cast("str", row.mob_id) for row in add.rows)
        new = [mob_id for mob_id in mobs if mob_id not in self._known]
        self._known = mobs
        start = self._starts[-1]
        reads: list[Read] = []
        for mob_id in new:
            reads.append(Scan(EVENTS_BY_MOB, (mob_id,), before=start.offset + 1, limit=1))
            reads.append(Scan(RUNS_BY_MOB, (mob_id,), before=start.run, limit=1))
            if add.table is not SPECS:  # the file has not yet brought its own
                reads.append(Scan(SPECS, (mob_id,), limit=1))
        answers = yield tuple(reads)
        width = len(reads) // len(new) if new else 1
        for place, mob_id in enumerate(new):
            if found := [row for rows in answers[place * width :][:width] for row in rows]:
                self._record(f"mob {brief(mob_id)}", mob_id, self._place(*found))

    def _check_keys(self, add: Add[Any]) -> ScriptPart[set[str]]:
        """Return the keys of rows that are in use."""
        keys = [cast("str", row[0]) for row in add.rows]
        stored = yield tuple(cast("Read", Get(add.table, (key,))) for key in keys)
        table = _KEYED[add.table]
        earlier: set[str] = set()
        taken: set[str] = set()
        for key, found in zip(keys, stored, strict=True):
            if key in earlier or (found and self._is_own(found)):
                file = self._names[-1] if self._several else ""
                duplicate = unreadable(table, key, DuplicateError().detail, file)
                raise DuplicateError(f"{duplicate}; nothing was imported")
            earlier.add(key)
            if found:
                taken.add(key)
                name = f"mob {brief(key)}" if add.table is SPECS else row_name(table, key)
                self._record(name, key, self._place(found))
        return taken

    def _is_own(self, found: object) -> bool:
        """Return whether a stored row came from the current file, as far as it can be known."""
        if isinstance(found, RunRow):
            return found.number >= self._starts[-1].run
        return self._is_first

    def _place(self, *found: object) -> str:
        """Return the name of the place where a row is already."""
        for row in found:
            if isinstance(row, EventRow):
                place = bisect_left(self._starts, row.cursor, key=lambda start: start.offset)
            elif isinstance(row, RunRow):
                place = bisect_right(self._starts, row.number, key=lambda start: start.run)
            else:
                continue
            return self._names[place - 1] if place else _STORE
        if len(self._starts) == 1:
            return _STORE
        return "a file before it" if self._was_empty else f"{_STORE} or a file before it"

    def _record(self, name: str, key: str, place: str) -> None:
        mark = (len(self._names), name[:3], hash(key))  # names are cut, and may be alike
        if mark in self._seen:
            return
        self._seen.add(mark)
        if len(self._listed) < _MOST_LISTED:
            self._listed.append(f"{name} of {self._names[-1]} is already in {place}")
        if len(self._seen) >= _MOST:
            self.check()
