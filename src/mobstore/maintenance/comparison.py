"""What differs between two stores, found by walking both in step."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeAlias

from mobstore.errors import SerializationError
from mobstore.model.run import MobRun
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, page, size_of
from mobstore.scripts.tables import (
    EVENTS,
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    Key,
    R,
    Table,
)
from mobstore.scripts.transaction import Commit, Engine, Script
from mobstore.stores.mob_stores import MobStores, check_stores

_Kind: TypeAlias = Literal["latest_cursor", "event", "run", "spec", "realm_profile"]
_Engines: TypeAlias = tuple[Engine, Engine]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two stores do not have alike.

    Attributes:
        kind: what it is. "latest_cursor" is the cursor that was given last, even if its event is
            gone.
        key: the cursor of an event, the id of a run, the mob of a spec, the name of a realm
            profile; the larger one of two latest cursors.
        mob_id: the mob that it belongs to, in the first store if it is in both; "" if to none.
        only_in: which store has it; None: both.
        fields: those that differ where both have it, named as in `MobEvent`, `MobRun` and
            `StoredRealmProfile`; of a spec "definition" and "revision".
    """

    kind: Literal["latest_cursor", "event", "run", "spec", "realm_profile"]
    key: int | str
    mob_id: str = ""
    only_in: Literal["first", "second"] | None = None
    fields: tuple[str, ...] = ()


_EVENT = ("timestamp", "mob_id", "kind")
_SPEC = ("definition", "revision")
_REALM_PROFILE = ("profile", "revision", "created_at", "updated_at")
_RUN = (
    "mob_id", "flow_id", "status", "activation_params", "created_at", "completed_at",
    "schema_version",
)  # fmt: skip
_PARTS: tuple[tuple[Table[Any], str], ...] = (
    (RUN_STATES, "flow_state"),
    (STEP_LEDGER, "step_ledger"),
    (FAILURE_LEDGER, "failure_ledger"),
    (FRAMES, "frames"),
    (LOOPS, "loops"),
    (LOOP_ITERATIONS, "loop_iteration_ledger"),
    (ROOT_STEP_OUTPUTS, "root_step_outputs"),
    (LOOP_OUTPUTS, "loop_iteration_outputs"),
    (LOOP_STEP_OUTPUTS, "loop_iteration_outputs"),
)
"""Where the parts of a run lie, and the fields of `MobRun` that they make."""


async def diff(first: MobStores, second: MobStores) -> AsyncGenerator[Difference]:
    """What differs between two stores: events, then runs, specs and realm profiles.

    Each kind comes in the order of its keys. Not compared are the numbers that keep runs in the
    order of their creation.

    A page of each table is held at a time, read in a transaction of its own: of what others write
    meanwhile, it may tell differences that never were.

    Args:
        first: one store.
        second: the other one, on any engine.

    Raises:
        ReadFailedError: the medium of one of them failed.
        InternalError: an argument is no store.
    """
    check_stores(first, "first")
    check_stores(second, "second")
    engines = first.engine, second.engine
    one, other = await first.events.latest_cursor(), await second.events.latest_cursor()
    if one != other:
        yield Difference("latest_cursor", max(one, other), fields=("latest_cursor",))
    async for difference in _of_rows(engines, "event", EVENTS, _EVENT):
        yield difference
    async for difference in _of_runs(engines):
        yield difference
    async for difference in _of_rows(engines, "spec", SPECS, _SPEC):
        yield difference
    async for difference in _of_rows(engines, "realm_profile", REALM_PROFILES, _REALM_PROFILE):
        yield difference


async def _of_rows(
    engines: _Engines, kind: _Kind, table: Table[Any], columns: Sequence[str]
) -> AsyncGenerator[Difference]:
    """What differs in things that are one row each."""
    async for one, other in _Walk(engines, table).pairs():
        fields = _differing(one, other, columns)
        if one is None or other is None or fields:
            yield _difference(kind, one, other, fields)


async def _of_runs(engines: _Engines) -> AsyncGenerator[Difference]:
    parts = [(_Walk(engines, table), field) for table, field in _PARTS]
    async for one, other in _Walk(engines, RUNS).pairs():
        fields = set(_differing(one, other, _RUN))
        if one is not None and other is not None:
            for walk, field in parts:
                async for part, other_part in walk.pairs(one.run_id):
                    if part != other_part:
                        fields.add(field)
        if one is None or other is None or fields:
            yield _difference("run", one, other, [f for f in MobRun.model_fields if f in fields])


def _differing(one: Any, other: Any, columns: Sequence[str]) -> list[str]:
    if one is None or other is None:
        return []
    return [column for column in columns if getattr(one, column) != getattr(other, column)]


def _difference(kind: _Kind, one: Any, other: Any, fields: Sequence[str]) -> Difference:
    row = other if one is None else one
    only_in: Literal["first", "second"] | None = None
    if one is None:
        only_in = "second"
    elif other is None:
        only_in = "first"
    return Difference(kind, row[0], getattr(row, "mob_id", ""), only_in, tuple(fields))


class _Walk(Generic[R]):
    """A walk through the rows of one table of two stores, in the order of their keys."""

    def __init__(self, engines: _Engines, table: Table[R]) -> None:
        self._one, self._other = (_TableReader(engine, table) for engine in engines)
        self._key = table.getter(table.key)
        self._table = table.name

    async def pairs(self, run_id: str | None = None) -> AsyncGenerator[tuple[R | None, R | None]]:
        """The rows of both that have the same key; None where one of them is missing.

        Args:
            run_id: goes on to this run, passing over others, and ends after it.
        """
        while True:
            one, other = await self._one.current(run_id), await self._other.current(run_id)
            if one is None and other is None:
                return
            if one is not None and other is not None:
                key, other_key = self._key(one), self._key(other)
                try:
                    if key < other_key:
                        other = None
                    elif other_key < key:
                        one = None
                except TypeError as error:
                    raise SerializationError(
                        f"table {self._table}: a key is not of its type; `verify` names its row"
                    ) from error
            if one is not None:
                self._one.advance()
            if other is not None:
                self._other.advance()
            yield one, other


class _TableReader(Generic[R]):
    """The rows of a table of one store, page by page."""

    def __init__(self, engine: Engine, table: Table[R]) -> None:
        self._engine, self._table = engine, table
        self._key = table.getter(table.key)
        self._page: list[R] = []
        self._limit = FIRST_LIMIT
        self._ended = False
        self._place = 0

    def advance(self) -> None:
        """Pass over the present row."""
        self._place += 1

    async def current(self, run_id: str | None) -> R | None:
        """The row at which it stands; None at the end, or if it is of a later run than this."""
        while True:
            if self._place == len(self._page) and not self._ended:
                await self._read_next_page()
            if self._ended:
                return None
            row = self._page[self._place]
            if run_id is None or row[0] == run_id:
                return row
            if str(row[0]) > run_id:
                return None
            self._place += 1

    async def _read_next_page(self) -> None:
        after = None
        if read := self._page:
            after = self._key(read[-1])
            self._limit = next_limit(self._limit, len(read), size_of(read))
        self._page = await self._engine.read(partial(_read_page, self._table, after, self._limit))
        self._ended, self._place = not self._page, 0


def _read_page(table: Table[R], after: Key | None, limit: int) -> Script[list[R]]:
    return Commit((yield from page(table, after, limit)))
