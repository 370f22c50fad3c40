"""What a store holds: its mobs with counts, its realm profiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any, cast

from inspector.roster import Fold
from inspector.shapes import MobSummary, Overview, ProfileSummary
from inspector.texts import parsed, shown
from mobstore.operations.events import NEXT_CURSOR
from mobstore.operations.overview import counts_by_mob
from mobstore.operations.runs import NEXT_RUN
from mobstore.tables import (
    COUNTERS,
    EVENTS,
    EVENTS_BY_MOB,
    REALM_PROFILES,
    RUNS,
    RUNS_BY_MOB,
    SPECS,
    RealmProfileRow,
    SpecRow,
)
from mobstore.transaction import Commit, Get, Scan, Script, fetch

_ROWS_AT_ONCE = 1000


def overview(told: Fold) -> Script[Overview]:
    """Count everything, by mob; of the events those only that a fold of the log does not know."""
    empty = yield from _is_empty()
    specs, profiles = yield from fetch(Scan(SPECS), Scan(REALM_PROFILES))
    known = [spec.mob_id for spec in specs]
    runs = yield from counts_by_mob(RUNS, RUNS_BY_MOB, known)
    first, new = yield from fetch(
        Scan(EVENTS, limit=1), Scan(EVENTS, after=told.cursor, limit=_ROWS_AT_ONCE)
    )
    events: dict[str, int]
    if len(new) < _ROWS_AT_ONCE and told.first in {None, *first}:
        events = told.events + Counter(row.mob_id for row in new)
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
            "profiles": [_profile(profile) for profile in profiles],
        }
    )


def is_empty() -> Script[bool]:
    """Whether nothing was written since the store was made or erased: only then it can import."""
    return Commit((yield from _is_empty()))


def _is_empty() -> Generator[tuple[Any, ...], tuple[Any, ...], bool]:
    cursor, run = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)), Get(COUNTERS, (NEXT_RUN,)))
    specs, profiles = yield from fetch(Scan(SPECS, limit=1), Scan(REALM_PROFILES, limit=1))
    return not (cursor or run or specs or profiles)


def _mob(mob_id: str, events: int, runs: int, spec: SpecRow | None) -> MobSummary:
    definition: dict[str, Any] = {}
    if spec is not None:
        definition = cast("dict[str, Any]", parsed(spec.definition, f"the spec of {mob_id}"))
    return {
        "mob_id": mob_id,
        "events": events,
        "runs": runs,
        "spec_revision": None if spec is None else spec.revision,
        "roles": list(definition.get("profiles", ())),
        "flows": list(definition.get("flows", ())),
        "spec": None if spec is None else {"of": "spec", "id": mob_id},
    }


def _profile(row: RealmProfileRow) -> ProfileSummary:
    profile = cast("dict[str, Any]", parsed(row.profile, f"the realm profile {row.name}"))
    return {
        "name": row.name,
        "revision": row.revision,
        "model": profile["model"],
        "description": profile["peer_description"],
        "updated_at": shown(row.updated_at),
        "profile": {"of": "profile", "id": row.name},
    }
