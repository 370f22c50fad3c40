"""The reports of an import and of an export."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mobstore.model.text import brief, cut, plain

_MOST_LISTED = 1000
_LONGEST_REASON = 200  # characters


class Unreadable(NamedTuple):
    """A row of the source that could not be read."""

    table: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table}, key {self.key}: {self.reason}"


def unreadable(table: str, key: object, reason: str) -> Unreadable:
    """Describe a row that cannot be read, with its key and reason cut to a few words."""
    named = str(key) if isinstance(key, (str, int)) else type(key).__name__
    return Unreadable(table, brief(named), plain(cut(reason, _LONGEST_REASON)))


@dataclass
class ImportReport:
    """The number of records imported, and the rows left out because they could not be read.

    Attributes:
        events: the number of events.
        runs: the number of runs.
        specs: the number of specs.
        realm_profiles: the number of realm profiles.
        left_out: the first 1,000 rows that were left out; their keys and reasons are cut.
        more_left_out: how many more were left out.
        other_tables: the number of rows of tables that are not those of 0.5.2, by table. They were
            left out. A table without rows is not in it.
    """

    events: int = 0
    runs: int = 0
    specs: int = 0
    realm_profiles: int = 0
    left_out: list[Unreadable] = field(default_factory=list[Unreadable])
    more_left_out: int = 0
    other_tables: dict[str, int] = field(default_factory=dict[str, int])


class ExportReport(NamedTuple):
    """The number of records exported, and what the reference's layout has no place for.

    Attributes:
        events: the number of events.
        runs: the number of runs.
        specs: the number of specs.
        realm_profiles: the number of realm profiles.
        left_out: the number of claims that are held, of consumers and of event keys, in words, such
            as "2 claims"; empty if there are none.
    """

    events: int
    runs: int
    specs: int
    realm_profiles: int
    left_out: tuple[str, ...] = ()


def leave_out(report: ImportReport, row: Unreadable) -> None:
    """Record a row that was left out."""
    if len(report.left_out) < _MOST_LISTED:
        report.left_out.append(row)
    else:
        report.more_left_out += 1
