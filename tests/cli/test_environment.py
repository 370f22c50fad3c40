"""Unusual encodings, environment variables and streams."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mobstore
from cli.command_line import run
from mobstore.testing.samples import definition, full_run, profile, run_id

ODD = "Café-日本-🦦-e\u0301"
RUN = str(run_id(1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{folder / 'mobs.db'}") as stores:
            await stores.runs.create_run(full_run(1, mob=ODD, flow=ODD))
            await stores.specs.put_spec(ODD, definition(ODD))
            await stores.realm_profiles.create(ODD, profile(ODD))

    asyncio.run(fill())
    return folder


def started(folder: Path, command: str, **environment: str) -> tuple[int, bytes, bytes]:
    """Run a shell command in which `mobstore` is the command line."""
    ended = subprocess.run(
        ["sh", "-c", command.replace("mobstore", f"{sys.executable} -m mobstore")],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    "encoding",
    ["latin-1:strict", "utf-7", "utf-32", "shift_jis", "iso2022_jp", "cp037:ignore", "punycode"],
)
def test_any_encoding(folder: Path, encoding: str) -> None:
    ended = run("run", "sqlite:mobs.db", RUN, folder=folder, encoding=encoding)
    assert (ended.code, ended.errors) == (0, "")
    assert f"run {RUN}" in ended.out


def test_an_encoding_of_the_environment(folder: Path) -> None:
    code, out, errors = started(
        folder, f"mobstore run sqlite:mobs.db {RUN}", PYTHONIOENCODING="shift_jis:strict"
    )
    assert (code, errors) == (0, b"")
    assert f"run {RUN}" in out.decode("shift_jis")


@pytest.mark.parametrize(
    "variable",
    ["COLUMNS=²", f"LINES={'9' * 5000}", "COLUMNS=0", "COLUMNS=-1", "TERM=", "FORCE_COLOR=1"],
    ids=lambda variable: variable[:12],
)
def test_any_variable(folder: Path, variable: str) -> None:
    name, _, value = variable.partition("=")
    ended = run("info", "sqlite:mobs.db", folder=folder, environment={name: value})
    assert (ended.code, ended.errors) == (0, "")
    assert "runs" in ended.out


@pytest.mark.parametrize(
    ("command", "code"),
    [("info", 2), ("info sqlite:missing.db", 1), ("nonsense", 2), ("info sqlite:mobs.db", 0)],
)
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_standard_error_that_cannot_be_written(
    folder: Path, command: str, code: int, where: str
) -> None:
    """Messages go to no other stream, and the exit code stays."""
    found, out, errors = started(folder, f"mobstore {command} {where}")
    assert (found, errors) == (code, b"")
    assert (out == b"") is (code != 0)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_no_stored_text(folder: Path, shell: str) -> None:
    """It offers names of commands and options only: a shell may run other text."""
    assert run("completion", shell).out.isascii()
    for word in ("", "sqlite:", "$(touch owned)"):
        variables = {
            "_MOBSTORE_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": f"mobstore run sqlite:mobs.db '{word}'",
            "COMP_CWORD": "3",
        }
        ended = run(folder=folder, environment=variables)
        assert (ended.code, ended.out.strip(), ended.errors) == (0, "", "")
    assert not (folder / "owned").exists()
