"""The example notebooks work in Jupyter, and are stored without outputs."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient

import mobstore

NOTEBOOKS = Path(__file__).parents[2] / "web" / "notebooks"
FIRST_STEPS, YESTERDAY = NOTEBOOKS / "first-steps.ipynb", NOTEBOOKS / "yesterday.ipynb"
GOLDEN = Path(__file__).parents[1] / "golden"
TIMED_OUT = (
    ("08:00:53", "outline"),
    ("08:01:10", "research"),
    ("08:01:26", "draft"),
    ("08:01:39", "signoff"),
)
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


class Cell(NamedTuple):
    """The outputs of a cell: printed text and HTML."""

    printed: str
    shown: str


def run(file: Path, folder: Path) -> dict[str, Cell]:
    """Run all cells in a new kernel; return their outputs by id."""
    notebook = read(file)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name=KERNEL, timeout=60, resources=resources).execute()
    return {cell.id: given(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"}


def given(outputs: list[nbformat.NotebookNode]) -> Cell:
    printed = shown = ""
    for output in outputs:
        if output.output_type == "execute_result":
            shown += output.data["text/html"]
            assert re.fullmatch("<[A-Z].*>", output.data["text/plain"])  # on one line
        else:
            assert output.get("name") == "stdout", output  # no warning
            printed += output.text
    return Cell(printed, shown)


def holds(cell: Cell, *texts: str) -> bool:
    return all(text in cell.shown for text in texts)


@pytest.mark.slow
def test_outputs_of_its_cells(folder: Path) -> None:
    cells = run(FIRST_STEPS, folder)
    assert {name: cell.printed for name, cell in cells.items()} == {
        "place": "",
        "open": "open: sqlite:first-steps.db\n",
        "spec": "spec newsroom, revision 1\n",
        "events": "",
        "run": "worker A: started the run\nworker B: refused, it is started already\n",
        "step": "first report accepted: True\nsecond report accepted: False\n",
        "result": "",
        "dicts": "rosa dispatched research\nrosa completed research\n",
        "close": "kept in sqlite:first-steps.db: events 3, runs 1\n",
    }
    assert {name for name, cell in cells.items() if cell.shown} == {
        *("spec", "events", "result", "close"),
    }
    assert holds(cells["spec"], "newsroom", "Finds out what happened", "Make one page of them.")
    assert holds(cells["events"], "3 records", "mob_created", "meerkat_spawned", "rosa", "edgar")
    assert holds(cells["result"], "1 step by 1 member", "research by rosa: completed")
    assert holds(cells["result"], "research: Completed", "write: Ready", "The tide was high.")
    assert holds(cells["close"], "newsroom", "realm profiles")


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
def test_the_report_of_yesterday(folder: Path) -> None:
    sample = gzip.decompress((GOLDEN / "tide-desk-meerkat-0.5.2.db.gz").read_bytes())
    (folder / "tide-desk.db").write_bytes(sample)
    cells = run(YESTERDAY, folder)
    assert cells["open"].printed == "imported 99 events and 8 runs\n"
    assert cells["failures"].printed.splitlines() == [
        *(f"{time} step_target_failed {step} attempt 1 timed out" for time, step in TIMED_OUT),
        "08:03:49 flow_failed None quorum not met",
    ]
    assert cells["frame"].printed.startswith("39 steps; the first: {'flow': 'polish', ")
    assert "8 records" in cells["runs"].shown
    assert holds(cells["durations"], "<svg", ">outline<", ">research<", ">3.7 s, at most 6.4 s<")
    assert holds(cells["members"], ">editor-1<", ">scout-3<", ">writer-1<")
    assert holds(cells["run"], "12 steps by 5 members", "outline: completed")
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
