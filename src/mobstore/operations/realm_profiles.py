"""Scripts of the realm profile store. Revisions start at 1 and are always compared."""

from __future__ import annotations

from mobstore.codec.specs import read_realm_profile
from mobstore.errors import CasConflictError, InternalError, NotFoundError
from mobstore.model.json import I64_MAX
from mobstore.model.profile import StoredRealmProfile
from mobstore.scripts.tables import REALM_PROFILES, RealmProfileRow
from mobstore.scripts.transaction import Add, Commit, Delete, Get, Put, Scan, Script, fetch


def create(name: str, profile: str, now: str) -> Script[StoredRealmProfile]:
    """Add a profile that must not exist yet."""
    if (yield from fetch(Get(REALM_PROFILES, (name,)))) is not None:
        raise CasConflictError(f"realm profile already exists: {name}")
    row = RealmProfileRow(name, 1, profile, now, now)
    return Commit(read_realm_profile(row), (Add(REALM_PROFILES, (row,)),))


def get(name: str) -> Script[StoredRealmProfile | None]:
    """Return one profile."""
    row = yield from fetch(Get(REALM_PROFILES, (name,)))
    return Commit(None if row is None else read_realm_profile(row))


def list_all() -> Script[list[StoredRealmProfile]]:
    """Return all profiles, by name."""
    found = yield from fetch(Scan(REALM_PROFILES))
    return Commit([read_realm_profile(row) for row in found])


def update(name: str, profile: str, expected: int, now: str) -> Script[StoredRealmProfile]:
    """Replace the content of a profile at the expected revision."""
    stored = _at_revision(name, (yield from fetch(Get(REALM_PROFILES, (name,)))), expected)
    if expected >= I64_MAX:
        raise InternalError(f"the revisions of realm profile '{name}' are used up")
    row = stored._replace(revision=expected + 1, profile=profile, updated_at=now)
    return Commit(read_realm_profile(row), (Put(REALM_PROFILES, (row,)),))


def delete(name: str, expected: int) -> Script[StoredRealmProfile]:
    """Remove a profile at the expected revision and return it."""
    stored = _at_revision(name, (yield from fetch(Get(REALM_PROFILES, (name,)))), expected)
    return Commit(read_realm_profile(stored), (Delete(REALM_PROFILES, (name,)),))


def _at_revision(name: str, stored: RealmProfileRow | None, expected: int) -> RealmProfileRow:
    if stored is None:
        raise NotFoundError(f"realm profile not found: {name}")
    if stored.revision != expected:
        raise CasConflictError(
            f"realm profile '{name}' revision conflict:"
            f" expected {expected}, actual {stored.revision}"
        )
    return stored
