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

from mobstore.cli.console import cell, new_console
from mobstore.maintenance.progress import Progress


@contextmanager
def progress_bar(title: str) -> Generator[Progress]:
    """Show a progress bar if standard error is a terminal; yield the function that advances it."""
    errors = new_console(stderr=True)
    columns = Bar(
        RenderableColumn(cell(title)),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with columns as bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)
