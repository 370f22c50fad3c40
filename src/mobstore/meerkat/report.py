"""The reports of an import and of an export."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mobstore.model.text import brief, count, cut, plain

_MOST_LISTED = 1000
_LONGEST_REASON = 200  # characters
_OTHERS = "others"


class Unreadable(NamedTuple):
    """A row of the source that could not be read; `file` is empty if there is only one file."""

    table: str
    key: str
    reason: str
    file: str = ""

    def __str__(self) -> str:
        file = f"{self.file}: " if self.file else ""
        return f"{file}table {self.table}, key {self.key}: {self.reason}"


def unreadable(table: str, key: object, reason: str, file: str = "") -> Unreadable:
    """Describe a row that cannot be read, with its key and reason cut to a few words."""
    return Unreadable(table, key_name(key), plain(cut(reason, _LONGEST_REASON)), file)


def key_name(key: object) -> str:
    """Return a key for messages, cut; of one of another type than the reference's, the type."""
    return brief(str(key) if isinstance(key, (str, int)) else type(key).__name__)


class ImportedFile(NamedTuple):
    """A file of an import, and where its events are now.

    An event with the cursor `c` in the file has the cursor `c + offset` in the store. The same is
    true of the cursors between them, so that the position of a consumer can be moved, too.

    Attributes:
        path: the path of the file.
        offset: what was added to its cursors.
        first_cursor: the cursor of its first event in the file; 0 if it has none.
        last_cursor: the cursor of its last event in the file; 0 if it has none.
        events: the number of events.
        runs: the number of runs.
        specs: the number of specs.
        realm_profiles: the number of realm profiles.
    """

    path: str
    offset: int
    first_cursor: int
    last_cursor: int
    events: int
    runs: int
    specs: int
    realm_profiles: int


class UnreadableFile(NamedTuple):
    """A file of several that could not be imported, and the reason, which names it."""

    path: str
    reason: str

    def __str__(self) -> str:
        return plain(self.reason)


@dataclass
class ImportReport:
    """The number of records imported, and what was left out.

    Attributes:
        events: the number of events.
        runs: the number of runs.
        specs: the number of specs.
        realm_profiles: the number of realm profiles.
        left_out: the first 1,000 rows that were left out because they could not be read; their
            keys and reasons are cut.
        more_left_out: how many more were left out.
        other_tables: the number of rows of tables that are not those of 0.5.2, by table. They were
            left out. A table without rows is not in it. Of more than 1,000 tables, the last are
            counted together, as "others".
        files: the files, in the order in which they were imported.
        files_left_out: the files that could not be imported.
        imported_from: the releases after 0.5.2 that wrote rows, such as "0.7"; None if there
            are none. If there are, the store is for reading.
    """

    events: int = 0
    runs: int = 0
    specs: int = 0
    realm_profiles: int = 0
    left_out: list[Unreadable] = field(default_factory=list[Unreadable])
    more_left_out: int = 0
    other_tables: dict[str, int] = field(default_factory=dict[str, int])
    files: list[ImportedFile] = field(default_factory=list[ImportedFile])
    files_left_out: list[UnreadableFile] = field(default_factory=list[UnreadableFile])
    imported_from: str | None = None

    def describe_left_out(self) -> list[str]:
        """Return a line for each file, row and table that was left out."""
        lines = [*map(str, self.files_left_out), *map(str, self.left_out)]
        if self.more_left_out:
            lines.append(f"{self.more_left_out:,} more")
        for table, rows in self.other_tables.items():
            lines.append(f"table {table}: {count(rows, 'row')}, not of meerkat-mob 0.5.2")
        return lines


class ExportReport(NamedTuple):
    """The number of records exported, and what the reference's layout has no place for.

    Attributes:
        events: the number of events.
        runs: the number of runs.
        specs: the number of specs.
        realm_profiles: the number of realm profiles.
        left_out: the number of claims that are held, of consumers and of event keys, in words, such
            as "2 claims"; empty if there are none.
        unknown_events: the number of events that were written although meerkat-mob 0.5.2 does not
            know their kinds. It fails to read a page of events with one of them.
    """

    events: int
    runs: int
    specs: int
    realm_profiles: int
    left_out: tuple[str, ...] = ()
    unknown_events: int = 0


def add_file(report: ImportReport, file: ImportedFile) -> None:
    """Record a file that was imported, and its records."""
    report.files.append(file)
    report.events += file.events
    report.runs += file.runs
    report.specs += file.specs
    report.realm_profiles += file.realm_profiles


def add_table(report: ImportReport, table: str, rows: int) -> None:
    """Record the rows of a table that was left out."""
    known = report.other_tables
    name = brief(table)
    if name not in known and len(known) >= _MOST_LISTED:
        name = _OTHERS
    known[name] = known.get(name, 0) + rows


def leave_out(report: ImportReport, row: Unreadable) -> None:
    """Record a row that was left out."""
    if len(report.left_out) < _MOST_LISTED:
        report.left_out.append(row)
    else:
        report.more_left_out += 1
