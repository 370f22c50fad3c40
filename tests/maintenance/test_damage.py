"""Files that are damaged, newer or not exports are rejected, and nothing is imported."""

from __future__ import annotations

import asyncio
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mobstore
from maintenance.support import entries, imported, is_empty, rejection, rows_of, stores_of, zipped
from mobstore.maintenance.transfer import import_stores
from mobstore.scripts.tables import FORMAT


def with_manifest(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    parts = entries(data)
    manifest = json.loads(parts["manifest.json"])
    change(manifest)
    return zipped({**parts, "manifest.json": json.dumps(manifest).encode()})


def without(data: bytes, name: str) -> bytes:
    return zipped({key: value for key, value in entries(data).items() if key != name})


def duplicated(data: bytes) -> bytes:
    file = io.BytesIO(data)
    with (
        zipfile.ZipFile(file, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("events.jsonl", archive.read("events.jsonl"))
    return file.getvalue()


def encrypted(data: bytes) -> bytes:
    """Return the file with the flag of encryption; its content is not encrypted."""
    start = data.index(b"PK\x01\x02")
    (flags,) = struct.unpack_from("<H", data, start + 8)
    changed = bytearray(data)
    struct.pack_into("<H", changed, start + 8, flags | 1)
    return bytes(changed)


BAD: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("empty", lambda _: b"", "not a mobstore export"),
    ("text", lambda _: b"hello\n" * 99, "not a mobstore export"),
    ("sqlite", lambda _: b"SQLite format 3\0" + bytes(4096), "not a mobstore export"),
    ("another zip", lambda _: zipped({"a.txt": b"a"}), "has no manifest.json"),
    ("another manifest", lambda _: zipped({"manifest.json": b"{}"}), "not a mobstore export"),
    ("no manifest", lambda data: without(data, "manifest.json"), "has no manifest.json"),
    ("a table less", lambda data: without(data, "loops.jsonl"), "each table once"),
    ("more", lambda data: zipped({**entries(data), "more": b""}), "each table once"),
    ("twice", duplicated, "each table once"),
    ("encrypted", encrypted, "cannot be read"),
    ("bzip2", lambda data: zipped(entries(data), zipfile.ZIP_BZIP2), "neither deflated nor stored"),
    ("lzma", lambda data: zipped(entries(data), zipfile.ZIP_LZMA), "neither deflated nor stored"),
    (
        "a manifest that goes on and on",
        lambda data: zipped({**entries(data), "manifest.json": b" " * 10**8}),
        "not a mobstore export",
    ),
    (
        "newer",
        lambda _: zipped(
            {"manifest.json": b'{"format":"mobstore","version":%d,"new":[]}' % (FORMAT + 1)}
        ),
        f"mobstore format {FORMAT + 1}, this mobstore knows {FORMAT}; update it",
    ),
    *(
        (
            f"version {version!r}",
            lambda data, version=version: with_manifest(data, lambda m: m.update(version=version)),
            "the file's manifest.json",
        )
        for version in (FORMAT - 1, -1, "1", 1.0, True, None)
    ),
    (
        "another format",
        lambda data: with_manifest(data, lambda m: m.update(format="mob")),
        "not a mobstore export",
    ),
    (
        "no format",
        lambda data: with_manifest(data, lambda m: m.pop("format")),
        "not a mobstore export",
    ),
    (
        "an unknown table",
        lambda data: with_manifest(data, lambda m: m["tables"].update(x=m["tables"]["runs"])),
        "does not name each table",
    ),
    (
        "a table unnamed",
        lambda data: with_manifest(data, lambda m: m["tables"].pop("runs")),
        "does not name each table",
    ),
    (
        "a table without rows",
        lambda data: with_manifest(data, lambda m: m["tables"]["runs"].pop("rows")),
        "not a mobstore export",
    ),
    (
        "more rows than said",
        lambda data: with_manifest(data, lambda m: m["tables"]["runs"].update(rows=1)),
        "table runs: it holds more rows than manifest.json declares",
    ),
    (
        "fewer rows than said",
        lambda data: with_manifest(data, lambda m: m["tables"]["runs"].update(rows=2**63)),
        "table runs: its checksum differs",
    ),
    (
        "another checksum",
        lambda data: with_manifest(data, lambda m: m["tables"]["specs"].update(sha256="0" * 64)),
        "table specs: its checksum differs",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_files_that_are_not_exports(good: bytes, engine: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            for name, make, words in BAD:
                message = await rejection(make(good), stores, mobstore.ReadFailedError)
                assert words in message, name
            await imported(good, stores)

    asyncio.run(check())


def test_truncated_anywhere(good: bytes) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for length in [*range(0, len(good), 7), *range(len(good) - 40, len(good))]:
                await rejection(good[:length], stores, mobstore.ReadFailedError)

    asyncio.run(check())


@pytest.mark.slow
def test_flipped_bits_are_detected_or_harmless(good: bytes) -> None:
    chance = random.Random(5)
    rejected = harmless = 0

    async def check() -> None:
        nonlocal rejected, harmless
        async with mobstore.open_stores("memory:") as stores:
            await imported(good, stores)
            rows = rows_of(stores)
        for _ in range(600):
            place = chance.randrange(len(good))
            data = bytearray(good)
            data[place] ^= 1 << chance.randrange(8)
            async with mobstore.open_stores("memory:") as stores:
                try:
                    await imported(bytes(data), stores)
                except (mobstore.ReadFailedError, mobstore.SerializationError):
                    rejected += 1
                    assert is_empty(stores)
                else:
                    harmless += 1
                    assert rows_of(stores) == rows

    asyncio.run(check())
    assert rejected > 400
    assert harmless > 5  # dates and the like, which no reader uses


def test_bytes_before_the_archive_are_ignored(good: bytes) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await imported(b"#!/bin/cat\n" + good, stores)

    asyncio.run(check())


@pytest.mark.parametrize("last", ["all", "most", "byte"])
def test_appended_exports_are_rejected(good: bytes, last: str) -> None:
    """`export - >> all.zip` appends one export to another."""
    after = {"all": good, "most": good[:-30], "byte": b"\n"}[last]

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            with pytest.raises(
                mobstore.ReadFailedError, match="more than one zip, or data after it"
            ):
                await imported(good + after, stores)
            assert is_empty(stores)

    asyncio.run(check())


class Failing(io.BytesIO):
    """A file on a disk that fails after some reads."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > 40:
            raise OSError("the disk is gone")
        return super().read(size)


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_a_source_that_cannot_be_read(good: bytes, engine: str, tmp_path: Path) -> None:
    closed = io.BytesIO(good)
    closed.close()
    (tmp_path / "good.zip").write_bytes(good)

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            with (tmp_path / "written").open("wb") as written:
                for source in (Failing(good), closed, written):
                    with pytest.raises(mobstore.ReadFailedError):
                        await import_stores(source, stores)
                    assert is_empty(stores)
            await imported(good, stores)

    asyncio.run(check())
