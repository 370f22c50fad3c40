"""Run the command line: in this process where only its results matter, else in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from mobstore.cli import main

RUN = "24ede6a4-6b4c-4242-8a23-d5962217bead"
"""A run of the sample database."""


class Ended(NamedTuple):
    """The exit code of a command, and its text on standard output and standard error."""

    code: int
    out: str
    errors: str


def run(
    *arguments: str | Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    device: Path | None = None,
) -> Ended:
    """Run a command in this process, with streams that are no terminals.

    Args:
        arguments: the arguments.
        folder: the current directory.
        environment: variables to set.
        encoding: the encoding of both streams, as in PYTHONIOENCODING; latin-1 keeps bytes.
        device: a file for standard output, which then is not returned.
    """
    codec, _, handler = encoding.partition(":")
    sink = device.open("wb") if device else io.BytesIO()
    out = io.TextIOWrapper(sink, codec, handler or "strict")
    errors = io.TextIOWrapper(io.BytesIO(), codec, handler or "strict", write_through=True)
    code: str | int | None = None
    with (
        contextlib.chdir(folder or "."),
        mock.patch.dict(os.environ, environment or {}),
        mock.patch.object(sys, "argv", ["mobstore", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    if isinstance(code, str):  # as Python does at the end of a process
        errors.write(f"{code}\n")
        code = 1
    written = sink.getvalue() if isinstance(sink, io.BytesIO) else b""
    out.close()  # Python does this at its end, too; it fails if a buffer cannot be written
    assert isinstance(errors.buffer, io.BytesIO)
    return Ended(code or 0, written.decode(codec), errors.buffer.getvalue().decode(codec))


def run_all(
    commands: Sequence[Sequence[str]], folder: Path, encoding: str = "utf-8"
) -> tuple[str, str]:
    """Run commands in this process; return both streams, with a line for each start and end."""
    out = errors = ""
    for command in commands:
        ended = run(*command, folder=folder, encoding=encoding)
        out += f":: {command[0]}\n{ended.out}:: ended with {ended.code}\n"
        errors += ended.errors
    return out, errors


def run_process(
    *arguments: str | Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    code: str = "from mobstore.cli import main; main()",
) -> Ended:
    """Run a command in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **(environment or {})},
    )
    assert "Traceback" not in ended.stderr
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def reading(url: str = "sqlite:mobs.db", run_id: str = RUN) -> list[list[str]]:
    """Return the commands that show a store and do not write."""
    return [
        ["info", url],
        ["events", url],
        ["runs", url],
        ["run", url, run_id],
        ["claims", url],
        ["specs", url],
        ["profiles", url],
        ["consumers", url],
        ["verify", url],
        ["diff", url, url],
    ]


def writing(url: str = "sqlite:mobs.db", out: str = ".") -> list[list[str]]:
    """Return the commands that write a store into new files in a folder, and read them."""
    return [
        ["copy", url, f"sqlite:{out}/copy.db"],
        ["export", url, f"{out}/mobs.zip"],
        ["export", url, f"{out}/back.db", "--format", "meerkat"],
        ["import", f"{out}/mobs.zip", f"sqlite:{out}/new.db"],
    ]


def names(commands: Sequence[Sequence[str]]) -> set[str]:
    """Return the names of the commands."""
    return {command[0] for command in commands}
