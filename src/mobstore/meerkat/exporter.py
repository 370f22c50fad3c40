"""Export to databases of the reference, and the scripts that do it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from mobstore.codec.arguments import check_flags
from mobstore.engines.sqlite.connections import LONGEST_NAME
from mobstore.errors import SerializationError, UsageError, WriteFailedError, reason
from mobstore.maintenance.output_directory import new_directory
from mobstore.maintenance.output_file import new_file
from mobstore.maintenance.progress import Meter, Progress, cancellable
from mobstore.meerkat.report import ExportReport
from mobstore.meerkat.sources import SUFFIX, to_path
from mobstore.meerkat.tables import (
    mobs_with_spec,
    new_database,
    write_counter,
    write_events,
    write_profiles,
    write_runs,
    write_spec,
    write_specs,
)
from mobstore.model.text import brief, count, plain
from mobstore.operations.overview import count_claims, counts_by_mob
from mobstore.scripts.tables import (
    CONSUMERS,
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    EVENTS_BY_MOB,
    IMPORTED_FROM,
    META,
    NEXT_CURSOR,
    REALM_PROFILES,
    RUN_EXTRAS,
    RUNS,
    RUNS_BY_MOB,
    SPECS,
)
from mobstore.scripts.transaction import Commit, Count, Get, Scan, Script, ScriptPart, fetch
from mobstore.stores.mob_stores import MobStores, check_stores

_PROFILES = "realm_profiles"
_KEPT = re.compile(rb"[A-Za-z0-9_-]")
_MOST_NAMED = 10
_OWNER_ONLY = 0o600


async def export_meerkat(
    stores: MobStores,
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
    by_mob: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a snapshot of a whole store to a database of meerkat-mob 0.5.2, or to one for each mob.

    Claims, consumers and event keys are left out, since meerkat-mob has none; the report counts
    them. The file appears at `path` once it is complete. Memory is needed for the largest run,
    which the reference stores in one piece.

    With `by_mob`, files appear in a directory once all of them are complete: one for each mob, with
    the name that the host of meerkat-mob expects, and `realm_profiles.db`. Events keep their
    cursors. A mob must have events, because that host deletes a file without them.

    Args:
        stores: the store to export, on any engine. Other writers may continue; those of
            IndexedDB wait until it has been read.
        path: the path of the file; with `by_mob`, of a new or an empty directory.
        overwrite: whether to replace an existing file.
        by_mob: whether to write a file for each mob.
        progress: called every few hundred rows.

    Raises:
        SerializationError: the store was imported from a release after 0.5.2; or a row cannot be
            read, or does not fit into the reference's layout: a
            realm profile with a year outside 0 to 9999, a run of more than 10**9 bytes. Table and
            key are named. Or a mob cannot have a file of its own. No file was written.
        ReadFailedError: the store's medium failed.
        WriteFailedError: the file exists, the directory is not empty, or it cannot be written.
        UsageError: an argument is of another type, or `overwrite` is combined with `by_mob`.
    """
    check_stores(stores)
    check_flags(overwrite=overwrite, by_mob=by_mob)
    target = to_path(path)
    if by_mob and overwrite:
        raise UsageError("a directory is not replaced; name a new or an empty one")
    with cancellable(progress) as report:
        if by_mob:
            with new_directory(target) as folder:
                return await stores.engine.read(lambda: _to_directory(folder, target, report))
        with new_file(target, overwrite=overwrite) as file:
            return await stores.engine.read(lambda: _to_file(file, target, report))


class _Counts(NamedTuple):
    """The extent of an export, and the counter of events, if there is one."""

    report: ExportReport
    next_cursor: int | None

    def meter(self, progress: Progress) -> Meter:
        events, runs, specs, profiles = self.report[:4]
        return Meter(progress, events + runs + specs + profiles)


