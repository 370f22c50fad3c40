"""`repr` of records and stores: one short line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mobstore import (
    KernelMap,
    KernelSet,
    KernelState,
    Listing,
    MeerkatId,
    MobEvent,
    Overview,
    PeersWired,
    open_stores,
)
from mobstore.testing.samples import (
    definition,
    event,
    failure,
    full_run,
    profile,
    step,
    stored_event,
    stored_profile,
)

LONG = "x\n\x1b[31m\u202e" * 5_000


def an_event(mob: str = "desk") -> MobEvent:
    kind = PeersWired(a=MeerkatId(LONG), b=MeerkatId("b"))
    return stored_event(7, mob, at=5, kind=kind)


def test_contents() -> None:
    run = full_run(mob="desk", flow="daily", failure_ledger=(failure(),))
    assert repr(run) == "<MobRun 00000000… desk/daily failed, 3 step entries, 1 failure>"
    assert repr(an_event()) == "<MobEvent 7 desk peers_wired 2026-03-04T05:06:07.000000005Z>"
    assert repr(definition("desk")) == "<MobDefinition desk, 2 profiles, 1 flow>"
    assert repr(stored_profile()) == "<StoredRealmProfile profile, revision 1, model model>"
    assert repr(Listing([step()] * 1234)) == "<Listing of 1,234 records>"
    for shown in (run, an_event(), definition(), stored_profile()):
        assert str(shown) == repr(shown)


@pytest.mark.parametrize(
    "shown",
    [
        full_run(mob=LONG, flow=LONG, step_ledger=(step(LONG),) * 1000),
        an_event(LONG),
        definition(LONG, LONG),
        stored_profile(LONG, LONG),
    ],
    ids=lambda shown: type(shown).__name__,
)
def test_long_text_is_cut_and_escaped(shown: object) -> None:
    assert len(repr(shown)) < 400
    assert repr(shown).isprintable()


@pytest.mark.parametrize(
    "record",
    [
        step(LONG, LONG, "completed", {LONG: [LONG]}),
        failure(LONG, LONG),
        profile(LONG),
        full_run(mob=LONG).step_ledger[0],
        stored_profile(LONG).profile,
    ],
    ids=lambda record: type(record).__name__,
)
def test_long_text_of_other_records(record: object) -> None:
    """A traceback or print shows them."""
    assert len(repr(record)) < 12_000
    assert repr(record).isprintable()
    assert str(record).isprintable()
    assert repr(step("a", output={"b": 1})).startswith("StepLedgerEntry(step_id='a', meerkat_id=")


def test_long_text_of_kernel_states() -> None:
    """A notebook shows them as the value of a cell."""
    state = KernelState(LONG, {LONG: LONG, "map": KernelMap({LONG: 1}), "set": KernelSet([LONG])})
    assert KernelState.from_json(state.to_json()) == state
    for shown in (state, state.fields, state.fields["map"], state.fields["set"]):
        assert len(repr(shown)) < 2_000
        assert repr(shown).isprintable()
    small = KernelState("on", {"n": 1})
    assert repr(small) == "KernelState(phase='on', fields={'n': 1})"


def test_stores_name_their_engine(tmp_path: Path) -> None:
    async def told(url: str) -> str:
        async with open_stores(url) as stores:
            return repr(stores)

    path = str(tmp_path / "mobs.db")
    assert asyncio.run(told("memory:")) == "<MobStores on MemoryEngine()>"
    assert asyncio.run(told(f"sqlite:{path}")) == f"<MobStores on SqliteEngine({path!r})>"


def test_an_overview_counts_by_mob() -> None:
    async def count() -> Overview:
        async with open_stores("memory:") as stores:
            assert (await stores.overview()).mobs == ()
            await stores.events.append_batch([event("a"), event("b"), event("a")])
            await stores.events.clear()
            await stores.events.append_batch([event("a"), event("a"), event("no-spec")])
            await stores.runs.create_run(full_run(1, mob="only-runs"))
            await stores.runs.create_run(full_run(2, mob="a"))
            for _ in range(2):
                await stores.specs.put_spec("a", definition("a"))
            await stores.specs.put_spec("only-spec", definition("only-spec"))
            await stores.realm_profiles.create("p", profile())
            return await stores.overview()

    found = asyncio.run(count())
    assert [(mob.mob_id, mob.revision, mob.events, mob.runs) for mob in found.mobs] == [
        ("a", 2, 2, 1),
        ("no-spec", None, 1, 0),
        ("only-runs", None, 0, 1),
        ("only-spec", 1, 0, 0),
    ]
    assert (found.events, found.next_cursor, found.runs) == (3, 7, 2)
    assert (found.specs, found.realm_profiles) == (2, 1)
    assert repr(found) == "<Overview 4 mobs, 3 events, 2 runs, 2 specs, 1 realm profile>"
