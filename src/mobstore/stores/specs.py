"""Specs on an engine."""

from __future__ import annotations

from mobstore.arguments import number, record_text, text
from mobstore.interfaces import MobSpecStore
from mobstore.model.definition import MobDefinition
from mobstore.model.ids import MobId
from mobstore.model.json import U64_MAX
from mobstore.operations import specs
from mobstore.stores.base import EngineStore


class EngineSpecStore(EngineStore, MobSpecStore):
    """Specs on an engine."""

    async def put_spec(
        self, mob_id: str, definition: MobDefinition, revision: int | None = None
    ) -> int:
        mob = text(mob_id, "mob_id")
        encoded = record_text(definition, MobDefinition, "definition")
        expected = _revision(revision)
        return await self._engine.write(lambda: specs.put_spec(mob, encoded, expected))

    async def get_spec(self, mob_id: str) -> tuple[MobDefinition, int] | None:
        mob = text(mob_id, "mob_id")
        return await self._engine.read(lambda: specs.get_spec(mob))

    async def list_specs(self) -> list[MobId]:
        return await self._engine.read(specs.list_specs)

    async def delete_spec(self, mob_id: str, revision: int | None = None) -> bool:
        mob, expected = text(mob_id, "mob_id"), _revision(revision)
        return await self._engine.write(lambda: specs.delete_spec(mob, expected))


def _revision(revision: int | None) -> int | None:
    return None if revision is None else number(revision, "revision", most=U64_MAX)
