"""Rows for people, as wide as the terminal: a table, or where that has no room a list."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from mobstore.cli.output import cell

# Never broken: ids and times are for copying, and a narrow bar would mean another time.
_WHOLE = {
    "", "run", "cursor", "time", "created", "status", "steps", "failures", "revision", "updated",
    "key", "when",
}  # fmt: skip

_LEAST = 16
"""Characters that a column of other text keeps, unless it needs fewer."""

_GAP = 2  # between columns
_EDGES = 2
_INDENT = "  "


class AdaptiveTable:
    """Rows under a title; without names of columns they have no head.

    It is a table if all columns have room: ids and times in one piece, other text at least
    `_LEAST` characters a line. If not, it is a list: of each row what its columns hold,
    with their names, as much on a line as there is room for. So nothing is cut, no column lost.
    """

    def __init__(self, title: str, *columns: str, right: Sequence[int] = ()) -> None:
        """Begin without rows; the columns at the places in `right` are justified to the right."""
        self.title: Text = cell(title, "bold")
        self.columns: tuple[str, ...] = columns
        self.right: Sequence[int] = right
        self.rows: list[list[Text]] = []

    def add_row(self, *cells: object) -> None:
        """Add a row: a cell for each column; what `cell` has not made goes through it here."""
        self.rows.append([of if isinstance(of, Text) else cell(of) for of in cells])

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Generator[Table | Text]:
        """Give rich what it prints."""
        width = options.max_width
        if self.least_width() <= width:
            yield self._table()
        else:
            yield from self._list(console, width)

    def least_width(self) -> int:
        """The least width of a terminal in which it is a table."""
        return _EDGES + sum(
            _GAP + (natural if name in _WHOLE else min(natural, max(_LEAST, cell_len(name))))
            for name, natural in zip(self.columns, self._natural(), strict=True)
        )

    def _natural(self) -> list[int]:
        return [
            max([cell_len(name), *(row[place].cell_len for row in self.rows)])
            for place, name in enumerate(self.columns)
        ]

    def _table(self) -> Table:
        made = Table(
            title=self.title,
            title_justify="left",
            show_header=any(self.columns),
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        for place, name in enumerate(self.columns):
            made.add_column(
                name,
                overflow="fold",
                no_wrap=name in _WHOLE,
                justify="right" if place in self.right else "left",
            )
        for row in self.rows:
            made.add_row(*row)
        return made

    def _list(self, console: Console, width: int) -> Generator[Text]:
        yield from self.title.wrap(console, width, overflow="fold")
        yield Text()
        for row in self.rows:
            line = Text()
            for place, (name, held) in enumerate(zip(self.columns, row, strict=True)):
                if not held:
                    continue
                pair = Text.assemble((f"{name} " if name else "", "dim"), held)
                if line and line.cell_len + _GAP + pair.cell_len <= width:
                    line = Text(" " * _GAP).join([line, pair])
                    continue
                if line:
                    yield line
                indent = _INDENT if place and width > _LEAST else ""
                *whole, line = [
                    Text.assemble(indent, part)
                    for part in pair.wrap(console, width - len(indent), overflow="fold")
                ]
                yield from whole
            yield line
        yield Text()
