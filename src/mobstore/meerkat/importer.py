"""Import of databases of the reference, and the loading script that does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path

from mobstore.codec.arguments import check_flags
from mobstore.errors import MobStoreError, ReadFailedError
from mobstore.maintenance.progress import Progress, cancellable
from mobstore.maintenance.target import check_empty
from mobstore.meerkat.clashes import Arrivals
from mobstore.meerkat.conversion import Converter, DuplicateError, Start
from mobstore.meerkat.integrity import check_integrity
from mobstore.meerkat.loading import FileLoader, RowMeter
from mobstore.meerkat.releases import releases_text
from mobstore.meerkat.report import ImportReport, UnreadableFile, add_file
from mobstore.meerkat.sources import find_sources
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    COUNTERS,
    IMPORTED_FROM,
    META,
    NEXT_CURSOR,
    NEXT_RUN,
    CounterRow,
    MetaRow,
)
from mobstore.scripts.transaction import (
    Commit,
    Get,
    LoadingScript,
    Now,
    Put,
    Script,
    Write,
    fetch,
    next_number,
)
from mobstore.stores.mob_stores import MobStores, check_stores


async def import_meerkat(
    source: str | PathLike[str] | Iterable[str | PathLike[str]],
    stores: MobStores,
    *,
    skip_unreadable: bool = False,
    check: bool = True,
    into: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import databases of the reference into a store, all or nothing.

    Files follow each other: of a directory, all `*.db` by name; else as they are passed. Each
    file's events keep their order, and the gaps between their cursors. They come after all events
    of the files before, and after those of the store. So the cursors of the first file into an
    empty store stay as they are, and all cursors of another file grow by one number, its `offset`
    in the report.

    Rows of 0.6 to 0.8 are read as an archive: events as `OtherEvent`s where their kinds or keys are
    new, runs in the form of 0.5.2, and all further keys kept. Such a store is not exported to
    meerkat-mob. This is experimental: it was written from the sources of these releases, without
    a file that one of them wrote.

    Args:
        source: the path of a file, or of a directory with one file for each mob; or several of
            them. No file is changed.
        stores: the store, on any engine. Other writers wait until the import has ended.
        skip_unreadable: leave out rows that cannot be read and list them in the report, instead
            of failing on the first. Of several files, also leave out those that cannot be read,
            are damaged, or are not databases of meerkat-mob.
        check: whether SQLite first checks the whole file for damage. Without the check, a damaged
            page may hide rows unnoticed, and a forged one may take very long to read.
        into: allow a store that is not empty, if no mob, run or realm profile of the files is in
            it.
        progress: called every few hundred rows, and with no row done during the check. Without
            the check, the number in all grows from file to file.

    Raises:
        SerializationError: a row cannot be read, or is a duplicate; its table and key are named.
        ReadFailedError: a file cannot be read, is damaged, is not one of meerkat-mob, or holds a
            row of another release than 0.5.1 to 0.8; a directory has no `*.db`.
        InternalError: the store is not empty; or a mob, run or realm profile is in two files, or in
            the store already. All such names are listed, up to a limit. Or the cursors are used up.
        UsageError: an argument is of another type.
        WriteFailedError: the store's medium failed.
    """
    check_stores(stores)
    check_flags(skip_unreadable=skip_unreadable, check=check, into=into)
    files, several = find_sources(source)
    work = _Import(files, several=several, skip_unreadable=skip_unreadable, into=into)
    with cancellable(progress) as report:
        if check:
            await work.check_files(stores, report)
        return await work.load(stores, report)


class _Import:
    """An import, and the files that turned out to be unreadable."""

    def __init__(
        self, files: Sequence[Path], *, several: bool, skip_unreadable: bool, into: bool
    ) -> None:
        self._files = files
        self._several, self._skip, self._into = several, skip_unreadable, into
        self._left_out: dict[Path, str] = {}
        self._rows: dict[Path, int] = {}  # of the files that were checked

    async def check_files(self, stores: MobStores, progress: Progress) -> None:
        """Check all files for damage, before any of them is imported."""
        target = _check_usable if self._into else check_empty
        for path in self._files:
            checked = partial(_report_check, progress, sum(self._rows.values()))
            try:
                self._rows[path] = await check_integrity(
                    path, checked, lambda: stores.engine.read(target)
                )
            except ReadFailedError as error:
                if not self._leave_out(path, error):
                    raise self._named(path, error) from error

    async def load(self, stores: MobStores, progress: Progress) -> ImportReport:
        """Import the files, again without one that turns out to be unreadable meanwhile."""
        while True:
            known = len(self._left_out)
            try:
                return await stores.engine.load(lambda: self._script(progress))
            except (ReadFailedError, DuplicateError):
                if len(self._left_out) == known:
                    raise

    def _leave_out(self, path: Path, error: MobStoreError) -> bool:
        """Leave out a file because of its error, if that is allowed."""
        if error.retry_safe or not (self._several and self._skip):
            return False
        self._left_out[path] = self._named(path, error).detail
        return True

    def _named(self, path: Path, error: MobStoreError) -> MobStoreError:
        """Return an error that names the file as the caller did, who may have used a link."""
        if not self._several or str(path) in error.detail or isinstance(error, DuplicateError):
            return error
        return ReadFailedError(f"{path}: {error.detail}", retry_safe=error.retry_safe)

    def _script(self, progress: Progress) -> LoadingScript[ImportReport]:
        files = [path for path in self._files if path not in self._left_out]
        report = ImportReport(
            files_left_out=[UnreadableFile(str(path), why) for path, why in self._left_out.items()]
        )
        if not files:
            raise ReadFailedError(
                f"none of {len(self._left_out):,} files can be imported: {report.files_left_out[0]}"
            )
        if not self._into:
            yield from check_empty()
        now, cursor, run, mark = yield from fetch(
            Now(),
            Get(COUNTERS, (NEXT_CURSOR,)),
            Get(COUNTERS, (NEXT_RUN,)),
            Get(META, (IMPORTED_FROM,)),
        )
        start = Start(next_number(cursor, NEXT_CURSOR) - 1, next_number(run, NEXT_RUN))
        releases: set[str] = set()
        arrivals = Arrivals(empty=not self._into, several=self._several)
        meter = RowMeter(progress, sum(self._rows.get(path, 0) for path in files))
        for path in files:
            arrivals.begin(path, start)
            converter = Converter(path, now, start)
            name = brief(path.name) if self._several else ""
            loader = FileLoader(
                path, converter, arrivals, report, name=name, skip_unreadable=self._skip
            )
            try:
                yield from loader.load(meter, self._rows.get(path, 0))
            except (ReadFailedError, DuplicateError) as error:
                self._leave_out(path, error)
                raise self._named(path, error) from error
            add_file(report, converter.imported())
            releases |= converter.releases
            start = converter.end()
        arrivals.check()
        counters = (CounterRow(NEXT_CURSOR, start.offset + 1), CounterRow(NEXT_RUN, start.run))
        writes: tuple[Write, ...] = (Put(COUNTERS, counters),)
        if releases:
            report.imported_from = releases_text(releases)
            known = releases | set(mark.value.split(", ") if mark else ())
            writes += (Put(META, (MetaRow(IMPORTED_FROM, releases_text(known)),)),)
        return Commit(report, writes)


def _check_usable() -> Script[None]:
    """Check that a store can be read."""
    yield ()
    return Commit(None)


def _report_check(progress: Progress, before: int, done: int, rows: int) -> None:
    """Report the check of a file, with the rows of the files before it."""
    progress(done, before + rows)
