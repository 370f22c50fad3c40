"""Scripts of a store's identity: a UUID created with the store, which moves with its data."""

from __future__ import annotations

from uuid import UUID

from mobstore.scripts.tables import IDENTITY, META, MetaRow
from mobstore.scripts.transaction import Add, Commit, Get, Script, fetch


def identity() -> Script[MetaRow | None]:
    """Return the row of the identity, or None if the store has none yet."""
    return Commit((yield from fetch(Get(META, (IDENTITY,)))))


def identify(fresh: str) -> Script[MetaRow]:
    """Add an identity unless the store has one; return its row."""
    row = yield from fetch(Get(META, (IDENTITY,)))
    if row is not None:
        return Commit(row)
    row = MetaRow(IDENTITY, fresh)
    return Commit(row, (Add(META, (row,)),))


def parse_identity(row: MetaRow | None) -> UUID | None:
    """Return the identity in a row, or None if it is missing or unreadable."""
    try:
        return None if row is None else UUID(row.value)
    except (ValueError, TypeError, AttributeError):  # the stored value may not even be text
        return None
