"""Move whole stores: into a file, out of one, from one engine to another.

    with open("mobs.zip", "wb") as file:
        await export_stores(stores, file)
    await mobstore.copy(source, target)

The file is a zip of JSON lines that can be read without mobstore; `docs/file-format.md` describes
it. Whatever is moved comes over exactly, cursors, revisions and nanoseconds included, all of it or
nothing. However large the store is, this needs memory for some hundred rows.
"""

from __future__ import annotations

import asyncio
import io
from typing import BinaryIO, NamedTuple

from mobstore.errors import InternalError, WriteFailedError
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
    """How much was moved."""

    events: int
    runs: int
    specs: int
    realm_profiles: int


async def export_stores(
    stores: MobStores, file: BinaryIO, *, progress: Progress | None = None
) -> Summary:
    """Write a whole store, as it stands at one moment, into a file.

    It is first written into a temporary file: until all of it is there, `file` is not touched.

    Args:
        stores: what to write; on any engine. Others may go on writing to it.
        file: where to; written from where it stands, flushed, and left open. It need not seek.
        progress: told how far it is, every few hundred rows.

    Raises:
        SerializationError: the store is damaged; table and key are named. JSON is not looked
            into: an import does that.
        ReadFailedError: the store's medium failed.
        WriteFailedError: the file, or a temporary one, cannot be written; or it is a SQLite
            database in use, such as the store's own file.
        InternalError: an argument is of another type.
    """
    check_stores(stores)
    _check_file(file, "wb", "write", "flush")
    check_not_in_use(file)
    with cancellable(progress) as report, temporary_file() as archive:
        rows = await stores.engine.read(lambda: export_script(archive, report))
        archive.seek(0)
        await _copy(archive, file)
    return _summary(rows)


async def import_stores(
    source: BinaryIO, stores: MobStores, *, progress: Progress | None = None
) -> Summary:
    """Read what `export_stores` wrote into an empty store. All of it is imported, or nothing.

    Args:
        source: the file; it must be able to seek, and stay open until this returns.
        stores: where to; on any engine.
        progress: told how far it is, every few hundred rows.

    Raises:
        SerializationError: a row is not what a store writes; its table and line are named.
        ReadFailedError: the file cannot be read, is not one of mobstore, damaged, or newer.
        InternalError: the store is not empty; or an argument is of another type.
        WriteFailedError: the store's medium failed.
    """
    check_stores(stores)
    _check_file(source, "rb", "read", "seek")
    with cancellable(progress) as report:
        return _summary(await stores.engine.load(lambda: import_script(source, report)))


def check_file(source: BinaryIO) -> None:
    """Refuse what `export_stores` did not write, as far as can be seen without reading all of it.

    Raises:
        ReadFailedError: the file cannot be read, is not one of mobstore, damaged, or newer.
    """
    _check_file(source, "rb", "read", "seek")
    ArchiveReader(source)


async def copy(
    source: MobStores, target: MobStores, *, progress: Progress | None = None
) -> Summary:
    """Copy a whole store, as it stands at one moment, into an empty one.

    All of it or nothing: a failure, a cancelled task or a dead process leaves the target empty.
    It goes by way of a temporary file as large as the store, since two engines do not take turns
    in one transaction; in a browser that file lies in memory.

    Args:
        source: what to copy; on any engine. Others may go on writing to it.
        target: where to; on any engine.
        progress: told how far it is, every few hundred rows. Each row counts twice.

    Raises:
        SerializationError: the source is damaged; table and key are named. JSON is not looked
            into: what cannot be read from the source cannot be read from the target.
        ReadFailedError: the source's medium failed.
        InternalError: the target is not empty; or an argument is of another type.
        WriteFailedError: the target's medium failed, or a temporary file cannot be written.
    """
    check_stores(source, "source")
    check_stores(target, "target")
    await target.engine.read(check_empty)  # a whole store is much to read in vain
    with cancellable(progress) as report, temporary_file() as file:
        rows = await source.engine.read(lambda: unload(file, _read_half(report)))
        count = sum(rows.values())
        await target.engine.load(lambda: load(file, count, _written_half(report)))
    return _summary(rows)


def _check_file(file: object, mode: str, *does: str) -> None:
    """Reject what is no file of bytes."""
    if isinstance(file, io.TextIOBase) or not all(hasattr(file, name) for name in does):
        raise InternalError(
            f"the file is one of bytes that is open, such as open(path, {mode!r}) gives, not"
            f" {type(file).__name__}"
        )


def _summary(rows: RowCounts) -> Summary:
    return Summary(rows[EVENTS], rows[RUNS], rows[SPECS], rows[REALM_PROFILES])


def _read_half(progress: Progress) -> Progress:
    return lambda done, total: progress(done, 2 * total)


def _written_half(progress: Progress) -> Progress:
    return lambda done, total: progress(total + done, 2 * total)


async def _copy(archive: BinaryIO, file: BinaryIO) -> None:
    try:
        while chunk := archive.read(_CHUNK):
            if file.write(chunk) != len(chunk):
                raise WriteFailedError("the file took a part only; is there room?")
            await asyncio.sleep(0)  # let other tasks run
        file.flush()
    except (OSError, ValueError) as error:
        raise WriteFailedError("the file cannot be written") from error
