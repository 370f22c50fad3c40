"""What a store holds: its mobs with counts, its realm profiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any, NamedTuple, cast

from inspector.pieces import PARSED, walk
from inspector.roster import Fold
from inspector.shapes import MobSummary, Overview, ProfileSummary
from inspector.texts import cut, parsed, shortened, shown
from mobstore.model.text import brief
from mobstore.operations.overview import counts_by_mob
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    EVENTS_BY_MOB,
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
_SIZE = 2**28  # characters of names: all mobs are counted
_LONGEST_DESCRIPTION = 1000


def overview(told: Fold) -> Script[Overview]:
    """Count everything, by mob; of the events those only that a fold of the log does not know."""
    empty = yield from _is_empty()
    specs = yield from walk(SPECS, (), _spec, size=_SIZE)
    profiles = yield from walk(REALM_PROFILES, (), _profile, size=_SIZE)
    known = [spec.mob_id for spec in specs]
    runs = yield from counts_by_mob(RUNS, RUNS_BY_MOB, known)
    first = yield from fetch(Scan(EVENTS, limit=1))
    new = yield from walk(EVENTS, (), _mob_of, most=_ROWS_AT_ONCE, after=(told.cursor,), size=_SIZE)
    events: dict[str, int]
    if len(new) < _ROWS_AT_ONCE and told.first in {None, *first}:
        events = told.events + Counter(new)
    else:
        events = yield from counts_by_mob(EVENTS, EVENTS_BY_MOB, list(runs))
    by_mob = {spec.mob_id: spec for spec in specs}
    return Commit(
        {
            "events": sum(events.values()),
            "runs": sum(runs.values()),
            "empty": empty,
            "mobs": [
                _mob(mob_id, events.get(mob_id, 0), runs.get(mob_id, 0), by_mob.get(mob_id))
                for mob_id in sorted({*events, *runs})
            ],
            "profiles": profiles,
        }
    )


def is_empty() -> Script[bool]:
    """Whether nothing was written since the store was made or erased: only then it can import."""
    return Commit((yield from _is_empty()))


def _is_empty() -> Generator[tuple[Any, ...], tuple[Any, ...], bool]:
    cursor, run = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)), Get(COUNTERS, (NEXT_RUN,)))
    specs, profiles = yield from fetch(Scan(SPECS, limit=1), Scan(REALM_PROFILES, limit=1))
    return not (cursor or run or specs or profiles)


class _Spec(NamedTuple):
    """What is shown of a spec."""

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
    """A document, or {} if it is too long."""
    return cast("dict[str, Any]", parsed(stored, what)) if len(stored) <= PARSED else {}


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
        "model": cut(profile.get("model", "")),
        "description": shortened(profile.get("peer_description", ""), _LONGEST_DESCRIPTION),
        "updated_at": shown(row.updated_at),
        "profile": {"of": "profile", "id": row.name},
    }
