"""Cases of realm profiles: content, revisions, times."""

from __future__ import annotations

from typing import Any, cast

from mobstore.errors import CasConflictError, MobStoreError, NotFoundError, UsageError
from mobstore.model.profile import Profile, StoredRealmProfile
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import BY_CODE_POINT, definition, profile, timestamp
from mobstore.testing.subject import Subject


def _stored(
    name: str, content: Profile, revision: int, created: int, updated: int
) -> StoredRealmProfile:
    return StoredRealmProfile(
        name=name,
        profile=content,
        revision=revision,
        created_at=timestamp(created),
        updated_at=timestamp(updated),
    )


@case("profiles.create.twice")
async def creates_once(subject: Subject) -> None:
    """A second profile with one name is rejected, and the first one stays."""
    profiles = (await subject.open()).realm_profiles
    subject.clock.now = timestamp(5)
    first = await profiles.create("name", profile("first"))
    same(first, _stored("name", profile("first"), 1, 5, 5), "the result of create")
    subject.clock.now = timestamp(6)
    for model in ("first", "second"):
        text = "CAS conflict: realm profile already exists: name"
        call = profiles.create("name", profile(model))
        await expect_error(CasConflictError, call, f"create of {model}", text)
    same(await profiles.get("name"), first, "the profile after errors")


@case("profiles.create.round-trip")
async def round_trips(subject: Subject) -> None:
    """A profile is read back as given, full or plain; `null` in free JSON equals None."""
    profiles = (await subject.open()).realm_profiles
    for name, content in (("full", profile()), ("plain", Profile(model=""))):
        stored = await profiles.create(name, content)
        same(stored.profile, content, f"the result of create, {name}")
        same(await profiles.get(name), stored, f"the profile, {name}")
        same(stored.profile.to_json(), content.to_json(), f"its JSON, {name}")
    same(await profiles.get("none"), None, "a profile that is not there")


@case("profiles.update.revisions")
async def counts_revisions(subject: Subject) -> None:
    """Each update adds one to the revision and sets `updated_at`; `created_at` stays."""
    profiles = (await subject.open()).realm_profiles
    same(await profiles.get("name"), None, "a profile that is not there")
    other = await profiles.create("other", profile())
    subject.clock.now = timestamp(1)
    await profiles.create("name", profile("1"))
    for n, time in enumerate((5, 4, 4, -7), 2):  # clocks may be set back
        subject.clock.now = timestamp(time)
        updated = await profiles.update("name", profile(f"{n}"), n - 1)
        same(updated, _stored("name", profile(f"{n}"), n, 1, time), f"the result of update {n}")
        same(await profiles.get("name"), updated, f"the profile after update {n}")
    same(await profiles.get("other"), other, "another profile")


@case("profiles.update.conflict")
async def rejects_other_revisions(subject: Subject) -> None:
    """An update of a missing profile or at another revision is rejected and changes nothing."""
    profiles = (await subject.open()).realm_profiles
    text = "Not found: realm profile not found: name"
    await expect_error(
        NotFoundError, profiles.update("name", profile(), 0), "no such profile", text
    )
    await profiles.create("name", profile())
    stored = await profiles.update("name", profile("2"), 1)
    subject.clock.now = timestamp(9)
    for expected in (0, 1, 3, 2**64 - 1):
        text = f"realm profile 'name' revision conflict: expected {expected}, actual 2"
        call = profiles.update("name", profile("rejected"), expected)
        await expect_error(CasConflictError, call, f"update at {expected}", f"CAS conflict: {text}")
    same(await profiles.list(), [stored], "the profiles after errors")


@case("profiles.update.arguments")
async def rejects_odd_arguments(subject: Subject) -> None:
    """A profile of another type, or an impossible revision, changes nothing."""
    profiles = (await subject.open()).realm_profiles
    stored = await profiles.create("name", profile())
    others: list[Any] = [None, {}, "{}", definition(), stored]
    for odd in others:
        await expect_error(UsageError, profiles.create("new", odd), f"create with {odd!r}")
        await expect_error(UsageError, profiles.update("name", odd, 1), f"update with {odd!r}")
    for odd in (-1, 2**64, cast("int", "1"), cast("int", None), cast("int", 1.0)):
        call = profiles.update("name", profile("rejected"), odd)
        await expect_error(MobStoreError, call, f"update at revision {odd!r}")
        await expect_error(MobStoreError, profiles.delete("name", odd), f"delete at {odd!r}")
    same(await profiles.list(), [stored], "the profiles")


@case("profiles.delete.revision")
async def deletes_at_revision(subject: Subject) -> None:
    """A delete returns the profile; a missing profile or another revision is rejected."""
    profiles = (await subject.open()).realm_profiles
    text = "Not found: realm profile not found: name"
    await expect_error(NotFoundError, profiles.delete("name", 1), "no such profile", text)
    other = await profiles.create("other", profile())
    await profiles.create("name", profile())
    stored = await profiles.update("name", profile("2"), 1)
    for expected in (0, 1, 3, 2**64 - 1):
        conflict = f"realm profile 'name' revision conflict: expected {expected}, actual 2"
        call = profiles.delete("name", expected)
        await expect_error(
            CasConflictError, call, f"delete at {expected}", f"CAS conflict: {conflict}"
        )
    same(await profiles.get("name"), stored, "the profile after errors")
    same(await profiles.delete("name", 2), stored, "the result of delete")
    same(await profiles.list(), [other], "the profiles after the delete")
    await expect_error(NotFoundError, profiles.delete("name", 2), "the same delete again", text)


@case("profiles.delete.restarts")
async def starts_again_after_delete(subject: Subject) -> None:
    """After a delete, a profile starts again at revision 1, with new times."""
    profiles = (await subject.open()).realm_profiles
    for time in (1, 2):
        subject.clock.now = timestamp(time)
        created = await profiles.create("name", profile())
        same(created, _stored("name", profile(), 1, time, time), "the result of create")
        await profiles.update("name", profile(), 1)
        await profiles.delete("name", 2)


@case("profiles.list.order")
async def lists_by_code_point(subject: Subject) -> None:
    """Profiles are listed by name in code point order, not by UTF-16 unit, alphabet or time."""
    profiles = (await subject.open()).realm_profiles
    same(await profiles.list(), [], "the profiles of a new store")
    created: dict[str, StoredRealmProfile] = {}
    for name in (*BY_CODE_POINT[1::2], *BY_CODE_POINT[::2]):
        created[name] = await profiles.create(name, profile(name))
    name = BY_CODE_POINT[3]
    created[name] = await profiles.update(name, profile(), 1)
    same(await profiles.list(), [created[name] for name in BY_CODE_POINT], "the profiles")
