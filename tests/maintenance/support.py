"""Filled stores, their rows, and handmade files, for the tests of maintenance."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import zipfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

import mobstore
from mobstore.engines.memory import MemoryEngine
from mobstore.engines.sqlite import SqliteEngine
from mobstore.maintenance.transfer import Summary, export_stores, import_stores
from mobstore.model.json import encode_json
from mobstore.scripts.memory_tables import MemoryTables
from mobstore.scripts.tables import (
    CONSUMERS,
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    RUN_CLAIMS,
    RUN_EXTRAS,
    RUNS,
    TABLES,
    ConsumerRow,
    CounterRow,
    EventKeyRow,
    Row,
    RunClaimRow,
    RunExtraRow,
)
from mobstore.scripts.transaction import Add, Commit, Get, LoadingScript, Put, Scan, Write
from mobstore.testing import samples
from mobstore.testing.kinds import other_kinds
from mobstore.testing.scripts import read_script

EMPTY: dict[str, list[Row]] = {table.name: [] for table in TABLES}

TIMES = (
    "-262142-01-01T00:00:00Z",
    "-0001-12-31T23:59:59.999999999Z",
    "0000-02-29T12:00:00.000000001Z",
    "1969-12-31T23:59:60.5Z",
    "2026-03-04T05:06:07.089Z",
    "9999-12-31T23:59:59.999999999Z",
    "+10000-01-01T00:00:00Z",
    "+262142-12-31T23:59:60.999999999Z",
)
TIME = "2026-03-04T05:06:07.000000000Z"
"""A time as it is stored."""

_numbers = count()


@asynccontextmanager
async def stores_of(engine: str, folder: Path) -> AsyncGenerator[mobstore.MobStores]:
    """Open new stores on an engine."""
    url = "memory:" if engine == "memory" else f"sqlite:{folder / f'{next(_numbers)}.db'}"
    # These tests are not about power failures, and syncing takes time.
    async with mobstore.open_stores(url, durability="normal") as stores:
        yield stores


def rows_of(stores: mobstore.MobStores) -> dict[str, list[Row]]:
    """Return all rows of a store by table, sorted, read behind its back."""
    engine = stores.engine
    if isinstance(engine, MemoryEngine):
        held: MemoryTables = vars(engine)["_tables"]
        return {
            table.name: sorted(map(tuple, rows.by_key.values()) if rows else (), key=repr)
            for table, rows in [(table, held.rows(table)) for table in TABLES]
        }
    with closing(sqlite3.connect(path_of(stores))) as file:
        return {
            table.name: sorted(file.execute(f"SELECT * FROM {table.name}"), key=repr)
            for table in TABLES
        }


def is_empty(stores: mobstore.MobStores) -> bool:
    """Return whether a store holds nothing but its identity."""
    rows = rows_of(stores)
    return len(rows.pop("meta")) == 1 and not any(rows.values())


def path_of(stores: mobstore.MobStores) -> Path:
    assert isinstance(stores.engine, SqliteEngine)
    return cast("Path", vars(stores.engine)["_writer"].path)


async def contents(stores: mobstore.MobStores) -> list[Any]:
    """Return all content of a store, read through its methods."""
    rows = rows_of(stores)
    mobs = sorted({cast("str", row[2]) for row in rows["runs"]})
    return [
        await stores.events.replay_all(),
        [await stores.runs.list_runs(mob) for mob in mobs],
        [await stores.runs.get_run(UUID(cast("str", row[0]))) for row in rows["runs"]],
        [(mob, await stores.specs.get_spec(mob)) for mob in await stores.specs.list_specs()],
        await stores.realm_profiles.list(),
    ]


async def load(stores: mobstore.MobStores, *writes: Write) -> None:
    """Write rows unchecked."""

    def script() -> LoadingScript[None]:
        yield writes
        return Commit(None)

    await stores.engine.load(script)


async def fill(stores: mobstore.MobStores) -> None:
    """Fill a store with hostile values in every column, and cursors near their limit."""
    await load(stores, Put(COUNTERS, (CounterRow("next_cursor", 2**63 - 100),)))
    texts = samples.HOSTILE_TEXTS
    await stores.events.append_batch([samples.event(text) for text in texts])
    for time in TIMES:
        await stores.events.append(samples.event(at=mobstore.Timestamp(time)))
    await stores.events.append_batch([samples.event(kind=kind) for kind in other_kinds()])
    await stores.events.prune(mobstore.Timestamp("0001-01-01T00:00:00Z"))
    # Not in the order of their ids, and of several mobs.
    for place, text in enumerate(texts):
        await stores.runs.create_run(
            samples.full_run(
                1000 - place,
                mob=texts[place // 4],
                flow=text,
                activation_params={text: [text, 2**64 - 1, -(2**63), -0.0, 1e300, 5e-324]},
                flow_state=mobstore.KernelState(
                    text, {text: (text, mobstore.KernelSet((1, True, text)))}
                ),
                step_ledger=(samples.step(text, text, output={text: text}),) * 2,
                failure_ledger=(samples.failure(text, text),),
                frames={text: samples.frame(2**64 - 1)},
                loops={text: samples.loop(0)},
                loop_iteration_ledger=(samples.iteration(2**64 - 1, text, text),),
                root_step_outputs={other: other for other in reversed(texts)},
                loop_iteration_outputs={text: ({}, {"z": 1, text: text, "": None}, {}), "": ()},
            )
        )
    for time in TIMES:
        run = samples.make_run(
            TIMES.index(time),
            created_at=mobstore.Timestamp(time),
            completed_at=mobstore.Timestamp(time),
        )
        await stores.runs.create_run(run)
    extra = encode_json({text: [text, 2**64 - 1, -0.0] for text in texts})
    rows = [RunExtraRow(str(samples.run_id(1000 - place)), extra) for place in range(3)]
    await load(stores, Add(RUN_EXTRAS, rows))
    for text in texts:
        await stores.specs.put_spec(text, samples.definition(text))
        await stores.realm_profiles.create(text, samples.profile(text))
    await stores.specs.put_spec("", samples.definition())
    await stores.realm_profiles.update("", samples.profile(), 1)
    cursors = range(2**63 - 100, 2**63 - 100 + len(texts))
    events = await stores.engine.read(read_script(Scan(EVENTS)))
    times = {row.cursor: row.timestamp for row in events}
    keys = [
        EventKeyRow(text, cursor, times[cursor])
        for text, cursor in zip(texts, cursors, strict=True)
        if cursor in times
    ]
    assert keys
    consumers = [
        ConsumerRow(text, cursor, TIME) for text, cursor in zip(texts, cursors, strict=True)
    ]
    await load(
        stores,
        Put(COUNTERS, (CounterRow("next_epoch", 2**63 - 50),)),
        Add(EVENT_KEYS, keys),
        Add(CONSUMERS, consumers),
    )
    for text in texts:
        assert await stores.claims.acquire(text or "name", text or "holder", 1e-6 if text else 3e9)
    going = samples.make_run(2000, mob=texts[-1], created_at=mobstore.Timestamp(TIMES[0]))
    await stores.runs.create_run(going)
    assert await stores.runs.claim_next(texts[-1], ttl=5)


async def fill_claims(stores: mobstore.MobStores) -> None:
    """Add claims on two names and on a run that has ended, consumers, and keys of two events."""
    (first, second, *_) = await stores.engine.read(read_script(Scan(EVENTS)))
    for name in ("held", "off"):
        claim = await stores.claims.acquire(name, "worker", 3600)
        assert claim is not None
        if name == "off":
            await stores.claims.release(claim, mobstore.Timestamp(TIMES[-3]))
    run_id = samples.run_id(2)
    run = await stores.engine.read(read_script(Get(RUNS, (str(run_id),))))
    assert run is not None
    stored = RunClaimRow(*run[:5], TIME, "worker", 3, 5_000_000)
    await load(
        stores,
        Put(RUN_CLAIMS, (stored,)),
        Put(COUNTERS, (CounterRow("next_epoch", 4),)),
        Add(
            EVENT_KEYS,
            [
                EventKeyRow(f"key {row.cursor}", row.cursor, row.timestamp)
                for row in (first, second)
            ],
        ),
        Add(CONSUMERS, (ConsumerRow("new", 0, TIME), ConsumerRow("projector", 2, TIME))),
    )


async def exported(stores: mobstore.MobStores) -> bytes:
    file = io.BytesIO()
    await export_stores(stores, file)
    return file.getvalue()


async def imported(data: bytes, stores: mobstore.MobStores) -> Summary:
    return await import_stores(io.BytesIO(data), stores)


async def rejection(
    data: bytes, stores: mobstore.MobStores, kind: type[mobstore.MobStoreError]
) -> str:
    """Import a file that must be rejected; check that the store is empty, return the message."""
    with pytest.raises(mobstore.MobStoreError) as caught:
        await imported(data, stores)
    assert type(caught.value) is kind, caught.value
    assert is_empty(stores)
    return str(caught.value)


# Handmade files --------------------------------------------------------------------------------


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def resealed(parts: dict[str, bytes]) -> bytes:
    """Return a file of these entries with a matching manifest."""
    manifest = json.loads(parts["manifest.json"])
    for table in TABLES:
        lines = parts[f"{table.name}.jsonl"]
        manifest["tables"][table.name] = {
            "rows": lines.count(b"\n"),
            "sha256": hashlib.sha256(lines).hexdigest(),
        }
    return zipped({**parts, "manifest.json": json.dumps(manifest).encode()})


Document = dict[str, Any]


def edited(data: bytes, table: str, edit: Callable[[list[Document]], object]) -> bytes:
    """Return the file with the rows of one table changed, and a matching manifest."""
    parts = entries(data)
    name = f"{table}.jsonl"
    rows = [json.loads(line) for line in parts[name].splitlines()]
    edit(rows)
    parts[name] = b"".join(f"{json.dumps(row)}\n".encode() for row in rows)
    return resealed(parts)
