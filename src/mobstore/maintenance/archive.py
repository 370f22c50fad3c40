"""Archives: a zip with one entry of JSON lines per table, and a manifest with counts and checksums.

`docs/file-format.md` specifies the format.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from io import SEEK_END, BufferedReader, RawIOBase
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from mobstore.errors import ReadFailedError, SerializationError
from mobstore.maintenance.input_file import InputFile, ReadTooLargeError
from mobstore.maintenance.json_lines import LONGEST
from mobstore.maintenance.temporary_file import temporary_file_errors
from mobstore.model.record import U64, OrderedMap, Record
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    EVENT_KEYS,
    FORMAT,
    RUN_CLAIMS,
    RUN_EXTRAS,
    TABLES,
    Table,
)

_MANIFEST = "manifest.json"
_FIRST_ENTRY = b"PK\x03\x04"
_END_RECORD = b"PK\x05\x06"
_END_RECORD_LENGTH = 22  # bytes; the zip's comment comes after them
_LONGEST_MANIFEST = 2**16  # bytes
_WRONG_ENTRIES = "the file does not hold each table once and nothing else"
_NEW: Mapping[int, tuple[Table[Any], ...]] = {
    2: (EVENT_KEYS, CONSUMERS, RUN_CLAIMS, RUN_EXTRAS, CLAIMS)
}
"""The tables that each version added; archives of earlier versions lack them."""
_TOO_MANY_ROWS = f"it holds more rows than {_MANIFEST} declares; the file is damaged"


class _Head(Record):
    """The part of the manifest that all versions share."""

    format: Literal["mobstore"]
    version: U64


class TableSummary(Record):
    """One table in the manifest: its number of lines, and the SHA-256 of its entry."""

    rows: U64
    sha256: str


class _Manifest(_Head):
    tables: OrderedMap[str, TableSummary]


class ArchiveWriter:
    """A context manager that replaces the content of a seekable file with an archive."""

    def __init__(self, file: BinaryIO) -> None:
        with temporary_file_errors():
            file.seek(0)
            file.truncate()
            self._zip = ZipFile(file, "w")
        self._tables: dict[str, TableSummary] = {}

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
                manifest = _Manifest(format="mobstore", version=FORMAT, tables=self._tables)
                self._zip.writestr(_entry(_MANIFEST), manifest.to_json_bytes())
            self._zip.close()

    @contextmanager
    def table(self, name: str) -> Generator[TableWriter]:
        """Open the entry of a table for writing; one table at a time."""
        with temporary_file_errors():
            # Its length is not known yet, so it may exceed 4 GiB.
            file = self._zip.open(_entry(_entry_name(name)), "w", force_zip64=True)
        writer = TableWriter(cast("BinaryIO", file))
        try:
            yield writer
        finally:
            with temporary_file_errors():
                file.close()
        self._tables[name] = writer.summary()


class TableWriter:
    """The entry of one table, open for writing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows, self._digest = 0, sha256()

    def write(self, rows: int, lines: bytes) -> None:
        """Write `rows` lines.

        Raises:
            WriteFailedError: the file cannot be written.
        """
        self._rows += rows
        self._digest.update(lines)
        with temporary_file_errors():
            self._file.write(lines)

    def summary(self) -> TableSummary:
        """Return the number and the checksum of the lines written."""
        return TableSummary(rows=self._rows, sha256=self._digest.hexdigest())


def _entry_name(table: str) -> str:
    return f"{table}.jsonl"


def _entry(name: str) -> ZipInfo:
    """Return an entry without a date, so that equal stores have equal archives."""
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    return entry


