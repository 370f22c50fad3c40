"""Zips made to exhaust memory or time, and odd file objects, are rejected cheaply."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import pytest

import mobstore
from engines.support import output
from maintenance.support import entries, imported, is_empty, rejection, resealed, rows_of, zipped
from mobstore.maintenance.input_file import LONGEST_READ
from mobstore.maintenance.transfer import import_stores

pytestmark = pytest.mark.slow

MIB = 2**20
OTHERS = "the file does not hold each table once and nothing else"

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")


def limit_memory(more: int) -> None:
    """Child: limit the memory that can still be allocated."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def many_entries(count: int, *, zip64: bool) -> bytes:
    """Return a zip whose directory lists the same empty file many times."""
    entry = CENTRAL.pack(b"PK\1\2", *[0] * 9, 1, *[0] * 6) + b"x"
    size = len(entry) * count
    if not zip64:
        return entry * count + END.pack(b"PK\5\6", 0, 0, *[min(count, 2**16 - 1)] * 2, size, 0, 0)
    return (
        entry * count
        + struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, 0)
        + struct.pack("<4sIQI", b"PK\6\7", 0, size, 1)
        + END.pack(b"PK\5\6", 0, 0, *[2**16 - 1] * 2, *[2**32 - 1] * 2, 0)
    )


def import_file(path: str) -> None:
    """Child: import a file within 64 MiB of additional memory; print its error."""

    async def main(file: BinaryIO) -> None:
        async with mobstore.open_stores("memory:") as stores:
            limit_memory(64 * MIB)
            try:
                await import_stores(file, stores)
            except mobstore.MobStoreError as error:
                print(error.detail)

    with Path(path).open("rb") as file:
        asyncio.run(main(file))


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("count", [2**14, 10**6, 2 * 10**6])
def test_a_directory_of_many_entries_is_not_read(tmp_path: Path, count: int, zip64: bool) -> None:
    """`zipfile` makes an object of each entry; a million would take gigabytes."""
    (tmp_path / "file").write_bytes(many_entries(count, zip64=zip64))
    assert output(import_file, tmp_path / "file").strip() == OTHERS


