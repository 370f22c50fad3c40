"""Commands that move whole stores: from engine to engine, into a file, out of one."""

from __future__ import annotations

import json
from pathlib import Path

import click

import mobstore
from mobstore.cli import display
from mobstore.cli.shared import json_option, open_present, progress_bar, runs_async, url_argument
from mobstore.engines.sqlite.file import is_database
from mobstore.errors import ReadFailedError
from mobstore.meerkat import ImportReport, check_source, export_meerkat, import_meerkat
from mobstore.transfer import Summary, check_file, export_stores, import_stores
from mobstore.transfer.files import new_file

_ZIP = b"PK"


@click.command()
@click.argument("source", metavar="URL")
@click.argument("target", metavar="NEW_URL")
@json_option
@runs_async
async def copy(source: str, target: str, *, as_json: bool) -> None:
    """Copy the store at URL into the empty or new store at NEW_URL.

    All of it is copied or nothing: cursors, revisions and times as they are.

    Example: mobstore copy sqlite:mobs.db sqlite:backup.db
    """
    async with open_present(source) as one, mobstore.open_stores(target) as other:
        with progress_bar("copying") as progress:
            summary = await mobstore.copy(one, other, progress=progress)
    _tell("copied", summary, as_json=as_json)


@click.command()
@url_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", "layout", type=click.Choice(["mobstore", "meerkat"]), default="mobstore",
    show_default=True,
    help="A zip of JSON lines, or the SQLite database of meerkat-mob 0.5.2.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
@runs_async
async def export(url: str, file: Path, *, layout: str, force: bool, as_json: bool) -> None:
    """Write the whole store at URL into FILE, which appears when all of it is there.

    \b
    Example: mobstore export sqlite:mobs.db mobs.zip
    Example: mobstore export sqlite:mobs.db mob.db --format meerkat
    """  # noqa: D301 - click's own mark
    async with open_present(url) as stores:
        with progress_bar("exporting") as progress:
            if layout == "meerkat":
                summary = await export_meerkat(stores, file, overwrite=force, progress=progress)
            else:
                with new_file(file, overwrite=force) as beside, beside.open("r+b") as opened:
                    summary = await export_stores(stores, opened, progress=progress)
    _tell("exported", summary, as_json=as_json)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@url_argument
@click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Of a database of meerkat-mob, leave out rows that cannot be read, and list them.",
)
@json_option
@runs_async
async def import_(file: Path, url: str, *, skip_unreadable: bool, as_json: bool) -> None:
    """Bring FILE into the empty or new store at URL.

    FILE is what export wrote, or a database of meerkat-mob 0.5.1 or 0.5.2; its content tells
    which. All of it comes over or nothing, and FILE is not changed.

    \b
    Example: mobstore import mobs.zip sqlite:mobs.db
    Example: mobstore import mob.db sqlite:mobs.db
    """  # noqa: D301 - click's own mark
    report: Summary | ImportReport
    if not _is_zip(file):
        check_source(file)  # before a store is made for it
        async with mobstore.open_stores(url) as stores:
            with progress_bar("importing") as progress:
                report = await import_meerkat(
                    file, stores, skip_unreadable=skip_unreadable, progress=progress
                )
    elif skip_unreadable:
        raise click.UsageError("--skip-unreadable is for databases of meerkat-mob")
    else:
        with file.open("rb") as opened:
            check_file(opened)
            async with mobstore.open_stores(url) as stores:
                with progress_bar("importing") as progress:
                    report = await import_stores(opened, stores, progress=progress)
    _tell("imported", report, as_json=as_json)


COMMANDS = (copy, export, import_)


def _is_zip(file: Path) -> bool:
    try:
        # SQLite is asked first: whatever else opens a database breaks the locks on it.
        if is_database(file):
            return False
        with file.open("rb") as opened:
            return opened.read(len(_ZIP)) == _ZIP
    except (OSError, ValueError) as error:
        raise ReadFailedError(f"{file} cannot be read: {type(error).__name__}") from error


def _tell(done: str, moved: Summary | ImportReport, *, as_json: bool) -> None:
    left_out = moved.left_out if isinstance(moved, ImportReport) else []
    summary = Summary(moved.events, moved.runs, moved.specs, moved.realm_profiles)
    if as_json:
        told = {**summary._asdict(), "left_out": list(map(str, left_out))}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        display.moved(display.console(), done, summary, left_out)
