"""Cases of specs: definitions and their revisions."""

from __future__ import annotations

from typing import Any, cast

from mobstore.errors import MobStoreError, SpecRevisionConflictError, UsageError
from mobstore.stores.specs import MobSpecStore
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import BY_CODE_POINT, definition, full_run
from mobstore.testing.subject import Subject


async def _conflict(specs: MobSpecStore, mob: str, expected: int, actual: int) -> None:
    what = f"expected {expected} where {actual} is stored"
    text = f"spec revision conflict for mob {mob}: expected Some({expected}), actual {actual}"
    call = specs.put_spec(mob, definition(mob, "rejected"), expected)
    error = await expect_error(SpecRevisionConflictError, call, what, text)
    facts = (error.mob_id, error.expected, error.actual)
    same(facts, (mob, expected, actual), f"{what}: attributes of the error")


@case("specs.put.revisions")
async def counts_revisions(subject: Subject) -> None:
    """A spec starts at revision 1; each write adds one, and the last definition is read back."""
    specs = (await subject.open()).specs
    same(await specs.get_spec("mob"), None, "a spec that is not there")
    for n, expected in enumerate((None, 1, None, 3, 4), 1):
        written = definition("mob", f"{n}")
        revision = await specs.put_spec("mob", written, expected)
        same(revision, n, f"revision of write {n}")
        same(await specs.get_spec("mob"), (written, n), f"the spec after write {n}")
    same(await specs.put_spec("other", definition()), 1, "revision of another mob's first write")
    got = await specs.get_spec("mob")
    same(got, (definition("mob", "5"), 5), "the spec after another mob's write")


@case("specs.put.round-trip")
async def round_trips(subject: Subject) -> None:
    """A definition is read back as given, with its steps and nodes in order."""
    specs = (await subject.open()).specs
    written = definition()
    await specs.put_spec("mob", written)
    got = await specs.get_spec("mob")
    assert got is not None, "the spec is there"
    same(got[0], written, "the definition")
    same(got[0].to_json(), written.to_json(), "its JSON")


@case("specs.put.conflict")
async def rejects_other_revisions(subject: Subject) -> None:
    """A write that expects another revision is rejected, names both, and changes nothing."""
    specs = (await subject.open()).specs
    for expected in (1, 2, 2**64 - 1):
        await _conflict(specs, "mob", expected, 0)
    same(await specs.list_specs(), [], "specs after errors")
    await specs.put_spec("mob", definition("mob", "1"))
    await specs.put_spec("mob", definition("mob", "2"))
    for expected in (0, 1, 3, 2**64 - 1):
        await _conflict(specs, "mob", expected, 2)
    same(await specs.get_spec("mob"), (definition("mob", "2"), 2), "the spec after errors")


@case("specs.put.create-only")
async def creates_only(subject: Subject) -> None:
    """Revision 0 writes a spec only if there is none."""
    specs = (await subject.open()).specs
    same(await specs.put_spec("mob", definition(), 0), 1, "revision of a new spec")
    await _conflict(specs, "mob", 0, 1)
    same(await specs.get_spec("mob"), (definition(), 1), "the spec")
    await specs.delete_spec("mob")
    same(await specs.put_spec("mob", definition(), 0), 1, "revision after a delete")


@case("specs.put.other-id")
async def ignores_inner_id(subject: Subject) -> None:
    """The id inside a definition is not compared with the mob's, and is kept."""
    specs = (await subject.open()).specs
    await specs.put_spec("mob", definition("another"))
    same(await specs.get_spec("mob"), (definition("another"), 1), "the spec")
    same(await specs.get_spec("another"), None, "a spec of the inner id")
    same(await specs.list_specs(), ["mob"], "mobs that have a spec")


@case("specs.put.arguments")
async def rejects_odd_arguments(subject: Subject) -> None:
    """A definition of another type, or an impossible revision, changes nothing."""
    specs = (await subject.open()).specs
    await specs.put_spec("mob", definition())
    others: list[Any] = [None, {}, "{}", full_run()]
    for odd in others:
        await expect_error(UsageError, specs.put_spec("mob", odd), f"definition {odd!r}")
    for odd in (-1, 2**64, cast("int", "1"), cast("int", 1.0)):
        call = specs.put_spec("mob", definition("mob", "rejected"), odd)
        await expect_error(MobStoreError, call, f"put at revision {odd!r}")
        await expect_error(MobStoreError, specs.delete_spec("mob", odd), f"delete at {odd!r}")
    same(await specs.get_spec("mob"), (definition(), 1), "the spec")


@case("specs.list.order")
async def lists_by_code_point(subject: Subject) -> None:
    """Mobs with a spec are listed in code point order, not by UTF-16 unit or alphabet."""
    specs = (await subject.open()).specs
    for mob in (*BY_CODE_POINT[::2], "gone", *BY_CODE_POINT[1::2]):
        await specs.put_spec(mob, definition(mob))
    await specs.put_spec(BY_CODE_POINT[3], definition())
    await specs.delete_spec("gone")
    same(await specs.list_specs(), list(BY_CODE_POINT), "mobs that have a spec")


@case("specs.delete.revision")
async def deletes_at_revision(subject: Subject) -> None:
    """A delete succeeds if there is a spec, at the given revision if there is one."""
    specs = (await subject.open()).specs
    for revision in (None, 0, 1):
        gone = await specs.delete_spec("mob", revision)
        same(gone, False, f"delete at {revision} where there is none")
    await specs.put_spec("mob", definition())
    await specs.put_spec("mob", definition())
    await specs.put_spec("other", definition("other"))
    for revision in (0, 1, 3, 2**64 - 1):
        same(await specs.delete_spec("mob", revision), False, f"delete at {revision}, stored 2")
    same(await specs.get_spec("mob"), (definition(), 2), "the spec after errors")
    same(await specs.delete_spec("mob", 2), True, "delete at the stored revision")
    same(await specs.get_spec("mob"), None, "the spec after the delete")
    same(await specs.delete_spec("mob", 2), False, "the same delete again")
    same(await specs.delete_spec("other"), True, "delete at any revision")
    same(await specs.list_specs(), [], "mobs that have a spec")


@case("specs.delete.restarts")
async def starts_again_after_delete(subject: Subject) -> None:
    """After a delete, the revision starts again at 1."""
    specs = (await subject.open()).specs
    for model in ("a", "b"):
        written = definition("mob", model)
        same(await specs.put_spec("mob", written), 1, "revision of the first write")
        same(await specs.put_spec("mob", written, 1), 2, "revision of the second")
        same(await specs.get_spec("mob"), (written, 2), "the spec")
        same(await specs.delete_spec("mob", 2), True, "the delete")
