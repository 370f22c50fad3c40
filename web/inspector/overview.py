"""Overview of a store: its mobs with counts, and its realm profiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from inspector.batched_reads import MOST_DECODED, scan_rows, whole
from inspector.counts import StoreCounts
from inspector.formatting import abbreviate, format_timestamp, parse_json, truncate
from inspector.results import MobSummary, Overview, ProfileSummary
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    COUNTERS,
    IMPORTED_FROM,
    META,
    NEXT_CURSOR,
    NEXT_RUN,
    REALM_PROFILES,
    SPECS,
    RealmProfileRow,
    SpecRow,
    Table,
)
from mobstore.scripts.transaction import Commit, Engine, Get, Scan, Script, ScriptPart, fetch

R = TypeVar("R", SpecRow, RealmProfileRow)
T = TypeVar("T")

_ROWS_AT_ONCE = 500
_SIZE = 2**22  # characters of the rows that are read at once, about
_MOST_NAMES = 50
_LONGEST_DESCRIPTION = 1000


async def overview(engine: Engine, counts: StoreCounts) -> Overview:
    """Read the overview by many small scripts, because writers of IndexedDB wait for each.

    So its numbers may be of different moments.
    """
    empty, imported_from = await engine.read(_start)
    specs = await _read_all(engine, SPECS, _spec)
    profiles = await _read_all(engine, REALM_PROFILES, _profile)
    runs = await counts.runs.follow(engine)
    events = await counts.events.follow(engine)
    by_mob = {spec.mob_id: spec for spec in specs}
    return {
        "events": sum(events.values()),
        "runs": sum(runs.values()),
        "empty": empty,
        "imported_from": imported_from,
        "mobs": [
            _mob(mob_id, events.get(mob_id, 0), runs.get(mob_id, 0), by_mob.get(mob_id))
            for mob_id in sorted({*events, *runs, *by_mob})
        ],
        "profiles": profiles,
    }


def is_empty() -> Script[bool]:
    """Check that nothing was written since the store was created or erased."""
    return Commit((yield from _is_empty()))


def _is_empty() -> ScriptPart[bool]:
    cursor, run = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)), Get(COUNTERS, (NEXT_RUN,)))
    specs, profiles = yield from fetch(Scan(SPECS, limit=1), Scan(REALM_PROFILES, limit=1))
    return not (cursor or run or specs or profiles)


def _start() -> Script[tuple[bool, str | None]]:
    """Return whether the store is empty, and the releases that it was imported from."""
    mark = yield from fetch(Get(META, (IMPORTED_FROM,)))
    return Commit(((yield from _is_empty()), None if mark is None else brief(mark.value)))


async def _read_all(engine: Engine, table: Table[R], summarize: Callable[[R], T]) -> list[T]:
    """Read a table page by page, and return a summary of each row."""
    found: list[T] = []
    key = table.getter(table.key)
    after: tuple[str | int, ...] | None = None
    while rows := await engine.read(partial(_page, table, after)):
        found += map(summarize, rows)
        after = key(rows[-1])
    return found


def _page(table: Table[R], after: tuple[str | int, ...] | None) -> Script[list[R]]:
    return Commit(
        (yield from scan_rows(table, (), whole, most=_ROWS_AT_ONCE, after=after, size=_SIZE))
    )


class _Spec(NamedTuple):
    """The displayed part of a spec."""

    mob_id: str
    revision: int
    roles: list[str]
    flows: list[str]


def _spec(row: SpecRow) -> _Spec:
    definition = _decoded(row.definition, f"the spec of {brief(row.mob_id)}")
    roles, flows = (list(definition.get(part, ()))[:_MOST_NAMES] for part in ("profiles", "flows"))
    return _Spec(row.mob_id, row.revision, roles, flows)


def _decoded(stored: str, what: str) -> dict[str, Any]:
    """Decode a document; return {} for one that is too long."""
    return cast("dict[str, Any]", parse_json(stored, what)) if len(stored) <= MOST_DECODED else {}


def _mob(mob_id: str, events: int, runs: int, spec: _Spec | None) -> MobSummary:
    return {
        "mob_id": mob_id,
        "events": events,
        "runs": runs,
        "spec_revision": None if spec is None else spec.revision,
        "roles": [] if spec is None else spec.roles,
        "flows": [] if spec is None else spec.flows,
        "spec": None if spec is None else {"of": "spec", "id": mob_id},
    }


def _profile(row: RealmProfileRow) -> ProfileSummary:
    profile = _decoded(row.profile, f"the realm profile {brief(row.name)}")
    return {
        "name": row.name,
        "revision": row.revision,
        "model": truncate(profile.get("model", "")),
        "description": abbreviate(profile.get("peer_description", ""), _LONGEST_DESCRIPTION),
        "updated_at": format_timestamp(row.updated_at),
        "profile": {"of": "profile", "id": row.name},
    }
