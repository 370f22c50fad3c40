"""The example notebooks work in Jupyter, and are stored without outputs."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import mobstore
from notebooks.outputs import (
    FIRST_STEPS,
    NOTEBOOKS,
    YESTERDAY,
    Cell,
    check_first_steps,
    check_yesterday,
    outputs_of,
)

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
KERNEL = "mobstore-tests"


def read(file: Path) -> nbformat.NotebookNode:
    notebook: object = nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
    assert isinstance(notebook, nbformat.NotebookNode)
    return notebook


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a working directory, with a kernel of this Python and no settings of the user."""
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = tmp_path / "kernels" / KERNEL
    kernel.mkdir(parents=True)
    kernel.joinpath("kernel.json").write_text(
        json.dumps({"argv": command, "display_name": KERNEL, "language": "python"})
    )
    work = tmp_path / "work"
    work.mkdir()
    return work


def run(file: Path, folder: Path) -> dict[str, Cell]:
    """Run all cells in a new kernel; return their outputs by id."""
    notebook = read(file)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name=KERNEL, timeout=60, resources=resources).execute()
    return outputs_of(notebook)


@pytest.mark.slow
def test_first_steps(folder: Path) -> None:
    check_first_steps(run(FIRST_STEPS, folder), "sqlite:first-steps.db")


@pytest.mark.slow
def test_running_it_again_continues_with_the_same_store(folder: Path) -> None:
    run(FIRST_STEPS, folder)
    cells = run(FIRST_STEPS, folder)
    assert cells["spec"].printed.startswith("spec newsroom, revision 2\n")
    assert re.findall(r"<tr><td>(\d+)<", cells["events"].shown) == ["4", "5", "6"]
    assert cells["close"].printed == "kept in sqlite:first-steps.db: events 6, runs 2\n"

    async def stored() -> list[mobstore.MobRun]:
        url = f"sqlite:{folder / 'first-steps.db'}"
        async with mobstore.open_stores(url, create=False) as stores:
            return await stores.runs.list_runs("newsroom")

    runs = asyncio.run(stored())
    assert [(one.status, len(one.step_ledger), len(one.frames)) for one in runs] == [
        ("running", 2, 1)
    ] * 2


@pytest.mark.slow
def test_yesterday(folder: Path) -> None:
    (folder / "tide-desk.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    check_yesterday(run(YESTERDAY, folder))
    assert sorted(path.name for path in folder.iterdir()) == ["tide-desk.db"]


@pytest.mark.parametrize("file", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda file: file.stem)
def test_it_is_valid_and_without_outputs(file: Path) -> None:
    notebook = read(file)
    nbformat.validate(notebook)
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.execution_count, cell.outputs) == (None, [])
