"""Every branch of the realm profile store's scripts, stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mobstore import (
    CasConflictError,
    NotFoundError,
    Profile,
    SerializationError,
    StoredRealmProfile,
    Timestamp,
)
from mobstore.operations import realm_profiles
from mobstore.scripts.tables import REALM_PROFILES, RealmProfileRow
from mobstore.scripts.transaction import Add, Commit, Delete, Get, Put, Scan, Script
from support.scripts import play

OLD = "2026-03-04T05:06:07.000000000Z"
NOW = "2026-03-04T05:06:08.000000001Z"
GET = (Get(REALM_PROFILES, ("p",)),)
STORED = RealmProfileRow("p", 3, '{"model":"old"}', OLD, OLD)


def stored(model: str, revision: int, created: str, updated: str) -> StoredRealmProfile:
    return StoredRealmProfile(
        name="p",
        profile=Profile(model=model),
        revision=revision,
        created_at=Timestamp.from_sortable(created),
        updated_at=Timestamp.from_sortable(updated),
    )


def test_create() -> None:
    asked, commit = play(realm_profiles.create("p", '{"model":"m"}', NOW), (None,))
    assert asked == [GET]
    row = RealmProfileRow("p", 1, '{"model":"m"}', NOW, NOW)
    assert commit == Commit(stored("m", 1, NOW, NOW), (Add(REALM_PROFILES, (row,)),))


def test_create_twice() -> None:
    with pytest.raises(CasConflictError) as caught:
        play(realm_profiles.create("p", "{}", NOW), (STORED,))
    assert caught.value.detail == "realm profile already exists: p"


def test_get() -> None:
    asked, commit = play(realm_profiles.get("p"), (STORED,))
    assert asked == [GET]
    assert commit == Commit(stored("old", 3, OLD, OLD))
    assert play(realm_profiles.get("p"), (None,))[1] == Commit(None)


def test_list() -> None:
    other = STORED._replace(name="q")
    asked, commit = play(realm_profiles.list_all(), ([STORED, other],))
    assert asked == [(Scan(REALM_PROFILES),)]
    assert commit.writes == ()
    assert [(found.name, found.revision) for found in commit.result] == [("p", 3), ("q", 3)]
    assert play(realm_profiles.list_all(), ([],))[1] == Commit([])


def test_update() -> None:
    asked, commit = play(realm_profiles.update("p", '{"model":"new"}', 3, NOW), (STORED,))
    assert asked == [GET]
    row = RealmProfileRow("p", 4, '{"model":"new"}', OLD, NOW)
    assert commit == Commit(stored("new", 4, OLD, NOW), (Put(REALM_PROFILES, (row,)),))


def test_update_does_not_read_what_it_replaces() -> None:
    broken = STORED._replace(profile="broken")
    assert play(realm_profiles.update("p", '{"model":"new"}', 3, NOW), (broken,))[1].writes


def test_delete() -> None:
    asked, commit = play(realm_profiles.delete("p", 3), (STORED,))
    assert asked == [GET]
    assert commit == Commit(stored("old", 3, OLD, OLD), (Delete(REALM_PROFILES, ("p",)),))


@pytest.mark.parametrize("expected", [0, 2, 4, 2**64 - 1])
def test_another_revision(expected: int) -> None:
    text = f"realm profile 'p' revision conflict: expected {expected}, actual 3"
    for script in (
        realm_profiles.update("p", "{}", expected, NOW),
        realm_profiles.delete("p", expected),
    ):
        with pytest.raises(CasConflictError) as caught:
            play(script, (STORED,))
        assert caught.value.detail == text


def test_a_missing_profile() -> None:
    for script in (realm_profiles.update("p", "{}", 0, NOW), realm_profiles.delete("p", 0)):
        with pytest.raises(NotFoundError) as caught:
            play(script, (None,))
        assert caught.value.detail == "realm profile not found: p"


def test_a_profile_that_cannot_be_read_is_named() -> None:
    scripts: list[Script[Any]] = [realm_profiles.get("p"), realm_profiles.delete("p", 3)]
    for script in scripts:
        with pytest.raises(SerializationError, match="table realm_profiles, name p cannot be read"):
            play(script, (STORED._replace(profile='{"model":5}'),))
    with pytest.raises(SerializationError, match="name p cannot be read"):
        play(realm_profiles.list_all(), ([STORED._replace(profile="")],))
