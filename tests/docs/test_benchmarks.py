"""The page of benchmarks: every row names an existing command and the current version."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import mobstore
from bench.browser.works import WORKS as IN_BROWSER
from bench.outcome import Check, Outcome, number
from bench.page import write
from bench.plot import Line, Panel, draw
from bench.postgres.works import WORKS as ON_POSTGRES
from bench.works import WORKS
from docs.pages import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
SVG = "{http://www.w3.org/2000/svg}"


def rows(page: Path) -> list[list[str]]:
    """Return the cells of each row that a benchmark has written."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| `bench")]


def test_every_row_has_its_command_and_this_version() -> None:
    commands = {f"--only {work}" for work in WORKS}
    commands |= {f"browser {work}" for work in IN_BROWSER}
    commands |= {f"postgres {work}" for work in ON_POSTGRES}
    for command, stamp, *_ in rows(PAGE):
        work = command.strip("`").removeprefix("bench ")
        assert re.sub(r"--(quick|rounds \d+) ", "", work) in commands
        assert re.fullmatch(re.escape(mobstore.__version__) + r" \(\w+\)", stamp)


def test_a_command_replaces_its_own_rows(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    shutil.copy(PAGE, page)
    machine = {"python": "3.13", "rounds": 7}

    def measure(work: str, *values: float) -> None:
        checks = [Check("speed: a / b", value, 0.5, spread=(0.1, 200)) for value in values]
        outcome = Outcome("work | play", "events/s", checks=checks)
        write(page, "Native", list(WORKS), machine, [(work, f"bench --only {work}", outcome)])

    measure("poll", 0.123, 0.5)
    measure("append-one", 1)
    measure("poll", 2)
    found = [
        row for row in rows(page) if row[0] in {"`bench --only poll`", "`bench --only append-one`"}
    ]
    assert [row[0] for row in found] == ["`bench --only append-one`", "`bench --only poll`"]
    assert found[1][2:] == ["work \\| play; speed: a / b", "2 x (0.1 to 200)", "at least 0.5"]
    text = page.read_text(encoding="utf-8")
    assert text.count("python 3.13, rounds 7") == 1
    assert re.findall("^## .*$", text, re.MULTILINE) == re.findall(
        "^## .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )


def test_files_are_written_beside_the_page(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    shutil.copy(PAGE, page)
    outcome = Outcome("growth", "", files={"plot.svg": "<svg/>"})
    write(page, "Native", list(WORKS), {}, [("growth", "bench --only growth", outcome)])
    assert (tmp_path / "plot.svg").read_text(encoding="utf-8") == "<svg/>"


def test_a_plot_names_every_line_apart_from_the_others() -> None:
    lines = [Line(f"line <{n}>", [1.0, 2.0, 2.0 + n / 100]) for n in range(5)]
    panels = [Panel("milliseconds", lines), Panel("MB", [Line("", [40.0, 51.0, 52.0])], 0)]
    text = draw("title", ["1", "10", "100"], [1, 10, 100], "rows", panels)
    plot = ElementTree.fromstring(text)  # noqa: S314 - just written
    texts = {text.text: float(text.attrib["y"]) for text in plot.iter(f"{SVG}text")}
    places = [texts[f"line <{n}> {number(line.values[-1])}"] for n, line in enumerate(lines)]
    assert all(above - below >= 15 for above, below in pairwise(places))
    assert len(list(plot.iter(f"{SVG}polyline"))) == 6
    assert {"1", "10", "0", "60"} <= texts.keys()  # the ends of both axes


def test_the_plot_in_the_page_exists() -> None:
    (name,) = re.findall(r"!\[[^]]+\]\((\w+\.svg)\)", PAGE.read_text(encoding="utf-8"))
    ElementTree.parse(PAGE.with_name(name))  # noqa: S314 - a file of the project
