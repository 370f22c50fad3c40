"""Realm profiles on an engine."""

from __future__ import annotations

import builtins

from mobstore.codec.arguments import number, record_text, text
from mobstore.model.json import U64_MAX
from mobstore.model.profile import Profile, StoredRealmProfile
from mobstore.operations import realm_profiles
from mobstore.stores.base import EngineStore


class RealmProfileStore(EngineStore):
    """The profiles shared by the mobs of a realm, each with a revision.

    A profile starts at revision 1 and grows by one with each update; after a delete it starts
    again. Both times come from the store's clock.
    """

    async def create(self, name: str, profile: Profile) -> StoredRealmProfile:
        """Add a profile.

        Returns:
            The stored profile, at revision 1, with both times now.

        Raises:
            CasConflictError: a profile with this name exists.

        Contract: profiles.create.twice, profiles.update.revisions.
        """
        key, now = text(name, "name"), self._now().sortable
        encoded = record_text(profile, Profile, "profile")
        return await self._engine.write(lambda: realm_profiles.create(key, encoded, now))

    async def get(self, name: str) -> StoredRealmProfile | None:
        """Return the profile, or None.

        Contract: profiles.update.revisions.
        """
        key = text(name, "name")
        return await self._engine.read(lambda: realm_profiles.get(key))

    async def update(
        self, name: str, profile: Profile, expected_revision: int
    ) -> StoredRealmProfile:
        """Replace a profile's content; `created_at` stays, `updated_at` becomes now.

        Returns:
            The stored profile, at revision `expected_revision` + 1.

        Raises:
            NotFoundError: no profile has this name.
            CasConflictError: the profile is at another revision.

        Contract: profiles.update.revisions, profiles.update.conflict.
        """
        key, now = text(name, "name"), self._now().sortable
        encoded = record_text(profile, Profile, "profile")
        expected = number(expected_revision, "expected_revision", most=U64_MAX)
        return await self._engine.write(lambda: realm_profiles.update(key, encoded, expected, now))

    async def delete(self, name: str, expected_revision: int) -> StoredRealmProfile:
        """Remove a profile.

        Returns:
            The removed profile.

        Raises:
            NotFoundError: no profile has this name.
            CasConflictError: the profile is at another revision.

        Contract: profiles.delete.revision.
        """
        key = text(name, "name")
        expected = number(expected_revision, "expected_revision", most=U64_MAX)
        return await self._engine.write(lambda: realm_profiles.delete(key, expected))

    async def list(self) -> builtins.list[StoredRealmProfile]:
        """Return all profiles, ascending by name.

        Contract: profiles.list.order.
        """
        return await self._engine.read(realm_profiles.list_all)
