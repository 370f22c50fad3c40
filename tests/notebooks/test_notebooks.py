"""The example notebook does in Jupyter what it says, and is kept without outputs."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import mobstore

NOTEBOOK = Path(__file__).parents[2] / "web" / "notebooks" / "first-steps.ipynb"
KERNEL = "mobstore-tests"


def read() -> nbformat.NotebookNode:
    notebook: object = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    assert isinstance(notebook, nbformat.NotebookNode)
    return notebook


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a notebook runs, with a kernel of this very Python and nothing of the user's."""
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


def printed(folder: Path) -> dict[str, str]:
    """Run all cells in a new kernel; what each printed, by its id."""
    notebook = read()
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name=KERNEL, timeout=60, resources=resources).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for output in (output for cell in cells for output in cell.outputs):
        assert output.get("name") == "stdout", output  # no warning, no forgotten result
    return {cell.id: "".join(output.text for output in cell.outputs) for cell in cells}


@pytest.mark.slow
def test_its_cells_print_what_the_text_says(folder: Path) -> None:
    cells = printed(folder)
    events = cells.pop("events")
    assert cells == {
        "place": "",
        "open": "open: sqlite:first-steps.db\n",
        "spec": "spec newsroom, revision 1\nflow morning: research → write\n",
        "run": "worker A: started the run\nworker B: refused, it is started already\n",
        "step": "first report accepted: True\nsecond report accepted: False\n",
        "result": "flow morning is running\n"
        "rosa completed research\n"
        "output of research: The tide was high. A ship came in.\n"
        "research is Completed\n"
        "write is Ready\n",
        "close": "kept in sqlite:first-steps.db: events 3, runs 1\n",
    }
    assert re.findall(r"^ +(\d+)  (\w+) +20\S+Z$", events, re.MULTILINE) == [
        ("1", "mob_created"),
        ("2", "meerkat_spawned"),
        ("3", "meerkat_spawned"),
    ]


@pytest.mark.slow
def test_running_it_again_goes_on_where_it_was(folder: Path) -> None:
    printed(folder)
    cells = printed(folder)
    assert cells["spec"].startswith("spec newsroom, revision 2\n")
    assert re.findall(r"^ +(\d+) ", cells["events"], re.MULTILINE) == ["4", "5", "6"]
    assert cells["close"] == "kept in sqlite:first-steps.db: events 6, runs 2\n"

    async def stored() -> list[mobstore.MobRun]:
        url = f"sqlite:{folder / 'first-steps.db'}"
        async with mobstore.open_stores(url, create=False) as stores:
            return await stores.runs.list_runs("newsroom")

    runs = asyncio.run(stored())
    assert [(run.status, len(run.step_ledger), len(run.frames)) for run in runs] == [
        ("running", 1, 1)
    ] * 2


def test_it_is_kept_valid_and_without_outputs() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.execution_count, cell.outputs) == (None, [])