def _count() -> ScriptPart[_Counts]:
    mark = yield from fetch(Get(META, (IMPORTED_FROM,)))
    if mark is not None:
        raise SerializationError(
            f"the store was imported from meerkat-mob {brief(mark.value)}, for reading, and its"
            " rows do not fit into a database of 0.5.2; export it without --format meerkat. No file"
            " was written"
        )
    events, runs, specs, profiles = yield from fetch(
        Count(Scan(EVENTS)), Count(Scan(RUNS)), Count(Scan(SPECS)), Count(Scan(REALM_PROFILES))
    )
    claims = yield from count_claims()
    counter, consumers, keys, extras = yield from fetch(
        Get(COUNTERS, (NEXT_CURSOR,)),
        Count(Scan(CONSUMERS)),
        Count(Scan(EVENT_KEYS)),
        Count(Scan(RUN_EXTRAS)),
    )
    left_out = (
        (claims, "claim", "claims"),
        (consumers, "consumer", "consumers"),
        (keys, "event key", "event keys"),
        (extras, "run with further keys", "runs with further keys"),
    )
    words = tuple(count(*one) for one in left_out if one[0])
    report = ExportReport(events, runs, specs, profiles, words)
    return _Counts(report, None if counter is None else counter.value)


def _to_file(path: Path, target: Path, progress: Progress) -> Script[ExportReport]:
    with path.open("r+b") as opened:
        opened.truncate()  # of an earlier attempt
    with new_database(path, target) as file:
        counts = yield from _count()
        meter = counts.meter(progress)
        if counts.next_cursor is not None:
            write_counter(file, counts.next_cursor)
        unknown = yield from write_events(file, meter)
        yield from write_runs(file, meter)
        yield from write_specs(file, meter)
        yield from write_profiles(file, meter)
    return Commit(counts.report._replace(unknown_events=unknown))


def _to_directory(folder: Path, target: Path, progress: Progress) -> Script[ExportReport]:
    for left in folder.iterdir():
        left.unlink()  # of an earlier attempt
    counts = yield from _count()
    files = yield from _files()
    meter = counts.meter(progress)
    unknown = 0
    for mob_id, name in files.items():
        path = _create(folder / name)
        with new_database(path, target / name) as file:
            write_counter(file, counts.next_cursor or 1)
            unknown += yield from write_events(file, meter, mob_id)
            yield from write_runs(file, meter, mob_id)
            yield from write_spec(file, meter, mob_id)
    name = f"{_PROFILES}{SUFFIX}"
    with new_database(_create(folder / name), target / name) as file:
        yield from write_profiles(file, meter)
    return Commit(counts.report._replace(unknown_events=unknown))


def _files() -> ScriptPart[Mapping[str, str]]:
    """Return the name of the file of each mob.

    Raises:
        SerializationError: a mob cannot have one.
    """
    specs = yield from mobs_with_spec()
    events = yield from counts_by_mob(EVENTS, EVENTS_BY_MOB, specs)
    runs = yield from counts_by_mob(RUNS, RUNS_BY_MOB, list(events))
    if without := sorted(mob_id for mob_id in {*events, *runs} if not events.get(mob_id)):
        raise SerializationError(
            f"without an event: {_listed(without)}. The host of meerkat-mob deletes the file of"
            " such a mob; export to one file instead, or append its MobCreated event. No file was"
            " written"
        )
    files = {mob_id: file_name(mob_id) for mob_id in sorted(events)}
    if _PROFILES in files:
        raise SerializationError(
            f"the file of mob {_PROFILES} would have the name of the file of realm profiles; export"
            " to one file instead. No file was written"
        )
    if long := [mob_id for mob_id, name in files.items() if len(name) > LONGEST_NAME]:
        raise SerializationError(
            f"the names of files would be too long: {_listed(long)}; export to one file instead. No"
            " file was written"
        )
    return files


def file_name(mob_id: str) -> str:
    """Return the name of the file that the host of the reference keeps for a mob."""
    parts = (bytes([byte]) for byte in mob_id.encode())
    return (
        "".join(part.decode() if _KEPT.match(part) else f"%{part[0]:02X}" for part in parts)
        + SUFFIX
    )


def _listed(mobs: Sequence[str]) -> str:
    names = ", ".join(f"mob {brief(mob_id)}" for mob_id in mobs[:_MOST_NAMED])
    more = len(mobs) - _MOST_NAMED
    return f"{names} and {more:,} more" if more > 0 else names


def _create(path: Path) -> Path:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY))
    except FileExistsError as error:  # names that differ in case only
        raise WriteFailedError(
            f"this file system has only one file for {plain(path.name)} and another mob; export to"
            " one file instead"
        ) from error
    except OSError as error:
        raise WriteFailedError(f"{plain(path.name)} cannot be written: {reason(error)}") from error
    return path
