"""What an import tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mobstore.model.text import brief, cut, plain

_MOST_LISTED = 1000
_LONGEST_REASON = 200  # characters


class Unreadable(NamedTuple):
    """A row of the source that has no meaning to the reference either."""

    table: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table}, key {self.key}: {self.reason}"


def unreadable(table: str, key: object, reason: str) -> Unreadable:
    """A row that cannot be read, said in few words."""
    named = str(key) if isinstance(key, (str, int)) else type(key).__name__
    return Unreadable(table, brief(named), plain(cut(reason, _LONGEST_REASON)))


@dataclass
class ImportReport:
    """What an import brought, and what it left out because it could not be read.

    Attributes:
        events: how many.
        runs: how many.
        specs: how many.
        realm_profiles: how many.
        left_out: the first 1,000 rows that were left out; their keys and reasons are cut.
        more_left_out: how many more were left out.
    """

    events: int = 0
    runs: int = 0
    specs: int = 0
    realm_profiles: int = 0
    left_out: list[Unreadable] = field(default_factory=list[Unreadable])
    more_left_out: int = 0


def leave_out(report: ImportReport, row: Unreadable) -> None:
    """Note a row that was left out."""
    if len(report.left_out) < _MOST_LISTED:
        report.left_out.append(row)
    else:
        report.more_left_out += 1
