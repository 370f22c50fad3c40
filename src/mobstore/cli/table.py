"""A table as wide as the terminal, or a list if the terminal is too narrow."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from mobstore.cli.console import cell

# Columns that are never broken: people copy ids and times, and a bar in two lines is wrong.
_WHOLE = {
    "", "run", "cursor", "time", "created", "status", "steps", "failures", "revision", "updated",
    "key", "when", "claim", "epoch", "expires", "due",
}  # fmt: skip

_LEAST = 16
"""The least width of any other column, unless its text is shorter."""

_GAP = 2  # between columns
_EDGES = 2
_INDENT = "  "


class AdaptiveTable:
    """Rows under a title, with a header if the columns have names.

    It is a table if all columns fit: ids and times unbroken, other text at least `_LEAST`
    characters wide. Otherwise it is a list: each row becomes pairs of column name and value, as
    many on a line as fit. So no text is cut, and no column is dropped.
    """

    def __init__(self, title: str, *columns: str, right: Sequence[int] = ()) -> None:
        """Create a table without rows; `right` lists the columns that are aligned to the right."""
        self.title: Text = cell(title, "bold")
        self.columns: tuple[str, ...] = columns
        self.right: Sequence[int] = right
        self.rows: list[list[Text]] = []

    def add_row(self, *cells: object) -> None:
        """Add a row with a value for each column; `cell` converts those that are no `Text`."""
        self.rows.append([one if isinstance(one, Text) else cell(one) for one in cells])

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Generator[Table | Text]:
        """Yield the table or the lines of the list to rich."""
        width = options.max_width
        # Not as rich's title, which is as narrow as the table: people copy URLs.
        yield from self.title.wrap(console, width, overflow="fold")
        if self.least_width() <= width:
            yield self._table()
        else:
            yield from self._list(console, width)

    def least_width(self) -> int:
        """Return the width of the narrowest terminal in which it is a table."""
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
        table = Table(
            show_header=any(self.columns),
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        for place, name in enumerate(self.columns):
            table.add_column(
                name,
                overflow="fold",
                no_wrap=name in _WHOLE,
                justify="right" if place in self.right else "left",
            )
        for row in self.rows:
            table.add_row(*row)
        return table

    def _list(self, console: Console, width: int) -> Generator[Text]:
        yield Text()
        for row in self.rows:
            line = Text()
            for place, (name, value) in enumerate(zip(self.columns, row, strict=True)):
                if not value:
                    continue
                pair = Text.assemble((f"{name} " if name else "", "dim"), value)
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
