"""JupyterLite in the site: lean, on the Pyodide of the site, and kept by later builds."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

import build_site
import building
from lock_file import Lock
from serve import NOTEBOOKS_POLICY

NOTEBOOKS = Path(__file__).parents[2] / "web" / "notebooks"
MOST_BYTES = 32_000_000

pytestmark = pytest.mark.slow


def files(folder: Path) -> dict[str, bytes]:
    found = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


@pytest.fixture(scope="module")
def with_notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebooks")
    build_site.build(folder, notebooks=True)
    return folder


def test_the_rest_of_the_site_differs_by_a_link_alone(with_notebooks: Path, site: Path) -> None:
    plain, more = files(site), files(with_notebooks)
    differing = {name for name in plain | more if plain.get(name) != more.get(name)}
    added = {name for name in differing if name.startswith("jupyter/")}
    assert differing - added == {"index.html"}
    assert plain["index.html"].count(b'hidden><li><a href="jupyter/tree/index.html') == 1
    assert more["index.html"] == plain["index.html"].replace(
        b' hidden><li><a href="jupyter/', b'><li><a href="jupyter/'
    )
    assert sum(len(more[name]) for name in added) <= MOST_BYTES


def test_notebooks_and_sample_are_listed(with_notebooks: Path) -> None:
    folder = with_notebooks / "jupyter"
    listing = json.loads((folder / "api/contents/all.json").read_bytes())
    listed = {entry["path"]: entry["type"] for entry in listing["content"]}
    assert listed == {
        **{file.name: "notebook" for file in NOTEBOOKS.glob("*.ipynb")},
        "tide-desk.db": "file",
    }
    served = files(folder / "files")
    assert served["tide-desk.db"] == (with_notebooks / "samples/tide-desk.db").read_bytes()
    assert all(served[file.name] == file.read_bytes() for file in NOTEBOOKS.glob("*.ipynb"))
    assert served.keys() == listed.keys()


def test_every_wheel_of_the_lock_is_there(with_notebooks: Path) -> None:
    folder = with_notebooks / "jupyter"
    lock: Lock = json.loads((folder / "pyodide-lock.json").read_bytes())
    for entry in lock["packages"].values():
        wheel = folder / entry["file_name"]
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() == entry["sha256"]
    settings = json.loads((folder / "jupyter-lite.json").read_bytes())
    (kernel,) = settings["jupyter-config-data"]["litePluginSettings"].values()
    assert set(kernel["loadPyodideOptions"]["packages"]) < lock["packages"].keys()
    assert not any(name.endswith(".py") for name in files(folder))


def test_inline_scripts_are_those_of_the_policy(with_notebooks: Path) -> None:
    script = re.compile(
        rb"<script(?![^>]*(?:src=|application/json))[^>]*>(.*?)</script>", re.DOTALL
    )
    inline = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
        for page in (with_notebooks / "jupyter").rglob("*.html")
        for text in script.findall(page.read_bytes())
    }
    assert inline == set(re.findall(r"'sha256-[^']*'", NOTEBOOKS_POLICY))


def test_later_builds_keep_it_and_run_nothing(
    with_notebooks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(with_notebooks)
    commands: list[Sequence[str]] = []
    monkeypatch.setattr(building, "run", commands.append)
    build_site.build(with_notebooks)
    assert commands == []
    assert files(with_notebooks) == before
