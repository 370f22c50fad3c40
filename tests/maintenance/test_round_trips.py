"""All content survives a transfer exactly, between any two engines."""

from __future__ import annotations

import asyncio
import gzip
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import mobstore
from maintenance.support import (
    contents,
    exported,
    fill,
    imported,
    is_empty,
    load,
    rows_of,
    stores_of,
)
from mobstore.maintenance.progress import Progress
from mobstore.maintenance.transfer import Summary, copy, export_stores, import_stores
from mobstore.meerkat import import_meerkat
from mobstore.scripts.tables import COUNTERS, CounterRow
from mobstore.scripts.transaction import Put
from mobstore.testing import samples
from support import golden

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
SCRIPTS = [(name, seed) for name in golden.SCRIPT_FILES for seed in golden.seeds(name)]
ENGINES = ("memory", "sqlite")

engines = pytest.mark.parametrize("engine", ENGINES)


async def travel(start: mobstore.MobStores, folder: Path) -> None:
    """Move a store across both engines, and check that it arrives unchanged."""
    rows, content, data = rows_of(start), await contents(start), await exported(start)
    for engine in ENGINES:
        async with stores_of(engine, folder) as stores:
            await imported(data, stores)
            assert rows_of(stores) == rows
            assert await contents(stores) == content
            assert await exported(stores) == data


@pytest.mark.parametrize(("name", "seed"), SCRIPTS, ids=str)
def test_golden_scripts(name: str, seed: int, tmp_path: Path) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for call in golden.calls(name, seed):
                await golden.replay(stores, call)
            async with stores_of("sqlite", tmp_path) as other:
                await imported(await exported(stores), other)
                assert rows_of(other) == rows_of(stores)
                assert await contents(other) == await contents(stores)

    asyncio.run(check())


@engines
def test_the_sample_of_the_reference(engine: str, tmp_path: Path) -> None:
    source = tmp_path / "tide-desk"
    source.write_bytes(gzip.decompress(SAMPLE.read_bytes()))

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await import_meerkat(source, stores)
            await travel(stores, tmp_path)
            file = io.BytesIO()
            summary = await export_stores(stores, file)
            assert summary == Summary(events=99, runs=8, specs=2, realm_profiles=2)
            async with stores_of(engine, tmp_path) as other:
                assert await import_stores(file, other) == summary

    asyncio.run(check())


