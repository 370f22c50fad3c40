"""The whole store: from a file, into a file, and away with it."""

from __future__ import annotations

from pathlib import Path

from inspector.failures import RefusedError
from inspector.overview import is_empty
from inspector.shapes import Erased, Exported, FileInfo, Imported, Progress
from inspector.texts import cut
from mobstore import MobStores
from mobstore.errors import MobStoreError, ReadFailedError, SerializationError
from mobstore.maintenance.transfer import Summary, export_stores, import_stores
from mobstore.meerkat import ImportReport, import_meerkat
from mobstore.meerkat.database import check_source
from mobstore.scripts.tables import IDENTITY, META, TABLES, MetaRow
from mobstore.scripts.transaction import Add, Commit, DeleteRange, Scan, Script

_ZIP = b"PK\x03\x04"
_MOST_LISTED = 100  # rows that were left out


def check(path: str) -> FileInfo:
    """Tell what a file is, as far as can be seen without reading all of it.

    Raises:
        RefusedError: it can surely not be imported.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(_ZIP))
        size = file.stat().st_size
        if magic == _ZIP:
            return {"format": "mobstore", "bytes": size}
        check_source(file)
    except OSError as error:
        raise RefusedError(
            "wrong_file", f"{file.name} cannot be read.", "Drop the file once more."
        ) from error
    except ReadFailedError as error:
        raise _wrong(file, error) from error
    return {"format": "meerkat", "bytes": size}


async def bring_in(stores: MobStores, path: str, progress: Progress | None) -> Imported:
    """Import a file into an empty store, all of it or nothing.

    Of a reference's database, rows that nobody can read are left out and listed.

    Raises:
        RefusedError: the store is not empty, or the file cannot be imported.
    """
    file, info = Path(path), check(path)
    if not await stores.engine.read(is_empty):
        raise RefusedError(
            "not_empty",
            "This store already holds something, and an import needs an empty one.",
            "Export it if you want to keep it, then erase the store and drop the file again.",
        )
    report: ImportReport | Summary
    try:
        if info["format"] == "meerkat":
            report = await import_meerkat(file, stores, skip_unreadable=True, progress=progress)
        else:
            with file.open("rb") as source:  # noqa: ASYNC230 - Pyodide's files are in memory
                report = await import_stores(source, stores, progress=progress)
    # A store that fails in an import fails to write.
    except (ReadFailedError, SerializationError) as error:
        raise _wrong(file, error) from error
    left_out = report if isinstance(report, ImportReport) else ImportReport()
    return {
        "format": info["format"],
        "events": report.events,
        "runs": report.runs,
        "specs": report.specs,
        "realm_profiles": report.realm_profiles,
        "left_out": [str(row) for row in left_out.left_out[:_MOST_LISTED]],
        "more_left_out": len(left_out.left_out[_MOST_LISTED:]) + left_out.more_left_out,
    }


async def write_out(stores: MobStores, path: str, progress: Progress | None) -> Exported:
    """Write the whole store into a new file, in one state.

    Raises:
        MobStoreError: it cannot be read, or the file not be written.
    """
    file = Path(path)
    with file.open("wb") as target:  # noqa: ASYNC230 - as above
        await export_stores(stores, target, progress=progress)
    return {"path": path, "bytes": file.stat().st_size}  # noqa: ASYNC240


def erase(identity: str) -> Script[Erased]:
    """Remove everything, counters included: the next event is again the first, of a new store."""
    yield ()
    everything = [DeleteRange(Scan(table)) for table in TABLES]
    return Commit({"erased": True}, (*everything, Add(META, (MetaRow(IDENTITY, identity),))))


def _wrong(file: Path, error: MobStoreError) -> RefusedError:
    told = cut(error.detail.replace(str(file), file.name), 1000)
    return RefusedError(
        "wrong_file",
        f"{file.name} cannot be imported: {told}. Nothing was changed.",
        "Drop a mob.db of meerkat-mob 0.5.1 or 0.5.2, or a file that was exported here.",
    )
