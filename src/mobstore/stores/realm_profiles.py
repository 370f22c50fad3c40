"""Realm profiles on an engine."""

from __future__ import annotations

import builtins

from mobstore.arguments import number, record_text, text
from mobstore.interfaces import RealmProfileStore
from mobstore.model.json import U64_MAX
from mobstore.model.profile import Profile, StoredRealmProfile
from mobstore.operations import realm_profiles
from mobstore.stores.base import EngineStore


class EngineRealmProfileStore(EngineStore, RealmProfileStore):
    """Realm profiles on an engine."""

    async def create(self, name: str, profile: Profile) -> StoredRealmProfile:
        key, now = text(name, "name"), self._now().sortable
        encoded = record_text(profile, Profile, "profile")
        return await self._engine.write(lambda: realm_profiles.create(key, encoded, now))

    async def get(self, name: str) -> StoredRealmProfile | None:
        key = text(name, "name")
        return await self._engine.read(lambda: realm_profiles.get(key))

    async def update(
        self, name: str, profile: Profile, expected_revision: int
    ) -> StoredRealmProfile:
        key, now = text(name, "name"), self._now().sortable
        encoded = record_text(profile, Profile, "profile")
        expected = number(expected_revision, "expected_revision", most=U64_MAX)
        return await self._engine.write(lambda: realm_profiles.update(key, encoded, expected, now))

    async def delete(self, name: str, expected_revision: int) -> StoredRealmProfile:
        key = text(name, "name")
        expected = number(expected_revision, "expected_revision", most=U64_MAX)
        return await self._engine.write(lambda: realm_profiles.delete(key, expected))

    async def list(self) -> builtins.list[StoredRealmProfile]:
        return await self._engine.read(realm_profiles.list_all)