@pytest.mark.slow
@engines
def test_hostile_values(engine: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await fill(stores)
            assert all(rows_of(stores).values())
            await travel(stores, tmp_path)

    asyncio.run(check())


@engines
def test_an_empty_store(engine: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await travel(stores, tmp_path)
            assert is_empty(stores)

    asyncio.run(check())


@engines
def test_numbering_continues(engine: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("memory", tmp_path) as before, stores_of(engine, tmp_path) as stores:
            await before.events.append_batch([samples.event() for _ in range(7)])
            await before.events.clear()
            await before.runs.create_run(samples.make_run(2))
            await before.specs.put_spec("mob", samples.definition())
            await before.realm_profiles.create("p", samples.profile())
            await imported(await exported(before), stores)

            assert (await stores.events.append(samples.event())).cursor == 8
            await stores.runs.create_run(samples.make_run(1))
            runs = await stores.runs.list_runs("mob")
            assert [run.run_id.int for run in runs] == [2, 1]
            assert await stores.specs.put_spec("mob", samples.definition(), 1) == 2
            updated = await stores.realm_profiles.update("p", samples.profile(), 1)
            assert updated.revision == 2
            assert await stores.runs.cas_flow_state(
                samples.run_id(2), expected=samples.state(0), next=samples.state(1)
            )

    asyncio.run(check())


def test_the_last_possible_cursor(tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            await load(stores, Put(COUNTERS, (CounterRow("next_cursor", 2**63 - 2),)))
            assert (await stores.events.append(samples.event())).cursor == 2**63 - 2
            with pytest.raises(mobstore.InternalError):
                await stores.events.append(samples.event())
            await travel(stores, tmp_path)

    asyncio.run(check())


@pytest.mark.slow
def test_many_rows_of_each_kind(tmp_path: Path) -> None:
    """Each kind of row exceeds the size of a page."""
    many = range(300)
    run = samples.full_run(
        step_ledger=[samples.step(f"s{n}", at=-n) for n in many],
        failure_ledger=[samples.failure(f"s{n}") for n in many],
        frames={f"f{n}": samples.frame(n) for n in many},
        loops={f"l{n}": samples.loop(n) for n in many},
        loop_iteration_ledger=[samples.iteration(n) for n in many],
        root_step_outputs={f"s{-n}": n for n in many},
        loop_iteration_outputs={
            "wide": [{f"s{-n}": n for n in many}],
            "long": [{"s": n} for n in many],
            **{f"l{n}": [{}] for n in many},
        },
    )

    async def check() -> None:
        async with stores_of("memory", tmp_path) as stores:
            await stores.runs.create_run(run)
            for n in many:
                await stores.runs.create_run(samples.make_run(n + 2))
                await stores.specs.put_spec(f"m{n}", samples.definition())
            await stores.events.append_batch([samples.event() for _ in many])
            await travel(stores, tmp_path)

    asyncio.run(check())


def test_records_made_without_validation(tmp_path: Path) -> None:
    """Their JSON is stored as if they had been validated, with its keys in order."""
    odd = samples.profile().model_copy(update={"provider_params": {"b": 1, "a": 2}})

    async def check() -> None:
        async with (
            stores_of("memory", tmp_path) as one,
            stores_of("memory", tmp_path) as other,
            stores_of("sqlite", tmp_path) as again,
        ):
            await one.realm_profiles.create("p", odd)
            data = await exported(one)
            await imported(data, other)
            assert await contents(other) == await contents(one)
            assert rows_of(other) == rows_of(one)
            await copy(one, again)
            assert rows_of(again) == rows_of(one)

    asyncio.run(check())


def recorder(reports: list[tuple[int, int]]) -> Progress:
    return lambda done, total: reports.append((done, total))


@pytest.mark.parametrize(("one", "other"), [("memory", "sqlite"), ("sqlite", "memory")])
def test_copying(one: str, other: str, tmp_path: Path) -> None:
    async def check() -> None:
        reports: list[tuple[int, int]] = []
        async with stores_of(one, tmp_path) as source, stores_of(other, tmp_path) as target:
            await fill(source)
            rows = rows_of(source)
            summary = await copy(source, target, progress=recorder(reports))
            assert summary == await export_stores(source, io.BytesIO())
            assert rows_of(source) == rows_of(target) == rows
            total = 2 * sum(map(len, rows.values()))
            assert reports[-1] == (total, total)
            assert all(a < b and of == total for (a, of), (b, _) in pairwise(reports))
            reports.clear()
            with pytest.raises(mobstore.InternalError, match="not empty"):
                await copy(source, target, progress=recorder(reports))
            assert not reports  # nothing was read
            assert rows_of(target) == rows

    asyncio.run(check())


@engines
def test_progress(engine: str, tmp_path: Path) -> None:
    async def check() -> None:
        exporting: list[tuple[int, int]] = []
        importing: list[tuple[int, int]] = []
        file = io.BytesIO()
        async with stores_of(engine, tmp_path) as source, stores_of(engine, tmp_path) as target:
            await source.events.append_batch([samples.event() for _ in range(1200)])
            await export_stores(source, file, progress=recorder(exporting))
            await import_stores(file, target, progress=recorder(importing))
        for steps in (exporting, importing):
            assert len(steps) >= 4
            assert steps == sorted(set(steps))
            assert steps[-1] == (1202, 1202)  # a counter and the identity, too
            assert {total for _, total in steps} == {1202}

    asyncio.run(check())


texts = st.text(st.characters(codec="utf-8"), max_size=5)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
kernel_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**64 - 1) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(mobstore.KernelSet, st.lists(inner, max_size=3))
        | st.builds(mobstore.KernelMap, st.lists(st.tuples(inner, inner), max_size=3))
    ),
    max_leaves=8,
)
states = st.builds(mobstore.KernelState, texts, st.dictionaries(texts, kernel_values, max_size=3))
moments = st.builds(samples.timestamp, st.integers(-(2**60), 2**60)) | st.sampled_from(
    [mobstore.Timestamp("+10000-01-01T00:00:00Z"), mobstore.Timestamp("-0001-01-01T00:00:00Z")]
)
runs = st.fixed_dictionaries(
    {
        "mob": texts,
        "flow": texts,
        "status": st.sampled_from(["pending", "running", "completed", "failed", "canceled"]),
        "activation_params": json_values,
        "flow_state": states,
        "created_at": moments,
        "completed_at": st.none() | moments,
        "step_ledger": st.lists(st.builds(samples.step, texts, texts, output=json_values)),
        "frames": st.dictionaries(texts, st.builds(mobstore.FrameSnapshot, kernel_state=states)),
        "root_step_outputs": st.dictionaries(texts, json_values),
        "loop_iteration_outputs": st.dictionaries(
            texts, st.lists(st.dictionaries(texts, json_values, max_size=3), max_size=3), max_size=3
        ),
    }
)
events = st.builds(
    mobstore.NewMobEvent,
    mob_id=texts,
    timestamp=moments,
    kind=st.builds(mobstore.PeersWired, a=texts, b=texts),
)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.lists(events), st.lists(runs, max_size=3), st.lists(texts, unique=True), json_values)
def test_any_content(
    appended: list[mobstore.NewMobEvent],
    created: list[dict[str, Any]],
    names: list[str],
    params: Any,
) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as one, mobstore.open_stores("memory:") as other:
            await one.events.append_batch(appended)
            for number, fields in enumerate(created):
                await one.runs.create_run(samples.make_run(number, **fields))
            profile = mobstore.Profile(model="m", provider_params=params)
            for name in names:
                await one.specs.put_spec(name, samples.definition(name))
                await one.realm_profiles.create(name, profile)
            data = await exported(one)
            await imported(data, other)
            assert rows_of(other) == rows_of(one)
            assert await contents(other) == await contents(one)
            assert await exported(other) == data
            async with mobstore.open_stores("memory:") as again:
                await copy(one, again)
                assert rows_of(again) == rows_of(one)

    asyncio.run(check())
