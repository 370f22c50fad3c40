"""Specs on an engine."""

from __future__ import annotations

from mobstore.codec.arguments import number, record_text, text
from mobstore.model.definition import MobDefinition
from mobstore.model.ids import MobId
from mobstore.model.json import U64_MAX
from mobstore.operations import specs
from mobstore.stores.base import EngineStore


class MobSpecStore(EngineStore):
    """The definitions of mobs, each with a revision.

    A spec starts at revision 1 and grows by one with each write; after a delete it starts again.
    """

    async def put_spec(
        self, mob_id: str, definition: MobDefinition, revision: int | None = None
    ) -> int:
        """Write a spec; `definition.id` is not compared with `mob_id`.

        Args:
            mob_id: the mob.
            definition: its definition.
            revision: the expected revision, 0 for no spec; None: write unconditionally.

        Returns:
            The new revision.

        Raises:
            SpecRevisionConflictError: the stored revision, 0 if there is none, differs.

        Contract: specs.put.revisions, specs.put.conflict, specs.put.create-only.
        """
        mob = text(mob_id, "mob_id")
        encoded = record_text(definition, MobDefinition, "definition")
        expected = _revision(revision)
        return await self._engine.write(lambda: specs.put_spec(mob, encoded, expected))

    async def get_spec(self, mob_id: str) -> tuple[MobDefinition, int] | None:
        """Return the definition and its revision, or None.

        Contract: specs.put.revisions.
        """
        mob = text(mob_id, "mob_id")
        return await self._engine.read(lambda: specs.get_spec(mob))

    async def list_specs(self) -> list[MobId]:
        """Return the mobs that have a spec, ascending.

        Contract: specs.list.order.
        """
        return await self._engine.read(specs.list_specs)

    async def delete_spec(self, mob_id: str, revision: int | None = None) -> bool:
        """Remove a spec, only at `revision` unless that is None.

        Returns:
            Whether it was removed; False if there is none, or if it is at another revision.

        Contract: specs.delete.revision.
        """
        mob, expected = text(mob_id, "mob_id"), _revision(revision)
        return await self._engine.write(lambda: specs.delete_spec(mob, expected))


def _revision(revision: int | None) -> int | None:
    return None if revision is None else number(revision, "revision", most=U64_MAX)
