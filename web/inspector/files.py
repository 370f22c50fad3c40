"""Import, export and erasure of the whole store."""

from __future__ import annotations

from pathlib import Path

from inspector.failures import InspectorError
from inspector.formatting import truncate
from inspector.overview import is_empty
from inspector.results import Erased, Exported, FileInfo, Imported, Progress
from mobstore import MobStores
from mobstore.errors import MobStoreError, ReadFailedError, SerializationError
from mobstore.maintenance.transfer import Summary, export_stores, import_stores
from mobstore.meerkat import ImportReport, import_meerkat
from mobstore.meerkat.database import check_source
from mobstore.scripts.tables import IDENTITY, META, TABLES, MetaRow
from mobstore.scripts.transaction import Add, Commit, DeleteRange, Scan, Script

_ZIP = b"PK\x03\x04"
_MOST_LISTED = 100  # rows that were skipped


def check(path: str) -> FileInfo:
    """Return the format of a file, without reading all of it.

    Raises:
        InspectorError: the file cannot be imported.
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
        raise InspectorError(
            "wrong_file", f"{file.name} cannot be read.", "Drop the file again."
        ) from error
    except ReadFailedError as error:
        raise _wrong(file, error) from error
    return {"format": "meerkat", "bytes": size}


async def import_file(stores: MobStores, path: str, progress: Progress | None) -> Imported:
    """Import a file into an empty store, all or nothing.

    Unreadable rows of a meerkat-mob database are skipped and listed.

    Raises:
        InspectorError: the store is not empty, or the file cannot be imported.
    """
    file, info = Path(path), check(path)
    if not await stores.engine.read(is_empty):
        raise InspectorError(
            "not_empty",
            "An import needs an empty store, and this one is not empty.",
            "Export the store to keep it, then erase it and drop the file again.",
        )
    report: ImportReport | Summary
    try:
        if info["format"] == "meerkat":
            report = await import_meerkat(file, stores, skip_unreadable=True, progress=progress)
        else:
            with file.open("rb") as source:  # noqa: ASYNC230 - Pyodide's files are in memory
                report = await import_stores(source, stores, progress=progress)
    # Reads fail only on the file: a store that fails during an import fails to write.
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
        "other_tables": sum(left_out.other_tables.values()),
    }


async def export_file(stores: MobStores, path: str, progress: Progress | None) -> Exported:
    """Write a snapshot of the whole store to a new file.

    Raises:
        MobStoreError: the store cannot be read, or the file cannot be written.
    """
    file = Path(path)
    with file.open("wb") as target:  # noqa: ASYNC230 - in memory, too
        await export_stores(stores, target, progress=progress)
    return {"path": path, "bytes": file.stat().st_size}  # noqa: ASYNC240


def erase(identity: str) -> Script[Erased]:
    """Delete everything, counters included: the store starts anew, with a new identity."""
    yield ()
    everything = [DeleteRange(Scan(table)) for table in TABLES]
    return Commit({"erased": True}, (*everything, Add(META, (MetaRow(IDENTITY, identity),))))


def _wrong(file: Path, error: MobStoreError) -> InspectorError:
    reason = truncate(error.detail.replace(str(file), file.name), 1000)
    return InspectorError(
        "wrong_file",
        f"{file.name} cannot be imported: {reason}. Nothing was changed.",
        "Drop a mob.db of meerkat-mob 0.5.1 or 0.5.2, or a file exported by mobstore.",
    )
