"""Commands that move whole stores: from engine to engine, into a file, out of one."""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

import click

import mobstore
from mobstore.cli import display
from mobstore.cli.decorators import async_command, is_url, json_option, url_argument
from mobstore.cli.output import json_line, refused
from mobstore.cli.progress import progress_bar
from mobstore.cli.stores import open_existing, open_new, temporary_folder
from mobstore.engines.sqlite.file import is_database
from mobstore.errors import ReadFailedError, WriteFailedError, reason
from mobstore.maintenance.output_file import check_not_in_use, new_file
from mobstore.maintenance.progress import Progress
from mobstore.maintenance.temporary_file import temporary_file
from mobstore.maintenance.transfer import (
    Summary,
    check_file,
    export_stores,
    import_stores,
)
from mobstore.meerkat import ImportReport, export_meerkat, import_meerkat
from mobstore.meerkat.database import check_source
from mobstore.stores.urls import parse_url

_ZIP = b"PK"


@click.command()
@click.argument("source", metavar="URL", callback=is_url)
@click.argument("target", metavar="NEW_URL", callback=is_url)
@json_option
@async_command
async def copy(source: str, target: str, *, as_json: bool) -> None:
    """Copy the store at URL into the empty or new store at NEW_URL.

    All of it is copied or nothing: cursors, revisions and times as they are.

    Example: mobstore copy sqlite:mobs.db sqlite:backup.db
    """
    async with open_existing(source) as one, open_new(target) as other:
        with progress_bar("copying") as progress:
            summary = await mobstore.copy(one, other, progress=progress)
    _tell("copied", summary, as_json=as_json)


@click.command()
@url_argument
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format", "layout", type=click.Choice(["mobstore", "meerkat"]), default="mobstore",
    show_default=True,
    help="A zip of JSON lines, or the SQLite database of meerkat-mob 0.5.2.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
@async_command
async def export(url: str, file: Path, *, layout: str, force: bool, as_json: bool) -> None:
    """Write the whole store at URL into FILE, which appears when all of it is there.

    FILE - is standard output; what else there is to say goes to stderr then.

    \b
    Example: mobstore export sqlite:mobs.db mobs.zip
    Example: mobstore export sqlite:mobs.db - | ssh host 'cat > mobs.zip'
    Example: mobstore export sqlite:mobs.db mob.db --format meerkat
    """  # noqa: D301 - click's own mark
    piped = str(file) == "-"
    if piped and sys.stdout.isatty():
        raise click.UsageError("a terminal shows no such file; name one, or lead - into a pipe")
    _refuse_itself(url, file)
    async with open_existing(url) as stores:
        with progress_bar("exporting") as progress:
            if piped:
                summary = await _to_output(stores, layout, progress)
            else:
                summary = await _to_file(stores, file, layout, progress, overwrite=force)
    _tell("exported", summary, as_json=as_json, stderr=piped)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@url_argument
@click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Of a database of meerkat-mob, leave out rows that cannot be read, and list them.",
)
@click.option(
    "--no-check",
    is_flag=True,
    help="Of a database of meerkat-mob, do not look for damage first.",
)
@json_option
@async_command
async def import_(
    file: Path, url: str, *, skip_unreadable: bool, no_check: bool, as_json: bool
) -> None:
    """Bring FILE into the empty or new store at URL.

    FILE is what export wrote, or a database of meerkat-mob 0.5.1 or 0.5.2; its content tells
    which. All of it comes over or nothing, and FILE is not changed.

    \b
    Example: mobstore import mobs.zip sqlite:mobs.db
    Example: mobstore import mob.db sqlite:mobs.db
    """  # noqa: D301 - click's own mark
    report: Summary | ImportReport
    if str(file) == "-":
        raise click.UsageError(
            "what comes through a pipe cannot be imported; save it to a file first"
        )
    if not _is_zip(file):
        check_source(file)  # before a store is made for it
        async with open_new(url) as stores:
            with progress_bar("importing") as progress:
                report = await import_meerkat(
                    file, stores, skip_unreadable=skip_unreadable, check=not no_check,
                    progress=progress,
                )  # fmt: skip
    elif skip_unreadable or no_check:
        option = "--skip-unreadable" if skip_unreadable else "--no-check"
        raise click.UsageError(f"{option} is for databases of meerkat-mob")
    else:
        with file.open("rb") as opened:
            check_file(opened)
            async with open_new(url) as stores:
                with progress_bar("importing") as progress:
                    report = await import_stores(opened, stores, progress=progress)
    _tell("imported", report, as_json=as_json)


COMMANDS = (copy, export, import_)


def _refuse_itself(url: str, file: Path) -> None:
    """Reject an export into the file of the store itself, which --force would replace."""
    place = parse_url(url)
    with suppress(OSError, ValueError):  # one of them is not there
        if place.engine == "sqlite" and file.samefile(place.name):
            raise WriteFailedError(f"{file} is the store itself; name another file")


async def _to_file(
    stores: mobstore.MobStores, file: Path, layout: str, progress: Progress, *, overwrite: bool
) -> Summary:
    if layout == "meerkat":
        return await export_meerkat(stores, file, overwrite=overwrite, progress=progress)
    with new_file(file, overwrite=overwrite) as beside, beside.open("r+b") as opened:
        return await export_stores(stores, opened, progress=progress)


async def _to_output(stores: mobstore.MobStores, layout: str, progress: Progress) -> Summary:
    check_not_in_use(sys.stdout.buffer)  # as `>> mobs.db` would make it
    if layout == "mobstore":
        with temporary_file() as made:
            summary = await export_stores(stores, made, progress=progress)
            made.seek(0)
            _pour(made)
        return summary
    with temporary_folder() as folder:  # SQLite needs a name
        place = Path(folder, "file")
        summary = await export_meerkat(stores, place, progress=progress)
        with place.open("rb") as made:  # noqa: ASYNC230 - nothing else runs
            _pour(made)
    return summary


def _pour(file: BinaryIO) -> None:
    """Write a whole file to standard output."""
    out = sys.stdout.buffer
    try:
        while piece := file.read(2**20):
            while piece:  # unbuffered, it may take a part of it only
                piece = piece[out.write(piece) :]
        out.flush()
    except BrokenPipeError:
        raise  # whoever reads it has seen enough
    except OSError as error:
        raise WriteFailedError(refused(error)) from error


def _is_zip(file: Path) -> bool:
    try:
        # SQLite is asked first: whatever else opens a database breaks the locks on it.
        if is_database(file):
            return False
        with file.open("rb") as opened:
            return opened.read(len(_ZIP)) == _ZIP
    except (OSError, ValueError) as error:
        raise ReadFailedError(f"{file} cannot be read: {reason(error)}") from error


def _tell(done: str, moved: Summary | ImportReport, *, as_json: bool, stderr: bool = False) -> None:
    imported = moved if isinstance(moved, ImportReport) else ImportReport()
    left_out, more = list(map(str, imported.left_out)), imported.more_left_out
    summary = Summary(moved.events, moved.runs, moved.specs, moved.realm_profiles)
    # Of an export that is piped, its exit code tells as well.
    with suppress(OSError) if stderr else nullcontext():
        if as_json:
            told = {**summary._asdict(), "left_out": left_out, "more_left_out": more}
            json_line(told, sys.stderr if stderr else sys.stdout)
        else:
            left_out += [f"{more:,} more"] if more else []
            display.moved(display.console(stderr=stderr), done, summary, left_out)
