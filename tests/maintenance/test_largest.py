"""The largest values that a store accepts can be moved, and larger ones are rejected."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import mobstore
from engines.support import output
from maintenance.support import exported, is_empty, load, rows_of
from mobstore import SerializationError
from mobstore.codec import arguments
from mobstore.codec.arguments import LARGEST_DOCUMENT, LONGEST_NAME
from mobstore.codec.canonical_rows import JSON_COLUMNS
from mobstore.maintenance.json_lines import LONGEST, to_lines
from mobstore.maintenance.transfer import export_stores, import_stores
from mobstore.maintenance.verification import verify
from mobstore.meerkat import export_meerkat, import_meerkat
from mobstore.scripts.tables import ROOT_STEP_OUTPUTS, TABLES, RootStepOutputRow
from mobstore.scripts.transaction import Add
from mobstore.testing import samples

pytestmark = pytest.mark.slow

RUN = samples.run_id(1)
# Texts whose JSON has a given number of bytes, quotes included: of one byte, of six bytes in JSON
# for one in the store, of two in UTF-8, and one that makes all others take four in memory.
TEXTS: dict[str, Callable[[int], str]] = {
    "plain": lambda size: "x" * (size - 2),
    "escaped": lambda size: "\x01" * ((size - 2) // 6) + "x" * ((size - 2) % 6),
    "two bytes": lambda size: "é" * (size // 2 - 1) + "x" * (size % 2),
    "astral": lambda size: "\U0001f99d" + "x" * (size - 6),
}


def peak() -> int:
    """Return the peak memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("kind", TEXTS)
def test_the_texts(kind: str) -> None:
    for size in range(100, 110):
        text = TEXTS[kind](size)
        assert len(json.dumps(text, ensure_ascii=False).encode()) == size


def test_every_row_fits_a_line() -> None:
    """The longest row has the longest parts, and names of characters with the longest escapes."""
    for table in TABLES:
        names = {"\x01" * LONGEST_NAME}
        row: list[Any] = []
        large = False
        for column, kind in zip(table.columns, table.types, strict=True):
            if column in JSON_COLUMNS or column == "reason":
                assert not large, "a row has one large part at most"
                large = True
                row.append("1")
            elif kind is int:
                row.append(2**63 - 1)
            elif column in {
                "name", "mob_id", "flow_id", "step_id", "meerkat_id", "frame_id", "loop_id",
                "loop_instance_id", "holder", "key",
            }:  # fmt: skip
                row += names
            else:
                assert column in {
                    "run_id", "type", "status", "timestamp", "created_at", "updated_at",
                    "completed_at", "iteration", "value", "due_at",
                }, column  # fmt: skip
                row.append("x" * 100)
        assert len(to_lines(table, [table.row._make(row)])) + LARGEST_DOCUMENT <= LONGEST


def move_largest(kind: str, folder: str, largest: str) -> None:
    """Child: store the largest output and reason, move them in every way, and measure memory."""
    arguments.LARGEST_DOCUMENT = int(largest)

    async def main() -> None:
        text = TEXTS[kind](arguments.LARGEST_DOCUMENT)
        run = samples.make_run(step_ledger=(samples.step(),))
        before = peak()
        path = Path(folder)
        async with mobstore.open_stores(f"sqlite:{path / 'one.db'}") as stores:
            await stores.runs.create_run(run)
            await stores.runs.put_step_output(RUN, "step", text)
            await stores.runs.append_failure_entry(RUN, samples.failure(reason=text))
            found = await stores.runs.get_run(RUN)
            assert found is not None
            assert found.step_ledger[0].output == text
            assert found.failure_ledger[0].reason == text
            del found
            with (path / "mobs.zip").open("w+b") as file:
                await export_stores(stores, file)
                async with mobstore.open_stores(f"sqlite:{path / 'two.db'}") as other:
                    await import_stores(file, other)
            await export_meerkat(stores, path / "mob.db")
            async with mobstore.open_stores(f"sqlite:{path / 'three.db'}") as other:
                await import_meerkat(path / "mob.db", other)
        print(json.dumps(peak() - before))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "largest"),
    [
        ("escaped", LARGEST_DOCUMENT),
        # Limits count bytes, as above. Only memory differs, and grows with the size.
        ("astral", LARGEST_DOCUMENT // 2),
    ],
)
def test_the_largest_text(kind: str, largest: int, tmp_path: Path) -> None:
    more = json.loads(output(move_largest, kind, tmp_path, largest, seconds=280))
    assert more < 25 * largest


