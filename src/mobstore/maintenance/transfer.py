"""Export, import and copy of whole stores.

    with open("mobs.zip", "wb") as file:
        await export_stores(stores, file)
    await mobstore.copy(source, target)

The file is a zip of JSON lines that can be read without mobstore; `docs/file-format.md` specifies
it. A transfer preserves everything, including cursors, revisions and nanoseconds, and is all or
nothing. It needs memory for a few hundred rows, however large the store is.
"""

from __future__ import annotations

import asyncio
import io
from typing import BinaryIO, NamedTuple

from mobstore.errors import UsageError, WriteFailedError
from mobstore.maintenance.archive import ArchiveReader
from mobstore.maintenance.consistency import RowCounts
from mobstore.maintenance.copy_scripts import load, unload
from mobstore.maintenance.export_script import export_script
from mobstore.maintenance.import_script import import_script
from mobstore.maintenance.output_file import check_not_in_use
from mobstore.maintenance.progress import Progress, cancellable
from mobstore.maintenance.target import check_empty
from mobstore.maintenance.temporary_file import temporary_file
from mobstore.scripts.tables import EVENTS, REALM_PROFILES, RUNS, SPECS
from mobstore.stores.mob_stores import MobStores, check_stores

_CHUNK = 2**20  # bytes


class Summary(NamedTuple):
    """The number of records that were exported, imported or copied."""

    events: int
    runs: int
    specs: int
    realm_profiles: int


async def export_stores(
    stores: MobStores, file: BinaryIO, *, progress: Progress | None = None
) -> Summary:
    """Write a snapshot of a whole store to a file.

    The snapshot is first written to a temporary file; `file` is not touched until it is complete.

    Args:
        stores: the store to export, on any engine. Other writers may continue; those of
            IndexedDB wait until it has been read.
        file: a file open in binary mode. It is written from its current position, flushed, and
            left open. It need not be seekable.
        progress: called every few hundred rows.

    Raises:
        SerializationError: the store is corrupt; table and key are named. JSON is not decoded: an
            import checks it.
        ReadFailedError: the store's medium failed.
        WriteFailedError: the file, or a temporary file, cannot be written; or the file is a SQLite
            database in use, such as the store's own.
        UsageError: an argument is of another type.
    """
    check_stores(stores)
    _check_file(file, "wb", "write", "flush")
    check_not_in_use(file)
    with cancellable(progress) as report, temporary_file() as archive:
        counts = await stores.engine.read(lambda: export_script(archive, report))
        archive.seek(0)
        await _copy_file(archive, file)
    return _summary(counts)


async def import_stores(
    source: BinaryIO, stores: MobStores, *, progress: Progress | None = None
) -> Summary:
    """Import a file that `export_stores` wrote into an empty store, all or nothing.

    Args:
        source: a file open in binary mode. It must be seekable, and stay open during the call.
        stores: the empty store to fill, on any engine.
        progress: called every few hundred rows.

    Raises:
        SerializationError: no store would have written a row; its table and line are named.
        ReadFailedError: the file cannot be read, is damaged, is not a mobstore export, or has a
            newer format.
        InternalError: the store is not empty.
        UsageError: an argument is of another type.
        WriteFailedError: the store's medium failed.
    """
    check_stores(stores)
    _check_file(source, "rb", "read", "seek")
    with cancellable(progress) as report:
        return _summary(await stores.engine.load(lambda: import_script(source, report)))


def check_file(source: BinaryIO) -> None:
    """Check the manifest and the entries of an exported file, without reading all of it.

    Raises:
        ReadFailedError: the file cannot be read, is damaged, is not a mobstore export, or has a
            newer format.
        UsageError: `source` is not a file open in binary mode.
    """
    _check_file(source, "rb", "read", "seek")
    ArchiveReader(source)


async def copy(
    source: MobStores, target: MobStores, *, progress: Progress | None = None
) -> Summary:
    """Copy a snapshot of a whole store into an empty store.

    All or nothing: after an error, a cancellation or a crash the target is still empty. Rows pass
    through a temporary file as large as the store, because two engines cannot share a transaction.
    In a browser that file is in memory.

    Args:
        source: the store to copy, on any engine. Other writers may continue; those of IndexedDB
            wait until it has been read.
        target: the empty store to fill, on any engine.
        progress: called every few hundred rows. Each row counts twice.

    Raises:
        SerializationError: the source is corrupt; table and key are named. JSON is not decoded:
            JSON that cannot be read from the source cannot be read from the target either.
        ReadFailedError: the source's medium failed.
        InternalError: the target is not empty.
        UsageError: an argument is of another type.
        WriteFailedError: the target's medium failed, or a temporary file cannot be written.
    """
    check_stores(source, "source")
    check_stores(target, "target")
    await target.engine.read(check_empty)  # before a long read that would be wasted
    with cancellable(progress) as report, temporary_file() as file:
        counts = await source.engine.read(lambda: unload(file, _first_half(report)))
        rows = sum(counts.values())
        await target.engine.load(lambda: load(file, rows, _second_half(report)))
    return _summary(counts)


def _check_file(file: object, mode: str, *methods: str) -> None:
    """Check that a file is open in binary mode, as far as its methods show."""
    if isinstance(file, io.TextIOBase) or not all(hasattr(file, name) for name in methods):
        raise UsageError(
            f"the file must be open in binary mode, as by open(path, {mode!r}), not"
            f" {type(file).__name__}"
        )


def _summary(counts: RowCounts) -> Summary:
    return Summary(counts[EVENTS], counts[RUNS], counts[SPECS], counts[REALM_PROFILES])


def _first_half(progress: Progress) -> Progress:
    return lambda done, total: progress(done, 2 * total)


def _second_half(progress: Progress) -> Progress:
    return lambda done, total: progress(total + done, 2 * total)


async def _copy_file(archive: BinaryIO, file: BinaryIO) -> None:
    try:
        while chunk := archive.read(_CHUNK):
            if file.write(chunk) != len(chunk):
                raise WriteFailedError("only a part of the file was written; is there room?")
            await asyncio.sleep(0)  # let other tasks run
        file.flush()
    except (OSError, ValueError) as error:
        raise WriteFailedError("the file cannot be written") from error
