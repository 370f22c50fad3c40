"""Comparison of two stores, row by row in the order of keys."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeAlias

from mobstore.errors import SerializationError
from mobstore.model.run import MobRun
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, page, size_of
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    NEXT_EPOCH,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_CLAIMS,
    RUN_EXTRAS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    Key,
    R,
    RunClaimRow,
    Table,
)
from mobstore.scripts.transaction import Commit, Engine, Get, Script, fetch
from mobstore.stores.mob_stores import MobStores, check_stores

_Kind: TypeAlias = Literal[
    "latest_cursor", "latest_epoch", "event", "event_key", "consumer", "run", "spec",
    "realm_profile", "claim",
]  # fmt: skip
_Engines: TypeAlias = tuple[Engine, Engine]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two stores.

    Attributes:
        kind: what differs. "latest_cursor" is the last assigned cursor, even if its event was
            deleted; "latest_epoch" is that of the last claim, even if it was released.
        key: the cursor of an event, the key of an event, the id of a run, the mob of a spec, the
            name of a consumer, realm profile or claim; the larger one of two latest cursors or
            epochs.
        mob_id: its mob, as in the first store if it is in both; "" if it has none.
        only_in: the store that has it; None: both.
        fields: the fields that differ if both stores have it, named as in `MobEvent`, `MobRun` and
            `StoredRealmProfile`; for a spec "definition" and "revision"; for a consumer "cursor"
            and "updated_at"; for an event key "cursor". The fields of claims are "due_at", from
            when on others can acquire it, "holder", "epoch" and "ttl"; runs have them, too, and
            "extra": what an import kept that `MobRun` has no fields for.
    """

    kind: Literal[
        "latest_cursor",
        "latest_epoch",
        "event",
        "event_key",
        "consumer",
        "run",
        "spec",
        "realm_profile",
        "claim",
    ]
    key: int | str
    mob_id: str = ""
    only_in: Literal["first", "second"] | None = None
    fields: tuple[str, ...] = ()


_EVENT = ("timestamp", "mob_id", "kind")
_EVENT_KEY = ("cursor",)
_CONSUMER = ("cursor", "updated_at")
_SPEC = ("definition", "revision")
_REALM_PROFILE = ("profile", "revision", "created_at", "updated_at")
_CLAIM = ("due_at", "holder", "epoch", "ttl")
_RUN = (
    "mob_id", "flow_id", "status", "activation_params", "created_at", "completed_at",
    "schema_version",
)  # fmt: skip
_EXTRA = "extra"
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
    (RUN_EXTRAS, _EXTRA),
)
"""The tables with the parts of a run, and the fields of `MobRun` they are read into."""
_UNCLAIMED = RunClaimRow("", 0, "", "", "", "", "", 0, 0)  # as of a run that has ended


async def diff(first: MobStores, second: MobStores) -> AsyncGenerator[Difference]:
    """Yield the differences between two stores.

    Events come first, then their keys, consumers, runs, specs, realm profiles and claims. Each kind
    comes in the order of its keys. Identities are not compared, nor are the numbers that keep runs
    in the order of their creation.

    One page of each table is in memory at a time, and each page is read in a transaction of its
    own. If others write meanwhile, differences may be reported that never existed.

    Args:
        first: one store, on any engine.
        second: the other store, on any engine.

    Raises:
        ReadFailedError: the medium of a store failed.
        SerializationError: a key of a corrupt store has the wrong type.
        UsageError: an argument is not an open store.
    """
    check_stores(first, "first")
    check_stores(second, "second")
    engines = first.engine, second.engine
    one, other = await first.events.latest_cursor(), await second.events.latest_cursor()
    if one != other:
        yield Difference("latest_cursor", max(one, other), fields=("latest_cursor",))
    epochs = [await engine.read(_latest_epoch) for engine in engines]
    if epochs[0] != epochs[1]:
        yield Difference("latest_epoch", max(epochs), fields=("latest_epoch",))
    async for difference in _compare_rows(engines, "event", EVENTS, _EVENT):
        yield difference
    async for difference in _compare_rows(engines, "event_key", EVENT_KEYS, _EVENT_KEY):
        yield difference
    async for difference in _compare_rows(engines, "consumer", CONSUMERS, _CONSUMER):
        yield difference
    async for difference in _compare_runs(engines):
        yield difference
    async for difference in _compare_rows(engines, "spec", SPECS, _SPEC):
        yield difference
    async for difference in _compare_rows(engines, "realm_profile", REALM_PROFILES, _REALM_PROFILE):
        yield difference
    async for difference in _compare_rows(engines, "claim", CLAIMS, _CLAIM):
        yield difference


def _latest_epoch() -> Script[int]:
    counter = yield from fetch(Get(COUNTERS, (NEXT_EPOCH,)))
    return Commit(0 if counter is None else counter.value - 1)


async def _compare_rows(
    engines: _Engines, kind: _Kind, table: Table[Any], columns: Sequence[str]
) -> AsyncGenerator[Difference]:
    """Compare records of one row each."""
    async for one, other in _TableComparison(engines, table).pairs():
        fields = _differing(one, other, columns)
        if one is None or other is None or fields:
            yield _difference(kind, one, other, fields)


async def _compare_runs(engines: _Engines) -> AsyncGenerator[Difference]:
    parts = [(_TableComparison(engines, table), field) for table, field in _PARTS]
    claims = _TableComparison(engines, RUN_CLAIMS)
    async for one, other in _TableComparison(engines, RUNS).pairs():
        fields = set(_differing(one, other, _RUN))
        if one is not None and other is not None:
            for comparison, field in parts:
                async for part, other_part in comparison.pairs(one.run_id):
                    if part != other_part:
                        fields.add(field)
            async for claim, other_claim in claims.pairs(one.run_id):
                fields.update(_differing(claim or _UNCLAIMED, other_claim or _UNCLAIMED, _CLAIM))
        if one is None or other is None or fields:
            in_order = [f for f in (*MobRun.model_fields, _EXTRA, *_CLAIM) if f in fields]
            yield _difference("run", one, other, in_order)


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


class _TableComparison(Generic[R]):
    """The rows of one table of two stores, in the order of their keys."""

    def __init__(self, engines: _Engines, table: Table[R]) -> None:
        self._one, self._other = (_TableReader(engine, table) for engine in engines)
        self._key = table.getter(table.key)
        self._table = table.name

    async def pairs(self, run_id: str | None = None) -> AsyncGenerator[tuple[R | None, R | None]]:
        """Yield the rows with the same key; None in place of a missing one.

        Args:
            run_id: skip to this run, and end after it.
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
                        f"table {self._table}: a key has the wrong type; `verify` names its row"
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
        """Move to the next row."""
        self._place += 1

    async def current(self, run_id: str | None) -> R | None:
        """Return the current row; None after the last row, or after the last one of `run_id`."""
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
