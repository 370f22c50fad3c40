"""Files that no store would have written are rejected by table and line; nothing is imported."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest

import mobstore
from maintenance.support import (
    EMPTY,
    Document,
    edited,
    entries,
    exported,
    imported,
    rejection,
    resealed,
    rows_of,
    stores_of,
    zipped,
)
from mobstore.testing import samples

Edit: TypeAlias = Callable[[list[Document]], object]


class Wrong(NamedTuple):
    """A change to a table that makes a file wrong, with the line and the message."""

    table: str
    line: int
    words: str
    edit: Edit


def column(table: str, line: int, name: str, *values: object, words: str = "") -> list[Wrong]:
    """Return wrong values of one column."""
    return [Wrong(table, line, words, changed(line, **{name: value})) for value in values]


def changed(line: int, **columns: object) -> Edit:
    """Change values of a row."""
    return lambda rows: rows[line - 1].update(columns)


def lacking(line: int, name: str) -> Edit:
    """Remove a column of a row."""
    return lambda rows: rows[line - 1].pop(name)


def repeated(line: int, **columns: object) -> Edit:
    """Insert a copy of a row after it, with other values."""
    return lambda rows: rows.insert(line, {**rows[line - 1], **columns})


BACKWARDS: Edit = list[Document].reverse


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


NOT_NUMBERS = ("2", 2.0, True, None, -1, 2**63, 2**64, [2])
NOT_TEXTS = (5, None, "\ud800", ["a"])
NOT_TIMES = (
    "2026-03-04T05:06:07Z",
    "2026-02-30T05:06:07.000000000Z",
    "2026-03-04 05:06:07.000000000Z",
    "2026-03-04T05:06:07.000000000z",
    "2026-03-04T05:06:07.000000000+00:00",
    "Y002026-03-04T05:06:07.000000000Z",
    "Y0_2026-03-04T05:06:07.000000000Z",
    "+12026-03-04T05:06:07.000000000Z",
    "-000000-03-04T05:06:07.000000000Z",
    "",
    "x" * 29 + "Z",
    5,
    None,
)
NOT_STATES: tuple[Any, ...] = (
    None,
    "",
    {},
    {"phase": "p"},
    {"phase": 1, "fields": {}},
    {"phase": "", "fields": []},
)
NOT_RUNS = (
    "00000000000000000000000000000001",
    "{00000000-0000-0000-0000-000000000001}",
    "00000000-0000-0000-0000-00000000000A",
    "run",
    1,
    None,
)
UNKNOWN_RUN = "00000000-0000-0000-0000-000000000003"

WRONG: list[Wrong] = [
    Wrong("events", 2, "its keys are not cursor, mob_id", lacking(2, "kind")),
    Wrong("events", 2, "its keys are not", changed(2, more=1)),
    Wrong("events", 2, "duplicate or out-of-order row", repeated(1)),
    Wrong("events", 2, "duplicate or out-of-order row", BACKWARDS),
    *column("events", 2, "cursor", *NOT_NUMBERS, 0),
    *column("events", 3, "cursor", 4, 2**63 - 2, words="next_cursor is not above it"),
    *column("events", 3, "cursor", 2**63 - 1, words="exceeds"),
    *column("events", 1, "type", "mob_reset", "", None, words="type is not in canonical form"),
    *column("events", 1, "kind", {"type": "no"}, {"type": "mob_created"}, {}, "mob_reset", None, 5),
    *column("events", 1, "mob_id", *NOT_TEXTS),
    *column("events", 1, "timestamp", *NOT_TIMES),
    *column("counters", 1, "name", "next_x", "", None, 5),
    *column("counters", 1, "value", *NOT_NUMBERS, 0),
    Wrong("counters", 2, "duplicate or out-of-order row", repeated(1)),
    *column("runs", 2, "run_id", *NOT_RUNS),
    *column("runs", 2, "number", *NOT_NUMBERS, 0),
    *column("runs", 2, "number", 3, words="next_run is not above it"),
    *column("runs", 2, "number", 1, words="duplicate row"),
    Wrong("runs", 2, "duplicate row", changed(2, number=1, mob_id="of another mob")),
    *column("runs", 2, "mob_id", *NOT_TEXTS),
    *column("runs", 2, "flow_id", *NOT_TEXTS),
    *column("runs", 2, "activation_params", nested(124), words="nested too deeply"),
    *column("runs", 2, "activation_params", {"\ud800": 1}, ["\ud800"]),
    *column("runs", 2, "created_at", *NOT_TIMES),
    *column("runs", 2, "schema_version", *NOT_NUMBERS, 2**32),
    Wrong("run_states", 3, "its row in runs is missing", repeated(2, run_id=UNKNOWN_RUN)),
    *column("run_states", 1, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("run_states", 1, "run_id", *NOT_RUNS),
    *column("run_states", 1, "status", "ended", "", None, 5, ["failed"]),
    *column("run_states", 1, "flow_state", *NOT_STATES),
    *column("run_states", 1, "completed_at", *(set(NOT_TIMES) - {None})),
    *column("step_ledger", 3, "position", *NOT_NUMBERS, 3),
    *column("step_ledger", 3, "position", 3, words="its position is not 2"),
    *column("step_ledger", 4, "position", 3, words="its position is not 0"),
    *column("step_ledger", 4, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("step_ledger", 4, "step_id", *NOT_TEXTS),
    *column("step_ledger", 4, "meerkat_id", *NOT_TEXTS),
    *column("step_ledger", 4, "status", "pending", "", None, 5),
    *column("step_ledger", 4, "output", nested(124), {"a": "\ud800"}),
    *column("step_ledger", 4, "timestamp", *NOT_TIMES),
    Wrong("step_ledger", 2, "duplicate or out-of-order row", repeated(1)),
    *column("failure_ledger", 1, "position", 1, words="its position is not 0"),
    *column("failure_ledger", 1, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("failure_ledger", 1, "reason", *NOT_TEXTS),
    *column("failure_ledger", 1, "step_id", *NOT_TEXTS),
    *column("failure_ledger", 1, "timestamp", *NOT_TIMES),
    *column("frames", 4, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("frames", 4, "kernel_state", *NOT_STATES),
    *column("frames", 4, "frame_id", *NOT_TEXTS),
    Wrong("frames", 2, "duplicate or out-of-order row", repeated(1)),
    *column("loops", 3, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("loops", 3, "kernel_state", *NOT_STATES),
    *column("loops", 3, "loop_instance_id", *NOT_TEXTS),
    *column("loop_iterations", 2, "position", 5, words="its position is not 1"),
    *column("loop_iterations", 2, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("loop_iterations", 2, "loop_instance_id", *NOT_TEXTS),
    *column("loop_iterations", 2, "frame_id", *NOT_TEXTS),
    *column(
        "loop_iterations", 2, "iteration", 5, None, "", "-1", "01", "1.0", " 1", "\u0661", "1_0",
        str(2**64), "9" * 5000,
    ),
    *column("root_step_outputs", 2, "position", 2, words="its position is not 1"),
    *column("root_step_outputs", 2, "step_id", "z", words="duplicate row"),
    *column("root_step_outputs", 2, "step_id", *NOT_TEXTS),
    *column("root_step_outputs", 2, "output", nested(124)),
    *column("root_step_outputs", 4, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("loop_outputs", 2, "iterations", *NOT_NUMBERS),
    *column("loop_outputs", 2, "loop_id", *NOT_TEXTS),
    *column("loop_outputs", 4, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("loop_step_outputs", 1, "iteration", *NOT_NUMBERS),
    *column("run_extras", 1, "run_id", UNKNOWN_RUN, words="its row in runs is missing"),
    *column("run_extras", 1, "run_id", *NOT_RUNS),
    *column("run_extras", 1, "extra", None, 5, "x", [], words="extra is not an object"),
    *column("run_extras", 1, "extra", {"\ud800": 1}, words="lone surrogates"),
    *column("run_extras", 1, "extra", {"a": nested(126)}, words="nested too deeply"),
    *column("loop_step_outputs", 1, "iteration", 3, words="no such iteration"),
    *column("loop_step_outputs", 1, "loop_id", "never", words="no such iteration"),
    *column("loop_step_outputs", 2, "loop_id", "other", words="its row in loop_outputs is missing"),
    *column("loop_step_outputs", 4, "run_id", UNKNOWN_RUN, words="its row in loop_outputs"),
    *column("loop_step_outputs", 2, "position", 0, 2),
    *column("loop_step_outputs", 2, "step_id", "z", words="duplicate row"),
    *column("loop_step_outputs", 2, "step_id", *NOT_TEXTS),
    *column("loop_step_outputs", 2, "output", nested(124)),
    *column("specs", 1, "mob_id", *NOT_TEXTS),
    *column("specs", 1, "revision", *NOT_NUMBERS, 0),
    *column("specs", 1, "definition", {}, None, "", 5, []),
    Wrong("specs", 2, "duplicate or out-of-order row", repeated(1)),
    *column("realm_profiles", 2, "name", *NOT_TEXTS),
    *column("realm_profiles", 2, "revision", *NOT_NUMBERS, 0),
    *column("realm_profiles", 2, "profile", {}, None, "", 5, []),
    *column("realm_profiles", 2, "created_at", *NOT_TIMES),
    *column("realm_profiles", 2, "updated_at", *NOT_TIMES),
    Wrong("realm_profiles", 2, "duplicate or out-of-order row", BACKWARDS),
]  # fmt: skip


@pytest.mark.slow
def test_wrong_rows_are_named(good: bytes) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for wrong in WRONG:
                message = await rejection(
                    edited(good, wrong.table, wrong.edit), stores, mobstore.SerializationError
                )
                place = f"Serialization error: table {wrong.table}, line {wrong.line}: "
                assert message.startswith(place), message
                assert wrong.words in message
                assert message.endswith("; nothing was imported")
            await imported(good, stores)  # the store is still empty

    asyncio.run(check())


def test_wrong_rows_leave_nothing_in_sqlite(good: bytes, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            for wrong in WRONG[::7]:
                await rejection(
                    edited(good, wrong.table, wrong.edit), stores, mobstore.SerializationError
                )
            await imported(good, stores)
            assert (await stores.events.append(samples.event())).cursor == 4

    asyncio.run(check())


def test_every_wrong_value_is_the_only_thing_wrong(good: bytes) -> None:
    """The files above are rejected for their values, not because of the editing."""

    async def check() -> None:
        for table in EMPTY:
            async with mobstore.open_stores("memory:") as stores:
                await imported(edited(good, table, lambda _: None), stores)
                assert all(rows_of(stores).values())

    asyncio.run(check())


@pytest.mark.parametrize(
    ("table", "edit", "words"),
    [
        ("run_states", list[Document].pop, "table run_states: a run has no state"),
        ("counters", list[Document].clear, "table events, line 1: the counter next_cursor"),
        ("counters", list[Document].pop, "table runs, line 1: the counter next_run"),
        ("runs", list[Document].clear, "table run_states, line 1: its row in runs is missing"),
        (
            "loop_outputs",
            changed(2, iterations=2**63 - 1),
            ": its loops have more iterations than their outputs allow",
        ),
        ("loop_outputs", list[Document].clear, "table loop_step_outputs, line 1: its row in"),
    ],
)
def test_missing_rows(good: bytes, table: str, edit: Edit, words: str) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            message = await rejection(
                edited(good, table, edit), stores, mobstore.SerializationError
            )
            assert words in message

    asyncio.run(check())


@pytest.mark.parametrize(
    ("table", "column_name"),
    [("runs", "number"), ("root_step_outputs", "step_id"), ("loop_step_outputs", "step_id")],
)
def test_duplicates_far_apart(table: str, column_name: str) -> None:
    """The two rows are too far apart to be in memory at once."""
    many = {f"s{n}": n for n in range(300)}
    run = samples.make_run(root_step_outputs=many, loop_iteration_outputs={"loop": (many,)})

    async def check() -> None:
        async with mobstore.open_stores("memory:") as one, mobstore.open_stores("memory:") as other:
            await one.runs.create_run(run)
            for n in range(2, 301):
                await one.runs.create_run(samples.make_run(n))
            data = await exported(one)
            rows = [json.loads(line) for line in entries(data)[f"{table}.jsonl"].splitlines()]
            same = changed(300, **{column_name: rows[0][column_name]})
            message = await rejection(edited(data, table, same), other, mobstore.SerializationError)
            assert f"table {table}, line 300: duplicate row" in message

    asyncio.run(check())


@pytest.mark.parametrize(
    ("loop", "iterations", "fine"),
    [
        (0, 1_024 + 2 * 16, True),  # of a run with two outputs
        (0, 1_024 + 2 * 16 + 1, False),
        (1, 1_024 + 2 * 16 - 3, True),  # of a run whose other loop has three
        (1, 1_024 + 2 * 16 - 2, False),
        (2, 1_024 + 2 * 16, True),  # outputs of other runs do not count
        (2, 1_024 + 2 * 16 + 1, False),
    ],
)
def test_loops_too_long_to_read(good: bytes, loop: int, iterations: int, fine: bool) -> None:
    data = edited(good, "loop_outputs", lambda rows: rows[loop].update(iterations=iterations))

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            if fine:
                await imported(data, stores)
                run = await stores.runs.get_run(samples.run_id(1 + loop // 2))
                assert run is not None
                lengths = {len(found) for found in run.loop_iteration_outputs.values()}
                assert iterations in lengths
            else:
                message = await rejection(data, stores, mobstore.SerializationError)
                run_id = samples.run_id(1 + loop // 2)
                assert f"loop_outputs, run {run_id}: its loops have more iterations" in message

    asyncio.run(check())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"{",
        b"[1]",
        b"null",
        b'{"a":1}',
        b"\xef\xbb\xbf{}",
        b'{"cursor":1,"mob_id":"\xff"}',
        b'{"cursor":1,"cursor":1,"mob_id":"mob","timestamp":"2026-03-04T05:06:07.000000000Z",'
        b'"type":"mob_reset","kind":{"type":"mob_reset"}}',
        b'{"cursor":1,"mob_id":"mob","timestamp":"2026-03-04T05:06:07.000000000Z",'
        b'"type":"mob_reset","kind":{"type":"mob_reset","type":"mob_reset"}}',
        b'{"cursor":1,"mob_id":"mob","timestamp":"2026-03-04T05:06:07.000000000Z",'
        b'"type":"mob_reset","kind":{"type":"mob_reset"}} {}',
        b'{"cursor":NaN}',
        b"[" * 100_000,
    ],
    ids=repr,
)
def test_lines_that_are_not_rows(good: bytes, line: bytes) -> None:
    parts = entries(good)
    first, rest = parts["events.jsonl"].split(b"\n", 1)
    assert first.startswith(b'{"cursor":1,')

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            data = resealed({**parts, "events.jsonl": line + b"\n" + rest})
            message = await rejection(data, stores, mobstore.SerializationError)
            assert "table events, line 1: " in message

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lines", "kind", "most"),
    [
        ("events.jsonl", 2, mobstore.SerializationError, 300),
        ("events.jsonl", 0, mobstore.ReadFailedError, 8),
        ("manifest.json", 0, mobstore.ReadFailedError, 8),
    ],
)
def test_a_bomb_needs_little_memory(
    good: bytes, name: str, lines: int, kind: type[mobstore.MobStoreError], most: int
) -> None:
    parts = {**entries(good), name: b" " * 120 * 2**20 + b"\n" * lines}
    data = resealed(parts) if name != "manifest.json" else zipped(parts)
    assert len(data) < 2**20
    del parts

    async def check() -> str:
        async with mobstore.open_stores("memory:") as stores:
            return await rejection(data, stores, kind)

    tracemalloc.start()
    try:
        message = asyncio.run(check())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if lines:
        assert "table events, line 1: it is longer than 96 MiB" in message
    assert peak < most * 2**20


def test_files_of_other_programs(good: bytes) -> None:
    """Other programs may order, space and escape JSON otherwise, and store entries."""
    parts = entries(good)
    for name, content in parts.items():
        if name.endswith(".jsonl"):
            rows = [json.loads(line) for line in content.splitlines()]
            lines = [
                json.dumps(dict(reversed(row.items())), separators=(" , ", " : ")) for row in rows
            ]
            parts[name] = "\n".join(lines).encode()
    manifest = json.loads(entries(resealed(parts))["manifest.json"])
    for table, part in manifest["tables"].items():
        part["rows"] = len(parts[f"{table}.jsonl"].splitlines())
    parts["manifest.json"] = json.dumps({**manifest, "more": 1}, indent=4).encode()

    async def check() -> None:
        async with (
            mobstore.open_stores("memory:") as one,
            mobstore.open_stores("memory:") as other,
        ):
            await imported(good, one)
            await imported(zipped(parts, zipfile.ZIP_STORED), other)
            assert rows_of(one) == rows_of(other)

    asyncio.run(check())


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
@pytest.mark.parametrize("held", ["event", "cleared", "run", "spec", "profile"])
def test_only_into_an_empty_store(good: bytes, engine: str, held: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            if held in {"event", "cleared"}:
                await stores.events.append(samples.event())
            if held == "cleared":
                await stores.events.clear()  # its cursor stays assigned
            if held == "run":
                await stores.runs.create_run(samples.make_run())
            if held == "spec":
                await stores.specs.put_spec("mob", samples.definition())
            if held == "profile":
                await stores.realm_profiles.create("p", samples.profile())
            before = rows_of(stores)
            with pytest.raises(mobstore.InternalError, match="not empty"):
                await imported(good, stores)
            assert rows_of(stores) == before

    asyncio.run(check())