@pytest.mark.parametrize(("kind", "largest"), [("plain", LARGEST_DOCUMENT), ("escaped", 10_000)])
def test_larger_values_are_rejected(
    kind: str, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every argument is measured by the bytes of its JSON; its error names the place."""
    monkeypatch.setattr(arguments, "LARGEST_DOCUMENT", largest)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            text = TEXTS[kind](largest + 1)
            runs = stores.runs
            run = samples.make_run(step_ledger=(samples.step(),), frames={"f": samples.frame(0)})
            await runs.create_run(run)
            before = rows_of(stores)
            state = mobstore.KernelState(text)
            snapshot = mobstore.FrameSnapshot(kernel_state=state)
            profile = mobstore.Profile(model=text)
            definition = mobstore.MobDefinition(id=mobstore.MobId(text))
            event = samples.event(kind=mobstore.MobCreated(definition=definition))
            calls = {
                "output": runs.put_step_output(RUN, "step", text),
                "reason": runs.append_failure_entry(RUN, samples.failure(reason=text)),
                "activation_params": runs.create_run(samples.make_run(2, activation_params=text)),
                "root_step_outputs": runs.create_run(
                    samples.make_run(2, root_step_outputs={"s": text})
                ),
                "loop_iteration_outputs": runs.create_run(
                    samples.make_run(2, loop_iteration_outputs={"l": ({"s": text},)})
                ),
                "next": runs.cas_flow_state(RUN, expected=samples.state(0), next=state),
                "next frame": runs.cas_frame_state(
                    RUN, frame_id="f", expected=samples.frame(0), next=snapshot
                ),
                "definition": stores.specs.put_spec("m", definition),
                "profile": stores.realm_profiles.create("p", profile),
                r"events\[1\]\.kind": stores.events.append_batch([samples.event(), event]),
            }
            for place, call in calls.items():
                with pytest.raises(SerializationError) as caught:
                    await call
                words = rf"{place} has ([\d,]+) bytes; {largest:,} can be stored at most"
                said = re.fullmatch(f"Serialization error: {words}", str(caught.value))
                assert said is not None
                assert largest < int(said[1].replace(",", "")) < largest + 500
            assert rows_of(stores) == before

    asyncio.run(check())


@pytest.mark.parametrize("kind", TEXTS)
def test_one_byte_decides(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is exact; the test uses a smaller one to save time."""
    monkeypatch.setattr(arguments, "LARGEST_DOCUMENT", 10_000)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            runs = stores.runs
            await runs.create_run(samples.make_run(step_ledger=(samples.step(),)))
            for size in range(9_980, 10_021):
                text = TEXTS[kind](size)
                for call in (
                    runs.put_step_output(RUN, "step", text),
                    runs.append_failure_entry(RUN, samples.failure(reason=text)),
                ):
                    if size <= 10_000:
                        await call
                    else:
                        with pytest.raises(SerializationError, match="10,000 can be stored"):
                            await call

    asyncio.run(check())


def test_a_larger_row_of_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row above the limit can be read, but is not sound, and an import names it."""
    monkeypatch.setattr(arguments, "LARGEST_DOCUMENT", 100_000)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.runs.create_run(samples.make_run())
            text = json.dumps("x" * 99_999)
            row = RootStepOutputRow(str(RUN), "s", 0, text)
            await load(stores, Add(ROOT_STEP_OUTPUTS, (row,)))
            (problem,) = (await verify(stores)).left
            assert "100,001 bytes; 100,000 can be stored at most" in problem.what
            data = await exported(stores)
            async with mobstore.open_stores("memory:") as other:
                with pytest.raises(SerializationError, match="root_step_outputs, line 1: output"):
                    await import_stores(BytesIO(data), other)
                assert is_empty(other)

    asyncio.run(check())


def test_a_larger_row_of_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of its database with a part above the limit is named, or left out."""
    monkeypatch.setattr(arguments, "LARGEST_DOCUMENT", 100_000)
    path = tmp_path / "mob.db"

    async def make() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.runs.create_run(samples.make_run(1))
            await stores.runs.create_run(samples.make_run(2))
            await stores.specs.put_spec("mob", samples.definition())
            await export_meerkat(stores, path)

    asyncio.run(make())
    with closing(sqlite3.connect(path)) as file:
        (document,) = file.execute(
            "SELECT run_json FROM mob_runs WHERE run_id = ?", (str(RUN),)
        ).fetchone()
        changed = {**json.loads(document), "activation_params": "x" * 100_000}
        file.execute(
            "UPDATE mob_runs SET run_json = ? WHERE run_id = ?",
            (json.dumps(changed).encode(), str(RUN)),
        )
        file.execute("UPDATE mob_specs SET mob_id = ?", ("m" * (LONGEST_NAME + 1),))
        file.commit()

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            words = f"table mob_runs, key {RUN}: activation_params has 100,002 bytes"
            with pytest.raises(SerializationError, match=words):
                await import_meerkat(path, stores)
            assert is_empty(stores)
            report = await import_meerkat(path, stores, skip_unreadable=True)
            assert [one.table for one in report.left_out] == ["mob_runs", "mob_specs"]
            assert report.left_out[1].reason.startswith("mob_id has 65,537 bytes")
            assert report.runs == 1

    asyncio.run(check())
