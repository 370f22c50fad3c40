"""Progress bars on standard error."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress as Bar,
    RenderableColumn,
    TaskProgressColumn,
    TimeRemainingColumn,
)

from mobstore.cli import display
from mobstore.cli.output import cell
from mobstore.maintenance.progress import Progress


@contextmanager
def progress_bar(doing: str) -> Generator[Progress]:
    """Show how far something is on stderr, while a person looks on."""
    errors = display.console(stderr=True)
    shown = Bar(
        RenderableColumn(cell(doing)),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with shown as bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)
