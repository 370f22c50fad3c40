"""Copy, export and import: commands that move whole stores."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console

import mobstore
from mobstore.cli.advice import check_url
from mobstore.cli.console import cell, new_console
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.output import describe_os_error, json_line
from mobstore.cli.progress import progress_bar
from mobstore.cli.stores import is_archive, open_existing, open_new, temporary_folder
from mobstore.errors import WriteFailedError
from mobstore.maintenance.output_file import check_not_in_use, new_file
from mobstore.maintenance.progress import Progress
from mobstore.maintenance.temporary_file import temporary_file
from mobstore.maintenance.transfer import (
    Summary,
    check_file,
    export_stores,
    import_stores,
)
from mobstore.meerkat import ExportReport, ImportReport, export_meerkat, import_meerkat
from mobstore.meerkat.database import check_source
from mobstore.meerkat.sources import find_sources, to_path
from mobstore.model.text import count
from mobstore.stores.urls import parse_url


@click.command()
@click.argument("source", metavar="URL", callback=check_url)
@click.argument("target", metavar="NEW_URL", callback=check_url)
@json_option
@async_command
async def copy(source: str, target: str, *, as_json: bool) -> None:
    """Copy the store at URL, all or nothing.

    The store at NEW_URL must be empty or new. Cursors, revisions and times stay the same.

    Example: mobstore copy sqlite:mobs.db sqlite:backup.db
    """
    async with open_existing(source) as one, open_new(target) as other:
        with progress_bar("copying") as progress:
            summary = await mobstore.copy(one, other, progress=progress)
    _report("copied", summary, as_json=as_json)


@click.command()
@url_argument
@click.argument("file", type=click.Path(allow_dash=True), is_eager=True)
@click.option(
    "--format", "layout", type=click.Choice(["mobstore", "meerkat"]), default="mobstore",
    show_default=True,
    help=(
        "A zip of JSON lines, or a SQLite database of meerkat-mob 0.5.2; if FILE is a directory, a"
        " database for each mob."
    ),
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@json_option
@async_command
async def export(url: str, file: str, *, layout: str, force: bool, as_json: bool) -> None:
    """Export the store at URL to FILE.

    FILE appears only when it is complete. If FILE is -, the export goes to standard output, and
    messages go to standard error.

    With --format meerkat, FILE may be an empty directory, or a new one if it ends with a slash. It
    gets a database for each mob, as the host of meerkat-mob keeps them, and realm_profiles.db.

    \b
    Example: mobstore export sqlite:mobs.db mobs.zip
    Example: mobstore export sqlite:mobs.db - | ssh host 'cat > mobs.zip'
    Example: mobstore export sqlite:mobs.db mob.db --format meerkat
    Example: mobstore export sqlite:mobs.db mobs/ --format meerkat
    """  # noqa: D301 - `\b` is click's
    piped, path = file == "-", to_path(file)
    if piped and sys.stdout.isatty():
        raise click.UsageError(
            "standard output is a terminal; name a file, or pipe the output into a command"
        )
    _reject_own_file(url, path)
    async with open_existing(url) as stores:
        with progress_bar("exporting") as progress:
            if piped:
                report = await _to_output(stores, layout, progress)
            else:
                report = await _to_file(stores, file, layout, progress, overwrite=force)
    _report("exported", report, as_json=as_json, stderr=piped)


@click.command("import")
@click.argument("file", type=click.Path(), is_eager=True)
@url_argument
@click.option(
    "--skip-unreadable",
    is_flag=True,
    help=(
        "For databases of meerkat-mob: leave out unreadable rows, and of a directory unreadable"
        " files, and list them."
    ),
)
@click.option(
    "--no-check",
    is_flag=True,
    help="For databases of meerkat-mob: do not check the files for corruption first.",
)
@click.option(
    "--into",
    is_flag=True,
    help=(
        "For databases of meerkat-mob: import into a store that is not empty, if no mob, run or"
        " realm profile of the files is in it."
    ),
)
@json_option
@async_command
async def import_(
    file: str, url: str, *, skip_unreadable: bool, no_check: bool, into: bool, as_json: bool
) -> None:
    """Import FILE into an empty or new store at URL, all or nothing.

    FILE is an export, a database of meerkat-mob, or a directory of such databases; the command
    detects which. Databases of 0.6 to 0.8 are read as an archive, which is experimental: no file
    of these releases was available to test it. FILE is not changed. Of a directory, all files *.db
    are imported, by name, and the events of each come after those of the files before: their
    cursors grow by a number that is printed.

    \b
    Example: mobstore import mobs.zip sqlite:mobs.db
    Example: mobstore import mob.db sqlite:mobs.db
    Example: mobstore import mobs/ sqlite:mobs.db
    """  # noqa: D301 - `\b` is click's
    path = to_path(file)
    if file == "-":
        raise click.UsageError("import cannot read from a pipe; save the data to a file first")
    options = {"--skip-unreadable": skip_unreadable, "--no-check": no_check, "--into": into}
    if not is_archive(path):
        files, several = find_sources(path)
        if not (several and skip_unreadable):
            for one in files:
                check_source(one)  # before a store is created
        async with open_new(url) as stores:
            with progress_bar("importing") as progress:
                report = await import_meerkat(
                    files if several else path, stores, skip_unreadable=skip_unreadable,
                    check=not no_check, into=into, progress=progress,
                )  # fmt: skip
        try:
            _report_import(report, as_json=as_json)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise WriteFailedError(
                f"the import is complete, but {describe_os_error(error)}"
            ) from error
    elif any(options.values()):
        option = next(name for name, is_set in options.items() if is_set)
        raise click.UsageError(f"{option} is only for databases of meerkat-mob")
    else:
        with path.open("rb") as opened:
            check_file(opened)
            async with open_new(url) as stores:
                with progress_bar("importing") as progress:
                    summary = await import_stores(opened, stores, progress=progress)
        _report("imported", summary, as_json=as_json)


COMMANDS = (copy, export, import_)


def _reject_own_file(url: str, file: Path) -> None:
    """Reject an export to the file of the store itself, which --force would replace."""
    place = parse_url(url)
    with suppress(OSError, ValueError):  # one of them does not exist
        if place.engine == "sqlite" and file.samefile(place.name):
            raise WriteFailedError(f"{file} is the store itself; name another file")


async def _to_file(
    stores: mobstore.MobStores, file: str, layout: str, progress: Progress, *, overwrite: bool
) -> Summary | ExportReport:
    path = Path(file)
    if layout == "meerkat":
        return await export_meerkat(
            stores, path, overwrite=overwrite, by_mob=_is_directory(file), progress=progress
        )
    with new_file(path, overwrite=overwrite) as beside, beside.open("r+b") as opened:
        return await export_stores(stores, opened, progress=progress)


def _is_directory(file: str) -> bool:
    return file.endswith(("/", os.sep)) or Path(file).is_dir()


async def _to_output(
    stores: mobstore.MobStores, layout: str, progress: Progress
) -> Summary | ExportReport:
    check_not_in_use(sys.stdout.buffer)  # as in `>> mobs.db`
    if layout == "mobstore":
        with temporary_file() as file:
            summary = await export_stores(stores, file, progress=progress)
            file.seek(0)
            _write_output(file)
        return summary
    with temporary_folder() as folder:  # SQLite needs a path
        path = Path(folder, "file")
        report = await export_meerkat(stores, path, progress=progress)
        with path.open("rb") as file:  # noqa: ASYNC230 - no other task runs
            _write_output(file)
    return report


def _write_output(file: BinaryIO) -> None:
    """Write a whole file to standard output."""
    out = sys.stdout.buffer
    try:
        while piece := file.read(2**20):
            while piece:  # an unbuffered stream may write only a part
                piece = piece[out.write(piece) :]
        out.flush()
    except BrokenPipeError:
        raise  # the reader needs no more
    except OSError as error:
        raise WriteFailedError(describe_os_error(error)) from error


def _report(
    verb: str, moved: Summary | ExportReport, *, as_json: bool, stderr: bool = False
) -> None:
    left_out = [] if isinstance(moved, Summary) else list(moved.left_out)
    summary = Summary(moved.events, moved.runs, moved.specs, moved.realm_profiles)
    # The exit code of a piped export is enough if standard error cannot be written.
    with suppress(OSError) if stderr else nullcontext():
        if as_json:
            line = {**summary._asdict(), "left_out": left_out, "more_left_out": 0}
            if isinstance(moved, ExportReport):
                line["unknown_events"] = moved.unknown_events
            json_line(line, sys.stderr if stderr else sys.stdout)
        else:
            console = new_console(stderr=stderr)
            print_summary(console, verb, summary, left_out)
            if isinstance(moved, ExportReport) and (unknown := moved.unknown_events):
                warning = (
                    f"meerkat-mob 0.5.2 cannot read {count(unknown, 'event')} of unknown kinds"
                )
                console.print(cell(warning, "yellow"))


def _report_import(report: ImportReport, *, as_json: bool) -> None:
    summary = Summary(report.events, report.runs, report.specs, report.realm_profiles)
    if as_json:
        json_line(
            {
                **summary._asdict(),
                "left_out": list(map(str, report.left_out)),
                "more_left_out": report.more_left_out,
                "other_tables": report.other_tables,
                "files": [file._asdict() for file in report.files],
                "files_left_out": [file._asdict() for file in report.files_left_out],
                "imported_from": report.imported_from,
            }
        )
        return
    console = new_console()
    print_summary(console, "imported", summary, report.describe_left_out())
    if report.imported_from is not None:
        console.print(f"imported from {report.imported_from}, for reading (experimental)")
    if len(report.files) > 1 or report.files[0].offset:
        for file in report.files:
            events = f"{count(file.events, 'event')}, cursors + {file.offset:,}"
            console.print(cell(f"{file.path}: {events if file.events else 'no events'}", "dim"))


def print_summary(
    console: Console, verb: str, summary: Summary, left_out: Iterable[object] = ()
) -> None:
    """Print how much was copied, exported or imported."""
    console.print(
        f"{verb} {count(summary.events, 'event')}, {count(summary.runs, 'run')},"
        f" {count(summary.specs, 'spec')}, {count(summary.realm_profiles, 'realm profile')}"
    )
    for unreadable in left_out:
        console.print(cell(f"left out: {unreadable}", "yellow"))