class ArchiveReader:
    """A reader of archives from a seekable file. It trusts nothing in the file.

    It reads no more than the manifest accounts for. A table with more bytes than its rows can
    have is rejected at once; a table with more rows, at the first extra row.

    Attributes:
        tables: the manifest's summary of each table of its version, by name.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read the manifest.

        Raises:
            ReadFailedError: the file cannot be read, is damaged, is not a mobstore export, or has
                a newer format.
        """
        with _zip_errors("the file"):
            try:
                self._zip = ZipFile(cast("BinaryIO", InputFile(file)))
            except ReadTooLargeError:
                raise ReadFailedError(_WRONG_ENTRIES) from None
            names = self._zip.namelist()
            if _MANIFEST not in names:
                raise ReadFailedError(f"the file has no {_MANIFEST}; it is not a mobstore export")
            if not self._is_alone(file):
                raise ReadFailedError(
                    "the file holds more than one zip, or data after it; remove what does not"
                    " belong to the export, or export the store again"
                )
            with self._open(_MANIFEST) as manifest:
                self.tables: dict[str, TableSummary] = _tables(manifest.read(_LONGEST_MANIFEST))
        if sorted(names) != sorted([_MANIFEST, *map(_entry_name, self.tables)]):
            raise ReadFailedError(_WRONG_ENTRIES)
        for name, table in self.tables.items():
            if self._zip.getinfo(_entry_name(name)).file_size > table.rows * (LONGEST + 1):
                raise ReadFailedError(f"table {name}: {_TOO_MANY_ROWS}")

    def lines(self, name: str) -> Generator[bytes]:
        """Yield the lines of a table with their newlines, each cut after `LONGEST` + 1 bytes.

        Raises:
            ReadFailedError: the file cannot be read; or, after the last line, the lines do not
                match the manifest.
        """
        rows, digest = 0, sha256()
        with _zip_errors(f"table {name}"), self._open(_entry_name(name)) as file:
            while line := file.readline(LONGEST + 1):
                digest.update(line)
                rows += 1
                if rows > self.tables[name].rows:
                    raise ReadFailedError(f"table {name}: {_TOO_MANY_ROWS}")
                yield line
        if TableSummary(rows=rows, sha256=digest.hexdigest()) != self.tables[name]:
            raise ReadFailedError(f"table {name}: its checksum differs; the file is damaged")

    def _is_alone(self, file: BinaryIO) -> bool:
        """Check that no other zip comes before this one, and nothing after it.

        `zipfile` ignores both, so two readers could see two different archives in one file.
        """
        source = InputFile(file)
        source.seek(0)
        start = source.read(len(_FIRST_ENTRY))
        source.seek(-_END_RECORD_LENGTH - len(self._zip.comment), SEEK_END)
        end = source.read(len(_END_RECORD))
        first = min(entry.header_offset for entry in self._zip.infolist())
        return end == _END_RECORD and (first == 0 or start != _FIRST_ENTRY)

    def _open(self, name: str) -> BufferedReader:
        entry = self._zip.getinfo(name)
        if entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            # `zipfile` unpacks other methods in pieces of any size.
            raise ReadFailedError(
                f"{name} in the file is neither deflated nor stored; pack it with one of these"
            )
        return BufferedReader(cast("RawIOBase", self._zip.open(entry)), 2**16)


def _tables(manifest: bytes) -> dict[str, TableSummary]:
    try:
        version = _Head.from_json(manifest).version  # first: the rest may differ in a newer one
        if version > FORMAT:
            raise ReadFailedError(
                f"the file has mobstore format {version}, this mobstore knows {FORMAT}; update it"
            )
        tables = _Manifest.from_json(manifest).tables
    except SerializationError as error:
        raise ReadFailedError(
            f"the file's {_MANIFEST} is invalid; it is not a mobstore export"
        ) from error
    if version == 0:
        raise ReadFailedError(f"the file's {_MANIFEST} has a version that does not exist")
    missing = {table for added, new in _NEW.items() if added > version for table in new}
    if tables.keys() != {table.name for table in TABLES if table not in missing}:
        raise ReadFailedError(f"the file's {_MANIFEST} does not name each table")
    return dict(tables)


@contextmanager
def _zip_errors(what: str) -> Generator[None]:
    """Translate every error that `zipfile` raises for a damaged file."""
    try:
        yield
    except (
        BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        raise ReadFailedError(
            f"{what} cannot be read; the file is damaged, or is not a mobstore export"
        ) from error
