"""Overview of a store: its mobs with counts, and its realm profiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any, NamedTuple, cast

from inspector.batched_reads import MOST_DECODED, scan_rows
from inspector.formatting import abbreviate, format_timestamp, parse_json, truncate
from inspector.results import MobSummary, Overview, ProfileSummary
from inspector.roster import RosterFold
from mobstore.model.text import brief
from mobstore.operations.overview import counts_by_mob
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    EVENTS_BY_MOB,
    IMPORTED_FROM,
    META,
    NEXT_CURSOR,
    NEXT_RUN,
    REALM_PROFILES,
    RUNS,
    RUNS_BY_MOB,
    SPECS,
    EventRow,
    RealmProfileRow,
    SpecRow,
)
from mobstore.scripts.transaction import Commit, Get, Scan, Script, fetch

_ROWS_AT_ONCE = 1000
_MOST_NAMES = 50
_SIZE = 2**28  # characters of names; large, since all mobs are counted
_LONGEST_DESCRIPTION = 1000


def overview(known: RosterFold) -> Script[Overview]:
    """Count runs and events by mob; of the events only those that are new to the fold."""
    empty = yield from _is_empty()
    specs = yield from scan_rows(SPECS, (), _spec, size=_SIZE)
    profiles = yield from scan_rows(REALM_PROFILES, (), _profile, size=_SIZE)
    with_spec = [spec.mob_id for spec in specs]
    runs = yield from counts_by_mob(RUNS, RUNS_BY_MOB, with_spec)
    first, mark = yield from fetch(Scan(EVENTS, limit=1), Get(META, (IMPORTED_FROM,)))
    new = yield from scan_rows(
        EVENTS, (), _mob_of, most=_ROWS_AT_ONCE, after=(known.cursor,), size=_SIZE
    )
    events: dict[str, int]
    if len(new) < _ROWS_AT_ONCE and known.first in {None, *first}:
        events = known.events + Counter(new)
    else:
        events = yield from counts_by_mob(EVENTS, EVENTS_BY_MOB, list(runs))
    by_mob = {spec.mob_id: spec for spec in specs}
    return Commit(
        {
            "events": sum(events.values()),
            "runs": sum(runs.values()),
            "empty": empty,
            "imported_from": None if mark is None else brief(mark.value),
            "mobs": [
                _mob(mob_id, events.get(mob_id, 0), runs.get(mob_id, 0), by_mob.get(mob_id))
                for mob_id in sorted({*events, *runs})
            ],
            "profiles": profiles,
        }
    )


def is_empty() -> Script[bool]:
    """Check that nothing was written since the store was created or erased."""
    return Commit((yield from _is_empty()))


def _is_empty() -> Generator[tuple[Any, ...], tuple[Any, ...], bool]:
    cursor, run = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)), Get(COUNTERS, (NEXT_RUN,)))
    specs, profiles = yield from fetch(Scan(SPECS, limit=1), Scan(REALM_PROFILES, limit=1))
    return not (cursor or run or specs or profiles)


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


def _mob_of(row: EventRow) -> str:
    return row.mob_id


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
