"""The arrows between the rooms of the package go one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import mobstore

ROOT = Path(mobstore.__file__).parent

# A room not named here lies outside: it may look into all of them, and none of them into it.
MAY_KNOW: dict[str, set[str]] = {
    "errors": set(),
    "tables": set(),
    "listeners": {"tables", "transaction"},
    "model": {"errors"},
    "transaction": {"tables", "errors"},
    "held": {"tables", "transaction"},
    "arguments": {"model", "errors"},
    "rows": {"arguments", "model", "tables", "errors"},
    "operations": {"rows", "model", "tables", "transaction", "errors"},
    "interfaces": {"model", "errors"},
    "stores": {
        "interfaces",
        "arguments",
        "rows",
        "operations",
        "model",
        "tables",
        "transaction",
        "errors",
    },
    "atomic": {"held", "tables", "transaction", "errors"},
    "engines": {"held", "model", "tables", "transaction", "listeners", "errors"},
    "bundles": {
        "atomic",
        "engines",
        "stores",
        "interfaces",
        "operations",
        "transaction",
        "model",
        "errors",
    },
    "dicts": {"model", "errors"},
    "displays": {"bundles", "dicts", "model", "errors"},
}
# Models show themselves; what draws them is loaded when somebody looks.
BACKWARDS = {("model.shown", "displays.html")}
# The model is not among them: `Timestamp.now` asks the clock.
WITHOUT_IO = {
    "errors",
    "tables",
    "transaction",
    "held",
    "arguments",
    "rows",
    "operations",
    "atomic",
}
IO_MODULES = {"asyncio", "threading", "sqlite3", "time", "random", "pathlib", "os"}


class Import(NamedTuple):
    """One import: who, what, and which names of it."""

    module: str
    target: str
    names: tuple[str, ...]


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(ROOT.rglob("*.py"))
    }


def imports(module: str, path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide where an arrow goes"
            assert node.module is not None
            yield Import(module, node.module, tuple(alias.name for alias in node.names))


ALL = [one for module, path in modules().items() for one in imports(module, path)]


def room(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def inner(one: Import) -> list[str]:
    """The modules of the package that an import names, without the package's own name."""
    if one.target == "mobstore":
        return list(one.names) or [""]
    if one.target.startswith("mobstore."):
        target = one.target.removeprefix("mobstore.")
        # `from mobstore.engines import sqlite` names a module, too.
        deeper = [f"{target}.{name}" for name in one.names if f"{target}.{name}" in modules()]
        return deeper or [target]
    return []


def test_every_room_is_there() -> None:
    assert {room(module) for module in modules()} >= MAY_KNOW.keys()
    assert len([one for one in ALL if inner(one)]) > 50


@pytest.mark.parametrize("name", MAY_KNOW)
def test_arrows(name: str) -> None:
    wrong = [
        f"{one.module} imports {target}"
        for one in ALL
        if room(one.module) == name
        for target in inner(one)
        if room(target) != name and room(target) not in MAY_KNOW[name]
        if (one.module, target) not in BACKWARDS
    ]
    assert not wrong


def test_engines_do_not_know_each_other() -> None:
    def engine(module: str) -> str:
        return module.split(".")[1] if "." in module else ""

    wrong = [
        f"{one.module} imports {target}"
        for one in ALL
        if room(one.module) == "engines"
        for target in inner(one)
        if room(target) == "engines" and engine(target) != engine(one.module)
    ]
    assert not wrong


def test_what_decides_does_no_io() -> None:
    wrong = [
        f"{one.module} imports {one.target}"
        for one in ALL
        if room(one.module) in WITHOUT_IO and one.target.split(".")[0] in IO_MODULES
    ]
    assert not wrong


def test_rooms_outside_use_public_names_only() -> None:
    wrong = [
        f"{one.module} imports {name} of {one.target}"
        for one in ALL
        if room(one.module) not in MAY_KNOW and inner(one)
        for name in (*one.target.split("."), *one.names)
        if name.startswith("_") and not any(part.startswith("_") for part in one.module.split("."))
    ]
    assert not wrong


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running some code."""
    code = f"import sys; before = set(sys.modules); {code}"
    code += "; print('\\n'.join(set(sys.modules) - before))"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("code", ["import mobstore", "from mobstore import *"])
def test_importing_the_package_is_light(code: str) -> None:
    """A page has no SQLite, and nobody waits for a driver or a command line they do not use."""
    found = loaded(code)
    assert "mobstore" in found
    assert not {"sqlite3", "_sqlite3", "asyncio", "click", "rich", "psycopg", "hypothesis"} & found
    assert {name for name in found if name.startswith("mobstore.engines.")} <= {
        "mobstore.engines.memory",
        "mobstore.engines.read_only",
    }
    rooms = {room(name.removeprefix("mobstore.")) for name in found if name.startswith("mobstore.")}
    assert not rooms & {"cli", "displays", "meerkat", "testing", "transfer"}


def test_memory_needs_no_driver() -> None:
    found = loaded("import mobstore; mobstore.open_stores('memory:')")
    assert "mobstore.engines.memory" in found
    assert not {"sqlite3", "mobstore.engines.sqlite", "asyncio"} & found
