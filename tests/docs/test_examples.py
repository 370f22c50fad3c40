"""Code and commands of the pages print what the pages show, and links have targets."""

from __future__ import annotations

import ast
import asyncio
import gzip
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs.pages import PAGES, ROOT, Block, as_shown, blocks, name
from support.postgres import programs

if TYPE_CHECKING:
    from support.postgres.server import Server

SAMPLE = ROOT / "tests" / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
WORKER = ROOT / "docs" / "examples" / "worker.py"
IN_A_BROWSER = "indexeddb:"  # tests/browser/test_examples.py runs blocks with such a URL
ON_A_SERVER = "postgresql:"


def _with_server(page: Path) -> str:
    """Return the fixture that the code of a page needs, or ""."""
    code = [block.code for block in blocks(page, "python", "console")]
    return "postgres_as_in_pages" if any(ON_A_SERVER in text for text in code) else ""


@pytest.fixture
def postgres_as_in_pages(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A server that libpq chooses by default, with an empty database `mobs`."""
    postgres.create_database("mobs")
    monkeypatch.setenv("PGHOST", str(postgres.socket_folder))
    monkeypatch.setenv("PGPORT", str(postgres.port))
    monkeypatch.setenv("PGUSER", postgres.user)
    monkeypatch.setenv("PATH", f"{programs.path('psql').parent}:{os.environ['PATH']}")
    yield
    for database in ("mobs", "restored"):
        postgres.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "server"),
    [
        pytest.param(
            page,
            _with_server(page),
            id=name(page),
            marks=[pytest.mark.process] if blocks(page, "console") else [],
        )
        for page in PAGES
    ],
)
def test_the_code_of_a_page_does_what_it_shows(
    page: Path,
    server: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run all of a page in order, in a folder with the sample database as tide-desk.db."""
    if server:
        request.getfixturevalue(server)
    (tmp_path / "tide-desk.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    (tmp_path / "worker.py").write_bytes(WORKER.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in blocks(page, "python", "console"):
            where = f"{name(page)}:{block.line}"
            if block.language == "console":
                run_commands(block, where)
                continue
            if IN_A_BROWSER in block.code:
                continue
            code = compile(block.code, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            ended = eval(code, {"__name__": "__main__"} if block.alone else names)  # noqa: S307
            if inspect.iscoroutine(ended):
                runner.run(ended)
            printed = capsys.readouterr().out
            assert as_shown(printed, block.output), f"{where} printed\n{printed}"


def run_commands(block: Block, where: str) -> None:
    """Run each line with a prompt and compare its output, including errors, with the next lines."""
    shown = re.split(r"^\$ (.*)\n", block.code, flags=re.MULTILINE)[1:]
    for command, output in zip(shown[::2], shown[1::2], strict=True):
        ended = subprocess.run(
            ["bash", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
        assert as_shown(ended.stdout, output), f"{where}: {command} printed\n{ended.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.slow
def test_the_code_of_all_pages_has_the_types_that_it_should(tmp_path: Path) -> None:
    """Write a module per page and program, with the line numbers of the page."""
    config = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT / "docs" / "examples")]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    modules: list[Path] = []
    for page in PAGES:
        cells = [block for block in blocks(page, "python") if not block.alone]
        programs = [block for block in blocks(page, "python") if block.alone]
        stem = name(page).replace("/", ".")
        if cells:
            lines = ["async def page() -> None:", *[""] * 5000]
            for block in cells:
                for n, line in enumerate(block.code.splitlines(), block.line - 1):
                    lines[n] = f"    {line}" if line else ""
            modules.append(tmp_path / f"{stem}.cells.py")
            modules[-1].write_text("\n".join(lines).rstrip() + "\n")
        for block in programs:
            modules.append(tmp_path / f"{stem}.{block.line}.py")
            modules[-1].write_text("\n" * (block.line - 1) + block.code)
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *modules],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert checked.returncode == 0, checked.stdout
