"""The example notebooks, and the outputs that their cells have in every Jupyter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

NOTEBOOKS = Path(__file__).parents[2] / "web" / "notebooks"
FIRST_STEPS, YESTERDAY = NOTEBOOKS / "first-steps.ipynb", NOTEBOOKS / "yesterday.ipynb"


class Cell(NamedTuple):
    """The outputs of a cell: printed text and HTML."""

    printed: str
    shown: str

    def shows(self, *texts: str) -> bool:
        return all(text in self.shown for text in texts)


def outputs_of(notebook: Mapping[str, Any]) -> dict[str, Cell]:
    """Return the outputs of the cells of code, by id; all of them have run without an error."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    return {cell["id"]: _outputs(cell["outputs"]) for cell in cells}


def _outputs(outputs: list[dict[str, Any]]) -> Cell:
    printed = shown = ""
    for output in outputs:
        if output["output_type"] == "execute_result":
            shown += "".join(output["data"]["text/html"])
            assert re.fullmatch("<[A-Z].*>", "".join(output["data"]["text/plain"]))  # on one line
        else:
            assert output.get("name") == "stdout", output  # no warning
            printed += "".join(output["text"])
    return Cell(printed, shown)


def check_first_steps(cells: dict[str, Cell], url: str) -> None:
    """Check the outputs in a new store."""
    assert {name: cell.printed for name, cell in cells.items()} == {
        "place": "",
        "open": f"open: {url}\n",
        "spec": "spec newsroom, revision 1\n",
        "events": "",
        "run": "worker A: started the run\nworker B: refused, it is started already\n",
        "step": "first report accepted: True\nsecond report accepted: False\n",
        "result": "",
        "dicts": "rosa dispatched research\nrosa completed research\n",
        "close": f"kept in {url}: events 3, runs 1\n",
    }
    assert {name for name, cell in cells.items() if cell.shown} == {
        *("spec", "events", "result", "close"),
    }
    assert cells["spec"].shows("newsroom", "Finds out what happened", "Make one page of them.")
    assert cells["events"].shows("3 records", "mob_created", "meerkat_spawned", "rosa", "edgar")
    assert cells["result"].shows("1 step by 1 member", "research by rosa: completed")
    assert cells["result"].shows("research: Completed", "write: Ready", "The tide was high.")
    assert cells["close"].shows("newsroom", "realm profiles")


def check_yesterday(cells: dict[str, Cell]) -> None:
    """Check the report on the sample."""
    assert {name: cell.printed for name, cell in cells.items()} == {
        "open": "imported 99 events and 8 runs\n",
        "failures": "08:00:53 step_target_failed outline attempt 1 timed out\n"
        "08:01:10 step_target_failed research attempt 1 timed out\n"
        "08:01:26 step_target_failed draft attempt 1 timed out\n"
        "08:01:39 step_target_failed signoff attempt 1 timed out\n"
        "08:03:49 flow_failed None quorum not met\n",
        "runs": "",
        "frame": "39 steps; the first: {'flow': 'polish', 'step': 'outline', 'member': 'editor-1', "
        "'status': 'completed', 'seconds': 3.128}\n",
        "durations": "",
        "members": "",
        "run": "08:00:51 outline attempt 1 timed out\n08:01:07 research attempt 1 timed out\n"
        "08:01:26 draft attempt 1 timed out\n08:01:38 signoff attempt 1 timed out\n",
        "close": "",
    }
    assert cells["open"].shows("tide-desk", "99")
    assert cells["runs"].shows("8 records", "completed at")
    assert cells["durations"].shows("<svg", ">outline<", ">3.7 s, at most 6.4 s<")
    assert cells["members"].shows("<svg", ">editor-1<", ">scout-3<", ">writer-1<")
    assert cells["run"].shows("6 steps by 5 members", "outline by editor-1: completed")
