"""Rows to specs and realm profiles."""

from __future__ import annotations

from mobstore.codec.decoding import naming_unreadable_rows, stored_text
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
    with naming_unreadable_rows("table specs, mob", row.mob_id):
        return MobDefinition.model_validate_json(row.definition), row.revision


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
    with naming_unreadable_rows("table realm_profiles, name", row.name):
        return StoredRealmProfile.assemble(
            {
                "name": stored_text(row.name),
                "profile": Profile.model_validate_json(row.profile),
                "revision": row.revision,
                "created_at": Timestamp.from_sortable(row.created_at),
                "updated_at": Timestamp.from_sortable(row.updated_at),
            }
        )
