"""An import of a damaged database returns all rows or raises an error."""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from meerkat.installations import WITH_TEXT_KEYS, forge_duplicate, numbers
from mobstore.meerkat import ImportReport, import_meerkat, integrity

WHOLE = (99, 8, 2, 2)


async def attempt(path: Path, *, check: bool = True, skip: bool = False) -> ImportReport | str:
    """Import a file; return the report, or the error after checking that nothing was imported."""
    async with mobstore.open_stores("memory:") as stores:
        try:
            return await import_meerkat(path, stores, check=check, skip_unreadable=skip)
        except mobstore.MobStoreError as error:
            assert not await stores.events.replay_all()
            assert not await stores.runs.list_runs("tide-desk")
            assert not await stores.specs.list_specs()
            assert not await stores.realm_profiles.list()
            return str(error)


def pages_of(data: bytes) -> Generator[tuple[int, int]]:
    """Yield the offset and the kind of the header of each b-tree page."""
    (size,) = struct.unpack(">H", data[16:18])
    for page in range(len(data) // size):
        place = page * size + (100 if page == 0 else 0)
        if data[place] in {2, 5, 10, 13}:
            yield place, data[place]


def aimed(data: bytes) -> Generator[tuple[str, bytes]]:
    """Yield files with one byte changed in the header of a page or in its cell pointers."""
    for place, kind in pages_of(data):
        header = 12 if kind in {2, 5} else 8
        cells = struct.unpack(">H", data[place + 3 : place + 5])[0]
        changes = [
            (place, 13 if kind != 13 else 5),  # its kind
            (place + 2, data[place + 2] ^ 0x10),  # the first free block
            (place + 4, max(0, cells - 1)),  # one cell less
            (place + 4, cells // 2),  # half of the cells
            (place + 6, data[place + 6] ^ 1),  # where content begins
            (place + 7, data[place + 7] ^ 7),  # fragments
            (place + header, data[place + header] ^ 1),  # the first cell
        ]
        if header == 12:
            changes.append((place + 11, data[place + 11] ^ 1))  # the right-most page
        for at, value in changes:
            if data[at] != value:
                yield (
                    f"{data[at]:02x} at {at} made {value:02x}",
                    (data[:at] + bytes([value]) + data[at + 1 :]),
                )


@pytest.mark.slow
def test_a_changed_byte_never_loses_rows_silently(sample: Path) -> None:
    found = caught = unseen = 0
    with asyncio.Runner() as runner:
        for what, data in aimed(sample.read_bytes()):
            sample.write_bytes(data)
            result = runner.run(attempt(sample))
            assert isinstance(result, str) or numbers(result) == WHOLE, what
            found += 1
            if isinstance(result, str):
                assert "is damaged" in result or "is corrupt" in result, result
                caught += "SQLite:" in result
                bare = runner.run(attempt(sample, check=False))
                unseen += isinstance(bare, ImportReport) and numbers(bare) != WHOLE
    print(f"{found} files: {caught} found by quick_check, {unseen} lose rows without it")
    assert found > 150
    assert unseen > 0  # so the check is necessary


def test_the_message_of_quick_check(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(sample.read_bytes())
    leaves = (place for place, kind in pages_of(bytes(data)) if kind == 13 and place > 100)
    place = next(place for place in leaves if data[place + 4] > 4)
    data[place + 4] //= 2
    sample.write_bytes(data)
    said = asyncio.run(attempt(sample))
    monkeypatch.setattr(integrity, "_THREADS", False)  # as in a page
    assert asyncio.run(attempt(sample)) == said
    assert isinstance(said, str)
    assert "is damaged, and rows may be missing (SQLite: " in said
    assert said.isprintable()
    assert sample.read_bytes() == data


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("table", WITH_TEXT_KEYS)
def test_duplicate_keys_are_rejected(table: str, *, skip: bool, sample: Path) -> None:
    key = forge_duplicate(sample, table)
    said = asyncio.run(attempt(sample, check=False, skip=skip))
    assert isinstance(said, str)
    assert f"table {table}, key {key}: duplicate or out-of-order row" in said


def branching(data: bytes, root: int, leaf: bytes) -> bytes:
    """Return a file with a table of a few pages and more rows than can be counted.

    Twelve pages lead to the next one 300 times each, and the last to a leaf.
    """
    (size,) = struct.unpack(">H", data[16:18])
    first = len(data) // size + 1
    made = bytearray(data)
    for level in range(12):
        child = first + level
        cells = [struct.pack(">IB", child, 1)] * 300
        start = size - 5 * len(cells)
        header = struct.pack(">BHHHBI", 5, 0, len(cells), start, 0, child)
        places = b"".join(struct.pack(">H", start + 5 * cell) for cell in range(len(cells)))
        page = (header + places).ljust(start, b"\0") + b"".join(cells)
        if level == 0:
            made[(root - 1) * size : root * size] = page
        else:
            made += page
    made += leaf
    made[28:32] = struct.pack(">I", len(made) // size)
    return bytes(made)


@pytest.mark.parametrize("check", [True, False])
def test_an_endless_table_is_rejected(*, check: bool, sample: Path) -> None:
    with closing(sqlite3.connect(sample)) as file:
        (root,) = file.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'mob_events'"
        ).fetchone()
    data = sample.read_bytes()
    leaf = next(place for place, kind in pages_of(data) if kind == 13 and place > 100)
    sample.write_bytes(branching(data, root, data[leaf : leaf + 4096]))
    said = asyncio.run(asyncio.wait_for(attempt(sample, check=check), 20))
    assert isinstance(said, str)
    assert "is damaged" in said
