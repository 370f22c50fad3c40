"""The file: a zip of one entry of JSON lines per table, and a manifest with counts and checksums.

`docs/file-format.md` describes it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from io import SEEK_END, BufferedReader, RawIOBase
from types import TracebackType
from typing import BinaryIO, Literal, Self, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from mobstore.errors import ReadFailedError, SerializationError
from mobstore.maintenance.input_file import InputFile, ReadTooLargeError
from mobstore.maintenance.json_lines import LONGEST
from mobstore.maintenance.temporary_file import temporary_file_errors
from mobstore.model.record import U64, OrderedMap, Record
from mobstore.scripts.tables import FORMAT, TABLES

_MANIFEST = "manifest.json"
_BEGIN = b"PK\x03\x04"
_END = b"PK\x05\x06"
_LENGTH_OF_END = 22  # bytes; a comment comes after them
_MOST_OF_MANIFEST = 2**16  # bytes
_OTHERS = "the file does not hold each table once and nothing else"
_MORE = f"it holds more than {_MANIFEST} tells of; the file is damaged"


class _Head(Record):
    """What the manifest of any version has."""

    format: Literal["mobstore"]
    version: U64


class Part(Record):
    """What the manifest says of a table: how many lines it has, and the SHA-256 of its entry."""

    rows: U64
    sha256: str


class _Manifest(_Head):
    tables: OrderedMap[str, Part]


class ArchiveWriter:
    """Replaces what a file holds with an archive; the file can seek. To be used in `with`."""

    def __init__(self, file: BinaryIO) -> None:
        with temporary_file_errors():
            file.seek(0)
            file.truncate()
            self._zip = ZipFile(file, "w")
        self._parts: dict[str, Part] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with temporary_file_errors():
            if kind is None:
                manifest = _Manifest(format="mobstore", version=FORMAT, tables=self._parts)
                self._zip.writestr(_entry(_MANIFEST), manifest.to_json_bytes())
            self._zip.close()

    @contextmanager
    def table(self, name: str) -> Generator[TableWriter]:
        """Write a table; one at a time."""
        with temporary_file_errors():
            # How long it will be is not known.
            file = self._zip.open(_entry(_name(name)), "w", force_zip64=True)
        writer = TableWriter(cast("BinaryIO", file))
        try:
            yield writer
        finally:
            with temporary_file_errors():
                file.close()
        self._parts[name] = writer.part()


class TableWriter:
    """Writes the lines of one table."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows, self._digest = 0, sha256()

    def write(self, rows: int, lines: bytes) -> None:
        """Write so many lines.

        Raises:
            WriteFailedError: the file refused.
        """
        self._rows += rows
        self._digest.update(lines)
        with temporary_file_errors():
            self._file.write(lines)

    def part(self) -> Part:
        """What was written."""
        return Part(rows=self._rows, sha256=self._digest.hexdigest())


def _name(table: str) -> str:
    return f"{table}.jsonl"


def _entry(name: str) -> ZipInfo:
    """An entry without a date: the same store gives the same bytes."""
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    return entry


class ArchiveReader:
    """Reads an archive from a file that can seek, and takes nothing in it on trust.

    No more is read than the manifest can account for: a table that has more bytes than its rows
    can have is refused at once, one that has more rows when the first of them is met.

    Attributes:
        parts: what the manifest says of each table, by name.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Find the manifest.

        Raises:
            ReadFailedError: the file cannot be read, is not one of ours, damaged, or newer.
        """
        with _reading("the file"):
            try:
                self._zip = ZipFile(cast("BinaryIO", InputFile(file)))
            except ReadTooLargeError:
                raise ReadFailedError(_OTHERS) from None
            names = self._zip.namelist()
            if _MANIFEST not in names:
                raise ReadFailedError(f"the file holds no {_MANIFEST}: it is not one of mobstore")
            if not self._is_alone(file):
                raise ReadFailedError(
                    "the file holds more than one zip, or something after it; cut that off, or"
                    " export the store once more"
                )
            with self._open(_MANIFEST) as manifest:
                self.parts: dict[str, Part] = _parts(manifest.read(_MOST_OF_MANIFEST))
        if sorted(names) != sorted([_MANIFEST, *map(_name, self.parts)]):
            raise ReadFailedError(_OTHERS)
        for table, part in self.parts.items():
            if self._zip.getinfo(_name(table)).file_size > part.rows * (LONGEST + 1):
                raise ReadFailedError(f"table {table}: {_MORE}")

    def lines(self, table: str) -> Generator[bytes]:
        """The lines of a table with their newlines, each cut after `LONGEST` bytes and one.

        Raises:
            ReadFailedError: the file cannot be read; or, after the last line, the lines are not
                those that the manifest tells of.
        """
        rows, digest = 0, sha256()
        with _reading(f"table {table}"), self._open(_name(table)) as file:
            while line := file.readline(LONGEST + 1):
                digest.update(line)
                rows += 1
                if rows > self.parts[table].rows:
                    raise ReadFailedError(f"table {table}: {_MORE}")
                yield line
        if Part(rows=rows, sha256=digest.hexdigest()) != self.parts[table]:
            raise ReadFailedError(f"table {table}: its checksum differs; the file is damaged")

    def _is_alone(self, file: BinaryIO) -> bool:
        """Whether no other zip lies before it, and nothing after it; `zipfile` takes the last."""
        source = InputFile(file)
        source.seek(0)
        begins = source.read(4)
        source.seek(-_LENGTH_OF_END - len(self._zip.comment), SEEK_END)
        ends = source.read(4)
        first = min(entry.header_offset for entry in self._zip.infolist())
        return ends == _END and (first == 0 or begins != _BEGIN)

    def _open(self, name: str) -> BufferedReader:
        entry = self._zip.getinfo(name)
        if entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            # Others are read in pieces as large as whoever wrote them likes.
            raise ReadFailedError(
                f"{name} in the file is neither deflated nor stored; pack it anew"
            )
        return BufferedReader(cast("RawIOBase", self._zip.open(entry)), 2**16)


def _parts(manifest: bytes) -> dict[str, Part]:
    try:
        version = _Head.from_json(manifest).version
        if version > FORMAT:
            raise ReadFailedError(
                f"the file has mobstore format {version}, this mobstore knows {FORMAT}; update it"
            )
        parts = _Manifest.from_json(manifest).tables
    except SerializationError as error:
        raise ReadFailedError(f"{_MANIFEST} of the file is not one of mobstore") from error
    if version < 1 or parts.keys() != {table.name for table in TABLES}:
        raise ReadFailedError(f"{_MANIFEST} of the file does not name each table")
    return dict(parts)


@contextmanager
def _reading(what: str) -> Generator[None]:
    try:
        yield
    except (
        BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        raise ReadFailedError(
            f"{what} cannot be read; the file is damaged, or not one of mobstore"
        ) from error
