"""Scripts of the spec store. A spec starts at revision 1 and grows by one with each write."""

from __future__ import annotations

from mobstore.codec.specs import read_mob_id, read_spec
from mobstore.errors import InternalError, SpecRevisionConflictError
from mobstore.model.definition import MobDefinition
from mobstore.model.ids import MobId
from mobstore.model.json import I64_MAX
from mobstore.scripts.tables import SPECS, SpecRow
from mobstore.scripts.transaction import (
    Commit,
    Delete,
    Get,
    Scan,
    Script,
    add_or_put,
    fetch,
    refuse,
)


def put_spec(mob_id: str, definition: str, expected: int | None) -> Script[int]:
    """Write a spec; `expected` must be the stored revision, 0 if there is none, or None."""
    stored = yield from fetch(Get(SPECS, (mob_id,)))
    current = 0 if stored is None else stored.revision
    if expected is not None and expected != current:
        raise SpecRevisionConflictError(mob_id, expected, current)
    if current >= I64_MAX:
        raise InternalError(f"the revisions of mob {mob_id} are used up")
    row = SpecRow(mob_id, current + 1, definition)
    return Commit(row.revision, (add_or_put(SPECS, stored, row),))


def get_spec(mob_id: str) -> Script[tuple[MobDefinition, int] | None]:
    """Return a definition with its revision."""
    stored = yield from fetch(Get(SPECS, (mob_id,)))
    return Commit(None if stored is None else read_spec(stored))


def list_specs() -> Script[list[MobId]]:
    """Return the mobs that have a spec, by id."""
    found = yield from fetch(Scan(SPECS))
    return Commit(list(map(read_mob_id, found)))


def delete_spec(mob_id: str, expected: int | None) -> Script[bool]:
    """Remove a spec; `expected` must be the stored revision, or None."""
    stored = yield from fetch(Get(SPECS, (mob_id,)))
    if expected is not None and (stored is None or expected != stored.revision):
        actual = 0 if stored is None else stored.revision
        reason = f"the spec of mob {mob_id} is at revision {actual}, not {expected}"
        return refuse("specs.delete_spec", None, reason)
    if stored is None:
        return Commit(False)
    return Commit(True, (Delete(SPECS, (mob_id,)),))
