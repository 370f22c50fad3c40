"""Scripts of a store's identity: a UUID that is made with it and moves with what it holds."""

from __future__ import annotations

from uuid import UUID

from mobstore.scripts.tables import IDENTITY, META, MetaRow
from mobstore.scripts.transaction import Add, Commit, Get, Script, fetch


def identity() -> Script[MetaRow | None]:
    """The identity; None if the store has none yet."""
    return Commit((yield from fetch(Get(META, (IDENTITY,)))))


def identify(fresh: str) -> Script[MetaRow]:
    """Give the store an identity unless it has one; gives the one that it has then."""
    row = yield from fetch(Get(META, (IDENTITY,)))
    if row is not None:
        return Commit(row)
    row = MetaRow(IDENTITY, fresh)
    return Commit(row, (Add(META, (row,)),))


def parse_identity(row: MetaRow | None) -> UUID | None:
    """The identity that a row holds; None if there is none, or none that can be read."""
    try:
        return None if row is None else UUID(row.value)
    except (ValueError, TypeError, AttributeError):  # what is stored may not even be text
        return None
