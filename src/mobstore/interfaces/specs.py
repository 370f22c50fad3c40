"""The definitions of mobs."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mobstore.model.definition import MobDefinition
from mobstore.model.ids import MobId


class MobSpecStore(ABC):
    """The definitions of mobs, each with a revision.

    A spec starts at revision 1 and grows by one with each write; after a delete it starts again.
    """

    @abstractmethod
    async def put_spec(
        self, mob_id: str, definition: MobDefinition, revision: int | None = None
    ) -> int:
        """Write a spec; `definition.id` is not compared with `mob_id`.

        Args:
            mob_id: the mob.
            definition: its definition.
            revision: the revision last read, 0 if there must be none; None writes in any case.

        Returns:
            The new revision.

        Raises:
            SpecRevisionConflictError: the stored revision (0 if there is none) is another.

        Contract: specs.put.revisions, specs.put.conflict, specs.put.create-only.
        """

    @abstractmethod
    async def get_spec(self, mob_id: str) -> tuple[MobDefinition, int] | None:
        """The definition and its revision, or None.

        Contract: specs.put.revisions.
        """

    @abstractmethod
    async def list_specs(self) -> list[MobId]:
        """The mobs that have a spec, ascending.

        Contract: specs.list.order.
        """

    @abstractmethod
    async def delete_spec(self, mob_id: str, revision: int | None = None) -> bool:
        """Remove a spec, if `revision` is given only at that one.

        Returns:
            Whether it was removed; False if there is none, or it is at another revision.

        Contract: specs.delete.revision.
        """