@pytest.mark.parametrize("size", [LONGEST_READ + 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_directory_with_a_large_declared_size(good: bytes, tmp_path: Path, size: int) -> None:
    end = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 16, 16, size, 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(good), 1)
    last = END.pack(b"PK\5\6", 0, 0, *[2**16 - 1] * 2, *[2**32 - 1] * 2, 0)
    (tmp_path / "file").write_bytes(good + end + locator + last)
    assert "the file" in output(import_file, tmp_path / "file")


def test_other_large_directories(good: bytes) -> None:
    def with_extra(name: str, length: int, of: str) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for one, content in entries(good).items():
                entry = zipfile.ZipInfo(one)
                if one == name or not name:
                    setattr(entry, of, struct.pack("<HH", 0xCAFE, length - 4) + bytes(length - 4))
                archive.writestr(entry, content)
        return file.getvalue()

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for of in ("extra", "comment"):
                data = with_extra("", 2**14, of)
                assert OTHERS in await rejection(data, stores, mobstore.ReadFailedError)
            data = with_extra("events.jsonl", 2**16 - 1, "comment")
            with zipfile.ZipFile(file := io.BytesIO(data), "a") as archive:
                archive.comment = b"x" * (2**16 - 1)
            await imported(file.getvalue(), stores)  # a comment of this length is accepted

    asyncio.run(check())


def test_no_more_is_read_than_the_manifest_declares(good: bytes) -> None:
    """An extra row is rejected even if it is valid, and so are more bytes than rows can have."""
    parts = entries(good)
    events = parts["events.jsonl"]
    manifest = json.loads(parts["manifest.json"])
    manifest["tables"]["events"]["rows"] = 2
    extra = {**parts, "manifest.json": json.dumps(manifest).encode()}
    manifest["tables"]["events"]["rows"] = 0
    empty = {**parts, "manifest.json": json.dumps(manifest).encode()}

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for bad in (extra, empty, {**empty, "events.jsonl": b" "}):
                message = await rejection(zipped(bad), stores, mobstore.ReadFailedError)
                assert "table events: it holds more rows than manifest.json declares" in message
            line = events.splitlines(keepends=True)[0]
            again = resealed({**parts, "events.jsonl": line * 10_000})
            message = await rejection(again, stores, mobstore.SerializationError)
            assert "line 2: duplicate or out-of-order row" in message

    asyncio.run(check())


def test_an_entry_longer_than_declared(good: bytes) -> None:
    """Data after the declared length is not unpacked."""
    parts = entries(good)
    long = parts["events.jsonl"] + b" " * 50 * MIB
    data = bytearray(resealed({**parts, "events.jsonl": long}))
    for form, signature, field in ((LOCAL, b"PK\3\4", 22), (CENTRAL, b"PK\1\2", 24)):
        start = data.index(b"events.jsonl") if form is LOCAL else data.rindex(b"events.jsonl")
        start = data.rindex(signature, 0, start)
        struct.pack_into("<I", data, start + field, len(parts["events.jsonl"]))

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await rejection(bytes(data), stores, mobstore.ReadFailedError)

    asyncio.run(check())


Reads: TypeAlias = Callable[[int], bytes]


class Odd(io.BytesIO):
    """A file object with a faulty `read`."""

    def __init__(self, data: bytes, does: Callable[[Reads, int], object]) -> None:
        super().__init__(data)
        self.does = does

    def read(self, size: int | None = -1, /) -> bytes:
        return cast("bytes", self.does(super().read, -1 if size is None else size))


def boom(_read: Reads, _size: int) -> object:
    raise ZeroDivisionError


def little(read: Reads, size: int) -> object:
    return read(1 if size else 0)


ODD: dict[str, Callable[[Reads, int], object]] = {
    "None": lambda _read, _size: None,
    "text": lambda _read, _size: "x",
    "too much": lambda read, size: read(size) + b"x",
    "for ever": lambda _read, _size: bytes(10),
    "nothing": lambda _read, _size: b"",
    "an error": boom,
}


@pytest.mark.parametrize("does", ODD)
def test_faulty_file_objects(good: bytes, does: str) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            with pytest.raises(mobstore.ReadFailedError):
                await import_stores(cast("BinaryIO", Odd(good, ODD[does])), stores)
            assert is_empty(stores)

    asyncio.run(check())


def test_a_file_that_returns_one_byte_per_read(good: bytes) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as one, mobstore.open_stores("memory:") as other:
            await imported(good, one)
            await import_stores(cast("BinaryIO", Odd(good, little)), other)
            assert rows_of(one) == rows_of(other)

    asyncio.run(check())


def mutations(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the file with one field changed in the end record, the first and the last entry."""
    end = len(data) - END.size
    locals_ = [data.index(b"PK\3\4"), data.rindex(b"PK\3\4")]
    central = [data.index(b"PK\1\2"), data.rindex(b"PK\1\2")]
    places = [(END, end), *((LOCAL, at) for at in locals_), *((CENTRAL, at) for at in central)]
    for form, start in places:
        at = start + 4
        for kind in form.format.lstrip("<4s"):
            length = struct.calcsize(f"<{kind}")
            most = 256**length - 1
            (value,) = struct.unpack_from(f"<{kind}", data, at)
            for other in {0, 1, value + 1, value - 1, most // 2, most - 1, most} - {value}:
                changed = bytearray(data)
                struct.pack_into(f"<{kind}", changed, at, other % (most + 1))
                yield f"{kind} at {at}: {other}", bytes(changed)
            at += length


def import_mutations(path: str) -> None:
    """Child: import the damaged files; print for each whether it was imported or rejected."""

    async def main(good: bytes) -> None:
        async with mobstore.open_stores("memory:") as stores:
            await imported(good, stores)
            whole = rows_of(stores)
        limit_memory(64 * MIB)
        for what, data in mutations(good):
            async with mobstore.open_stores("memory:") as stores:
                try:
                    await imported(data, stores)
                except mobstore.MobStoreError:
                    assert is_empty(stores), what
                    print("rejected")
                else:
                    assert rows_of(stores) == whole, what
                    print("taken")

    asyncio.run(main(Path(path).read_bytes()))


def test_every_field_of_the_format(good: bytes, tmp_path: Path) -> None:
    """A file with a changed field is rejected with a message, or all of it is imported."""
    (tmp_path / "file").write_bytes(good)
    results = output(import_mutations, tmp_path / "file").split()
    assert len(results) > 300
    assert set(results) == {"rejected", "taken"}
