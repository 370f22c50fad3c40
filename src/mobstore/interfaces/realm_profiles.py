"""The profiles of a realm."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod

from mobstore.model.profile import Profile, StoredRealmProfile


class RealmProfileStore(ABC):
    """Profiles that the mobs of a realm share, each with a revision.

    A profile starts at revision 1 and grows by one with each update; after a delete it starts
    again. Both times come from the store's clock.
    """

    @abstractmethod
    async def create(self, name: str, profile: Profile) -> StoredRealmProfile:
        """Add a profile.

        Returns:
            What was stored: revision 1, both times now.

        Raises:
            CasConflictError: there is one of this name.

        Contract: profiles.create.twice, profiles.update.revisions.
        """

    @abstractmethod
    async def get(self, name: str) -> StoredRealmProfile | None:
        """The profile, or None.

        Contract: profiles.update.revisions.
        """

    @abstractmethod
    async def update(
        self, name: str, profile: Profile, expected_revision: int
    ) -> StoredRealmProfile:
        """Replace a profile's content; `created_at` stays, `updated_at` becomes now.

        Returns:
            What was stored, at revision `expected_revision` + 1.

        Raises:
            NotFoundError: there is none of this name.
            CasConflictError: it is at another revision.

        Contract: profiles.update.revisions, profiles.update.conflict.
        """

    @abstractmethod
    async def delete(self, name: str, expected_revision: int) -> StoredRealmProfile:
        """Remove a profile.

        Returns:
            What was removed.

        Raises:
            NotFoundError: there is none of this name.
            CasConflictError: it is at another revision.

        Contract: profiles.delete.revision.
        """

    @abstractmethod
    async def list(self) -> builtins.list[StoredRealmProfile]:
        """All profiles, ascending by name.

        Contract: profiles.list.order.
        """
