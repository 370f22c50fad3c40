"""Cases of limits: the last allowed value works like any other, and more is rejected."""

from __future__ import annotations

from pydantic import JsonValue

from mobstore.errors import (
    CasConflictError,
    InternalError,
    SerializationError,
    SpecRevisionConflictError,
)
from mobstore.model.extent import MAX_VALUES
from mobstore.model.json import I64_MAX, U64_MAX
from mobstore.model.profile import Profile
from mobstore.scripts.tables import (
    COUNTERS,
    NEXT_RUN,
    REALM_PROFILES,
    SPECS,
    CounterRow,
    RealmProfileRow,
    SpecRow,
)
from mobstore.scripts.transaction import Put
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import definition, full_run, iteration, make_run, profile, timestamp
from mobstore.testing.scripts import write_script
from mobstore.testing.subject import Subject


@case("limits.runs")
async def runs_end(subject: Subject) -> None:
    """When the numbers of runs are used up, another run is rejected and nothing is written."""
    stores = await subject.open()
    await stores.engine.write(write_script(Put(COUNTERS, (CounterRow(NEXT_RUN, I64_MAX - 1),))))
    last = full_run(1)
    await stores.runs.create_run(last)
    await expect_error(InternalError, stores.runs.create_run(make_run(2)), "no number is left")
    same(await stores.runs.list_runs("mob"), [last], "runs after the error")


@case("limits.specs")
async def specs_end(subject: Subject) -> None:
    """A spec at the last revision is read, compared and deleted, but not written again."""
    stores = await subject.open()
    specs = stores.specs
    row = SpecRow("mob", I64_MAX - 1, definition().to_json())
    await stores.engine.write(write_script(Put(SPECS, (row,))))
    same(await specs.put_spec("mob", definition(), I64_MAX - 1), I64_MAX, "the last revision")
    for revision in (None, I64_MAX):
        await expect_error(
            InternalError, specs.put_spec("mob", definition("b"), revision), "a write"
        )
    for revision in (I64_MAX - 1, I64_MAX + 1, U64_MAX):
        writing_ = specs.put_spec("mob", definition("b"), revision)
        await expect_error(SpecRevisionConflictError, writing_, f"a write at {revision}")
        same(await specs.delete_spec("mob", revision), False, f"a removal at {revision}")
    same(await specs.get_spec("mob"), (definition(), I64_MAX), "the spec")
    same(await specs.delete_spec("mob", I64_MAX), True, "its removal")


@case("limits.profiles")
async def profiles_end(subject: Subject) -> None:
    """A profile at the last revision is read, compared and deleted, but not written again."""
    stores = await subject.open()
    profiles = stores.realm_profiles
    time = timestamp(0).sortable
    row = RealmProfileRow("p", I64_MAX - 1, profile().to_json(), time, time)
    await stores.engine.write(write_script(Put(REALM_PROFILES, (row,))))
    last = await profiles.update("p", profile(), I64_MAX - 1)
    same(last.revision, I64_MAX, "the last revision")
    await expect_error(InternalError, profiles.update("p", profile("b"), I64_MAX), "a write")
    for revision in (I64_MAX - 1, I64_MAX + 1, U64_MAX):
        writing_ = profiles.update("p", profile("b"), revision)
        await expect_error(CasConflictError, writing_, f"a write at {revision}")
        await expect_error(
            CasConflictError, profiles.delete("p", revision), f"a removal at {revision}"
        )
    same(await profiles.get("p"), last, "the profile")
    same(await profiles.delete("p", I64_MAX), last, "its removal")


@case("limits.values")
async def values_of_documents(subject: Subject) -> None:
    """A document with more than 1,048,576 values is rejected and nothing is written."""
    stores = await subject.open()
    most: list[JsonValue] = [0] * (MAX_VALUES - 1)  # and the array itself
    run = make_run(activation_params=most)
    await stores.runs.create_run(run)
    same(await stores.runs.get_run(run.run_id), run, "a run with the longest of arrays")
    longer = [*most, 0]
    for call in (
        stores.runs.create_run(make_run(2, activation_params=longer)),
        stores.runs.create_run(make_run(2, root_step_outputs={"s": [[]] * (MAX_VALUES // 2)})),
        stores.realm_profiles.create("p", Profile(model="m", output_schema=most)),
    ):
        await expect_error(SerializationError, call, "a document of more values")
    same([header.run_id for header in await stores.runs.run_headers("mob")], [run.run_id], "runs")
    same(await stores.realm_profiles.list(), [], "profiles after the errors")


@case("limits.numbers-in-runs")
async def numbers_in_runs(subject: Subject) -> None:
    """Counts of 32 and 64 bits keep all of their bits."""
    runs = (await subject.open()).runs
    for n, count in enumerate((0, 2**31, 2**32, 2**53 + 1, I64_MAX, I64_MAX + 1, U64_MAX)):
        run = make_run(
            n, schema_version=min(count, 2**32 - 1), loop_iteration_ledger=(iteration(count),)
        )
        await runs.create_run(run)
        same(await runs.get_run(run.run_id), run, f"a run that counts to {count}")
        entries = await runs.loop_iteration_entries(run.run_id)
        same([entry.iteration for entry in entries], [count], "its iteration")
