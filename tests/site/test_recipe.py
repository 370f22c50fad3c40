"""The recipe for distributions of Pyodide: valid, and the same as pyproject.toml."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib

import pytest
import yaml  # type: ignore[import-untyped]

from building import ROOT

RECIPE = ROOT / "web" / "recipe" / "meta.yaml"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="pyodide-build requires Python 3.12")
def test_pyodide_build_accepts_it() -> None:
    spec = importlib.import_module("pyodide_build.recipe.spec")
    recipe = spec.MetaConfig.from_yaml(RECIPE)
    assert (recipe.package.name, recipe.package.top_level) == ("mobstore", ["mobstore"])
    assert recipe.requirements.run == ["pydantic"]
    with pytest.raises(Exception, match="modules"):  # it checks names
        spec.MetaConfig.from_dict({"package": {"name": "x", "version": "1", "modules": []}})


def test_it_agrees_with_the_project() -> None:
    recipe = yaml.safe_load(RECIPE.read_bytes())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert recipe["package"]["name"] == project["name"]
    assert recipe["package"]["version"] == project["version"]
    assert recipe["about"] == {
        "home": project["urls"]["Homepage"],
        "summary": project["description"],
        "license": project["license"],
    }
    requirements = [re.split("[><=]", text)[0] for text in project["dependencies"]]
    assert recipe["requirements"]["run"] == requirements
    assert (RECIPE.parent / recipe["source"]["path"]).resolve() == ROOT
