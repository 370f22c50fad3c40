"""Rows to specs and realm profiles."""

from __future__ import annotations

from mobstore.codec.decoding import (
    UNREADABLE,
    naming_unreadable_rows,
    stored_text,
    unreadable_row,
)
from mobstore.model.definition import MobDefinition
from mobstore.model.ids import MobId
from mobstore.model.profile import Profile, StoredRealmProfile
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import RealmProfileRow, SpecRow


def read_spec(row: SpecRow) -> tuple[MobDefinition, int]:
    """Decode a definition and its revision.

    Raises:
        SerializationError: it cannot be read.
    """
    try:  # without a context manager, which costs a microsecond of about fifteen
        return MobDefinition.model_validate_json(row.definition), row.revision
    except UNREADABLE as error:
        raise unreadable_row("table specs, mob", row.mob_id, error)  # noqa: B904 - it has its cause


def read_mob_id(row: SpecRow) -> MobId:
    """Return the mob of a definition.

    Raises:
        SerializationError: it cannot be read.
    """
    with naming_unreadable_rows("table specs, mob", row.mob_id):
        return MobId(stored_text(row.mob_id))


def read_realm_profile(row: RealmProfileRow) -> StoredRealmProfile:
    """Decode a realm profile.

    Raises:
        SerializationError: it cannot be read.
    """
    name, revision, profile, created_at, updated_at = row
    try:
        return StoredRealmProfile.assemble(
            {
                "name": stored_text(name),
                "profile": Profile.model_validate_json(profile),
                "revision": revision,
                "created_at": Timestamp.from_sortable(created_at),
                "updated_at": Timestamp.from_sortable(updated_at),
            }
        )
    except UNREADABLE as error:
        raise unreadable_row("table realm_profiles, name", name, error)  # noqa: B904 - as above
