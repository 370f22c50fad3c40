"""The arrows between the rooms of the package go one way."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import mobstore

ROOT = Path(mobstore.__file__).parent

# The arrows of the package: which rooms a room may import. There is no exception to them.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "scripts": {"errors"},
    "model": {"errors"},
    "codec": {"scripts", "model", "errors"},
    "engines": {"scripts", "model", "errors"},
    "operations": {"codec", "scripts", "model", "errors"},
    "stores": {"operations", "engines", "codec", "scripts", "model", "errors"},
    "maintenance": {"stores", "engines", "codec", "scripts", "model", "errors"},
    "notebook": {"stores", "model", "errors"},
    "meerkat": {
        "maintenance",
        "stores",
        "operations",
        "engines",
        "codec",
        "scripts",
        "model",
        "errors",
    },
    "_api": {"notebook", "stores", "scripts", "model", "errors"},
    "__init__": {"_api", "maintenance", "meerkat", "notebook", "model"},
    "testing": {
        "maintenance",
        "stores",
        "engines",
        "codec",
        "scripts",
        "model",
        "errors",
    },
    "cli": {
        "__init__",
        "maintenance",
        "meerkat",
        "notebook",
        "stores",
        "operations",
        "engines",
        "scripts",
        "model",
        "errors",
    },
    "__main__": {"cli"},
}
# The model is not among them: `Timestamp.now` reads the clock.
WITHOUT_IO = {"errors", "scripts", "codec", "operations"}
IO_MODULES = {"asyncio", "threading", "sqlite3", "time", "random", "pathlib", "os"}


class Import(NamedTuple):
    """An import: the importing module, the module, and the names."""

    module: str
    target: str
    names: tuple[str, ...]


@cache
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


@cache
def all_imports() -> Sequence[Import]:
    return [one for module, path in modules().items() for one in imports(module, path)]


def room(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def inner(one: Import) -> list[str]:
    """Return the modules that an import names, without the package's own name."""
    if one.target == "mobstore":
        return [name if name in modules() else "__init__" for name in one.names or ("",)]
    if one.target.startswith("mobstore."):
        target = one.target.removeprefix("mobstore.")
        # `from mobstore.engines import sqlite` names a module, too.
        deeper = [f"{target}.{name}" for name in one.names if f"{target}.{name}" in modules()]
        return deeper or [target]
    return []


def arrows() -> Iterator[tuple[str, str, str]]:
    """Yield the importing room, the imported room, and a line with the modules."""
    for one in all_imports():
        for target in inner(one):
            if room(target) != room(one.module):
                yield room(one.module), room(target), f"{one.module} imports {target}"


def test_rooms_are_those_named_here() -> None:
    assert {room(module) or "__init__" for module in modules()} == MAY_IMPORT.keys()


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_arrows(name: str) -> None:
    found = [(target, line) for importer, target, line in arrows() if importer == name]
    assert not [line for target, line in found if target not in MAY_IMPORT[name]]
    assert {target for target, _ in found} == MAY_IMPORT[name], "an arrow that nothing needs"


def test_arrows_go_one_way() -> None:
    """The rooms can be built in the order of this list."""
    built: set[str] = set()
    for name, needed in MAY_IMPORT.items():
        assert needed <= built, name
        built.add(name)


def test_a_room_that_lists_its_modules_lists_all() -> None:
    for module, path in modules().items():
        if path.name == "__init__.py":
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            named = set(re.findall(r"\b\w+\.py\b", text))
            there = {one.name for one in path.parent.glob("*.py")} - {path.name}
            assert named in (set(), there), module


def test_engines_do_not_know_each_other() -> None:
    """Engines share only listeners, the clock, locks that forks leave free, and turns."""
    engines = {"memory", "sqlite", "indexeddb", "postgres"}

    def engine(module: str) -> str:
        return module.removeprefix("engines.").split(".")[0]

    wrong = [
        f"{one.module} imports {target}"
        for one in all_imports()
        if room(one.module) == "engines"
        for target in inner(one)
        if room(target) == "engines" and engine(target) != engine(one.module)
        if engine(target) in engines
        or (engine(one.module) not in engines and engine(target) != "forks")
    ]
    assert not wrong


def test_what_decides_does_no_io() -> None:
    wrong = [
        f"{one.module} imports {one.target}"
        for one in all_imports()
        if room(one.module) in WITHOUT_IO and one.target.split(".")[0] in IO_MODULES
    ]
    assert not wrong


def test_private_names_stay_in_their_module() -> None:
    wrong = [
        f"{one.module} imports {name} of {one.target}"
        for one in all_imports()
        if inner(one)
        for name in one.names
        if name.startswith("_") and not (name.startswith("__") or name == "_api")
    ]
    assert not wrong


def loaded(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running some code."""
    code = f"import sys; before = set(sys.modules); {code}"
    code += "; print('\\n'.join(set(sys.modules) - before))"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("code", ["import mobstore", "from mobstore import *"])
def test_importing_the_package_is_light(code: str) -> None:
    """A page has no SQLite, and unused drivers and the command line are not loaded."""
    found = loaded(code)
    assert "mobstore" in found
    assert not {"sqlite3", "_sqlite3", "asyncio", "click", "rich", "psycopg", "hypothesis"} & found
    assert {name for name in found if name.startswith("mobstore.engines.")} <= {
        "mobstore.engines.clock",
        "mobstore.engines.forks",
        "mobstore.engines.listeners",
        "mobstore.engines.memory",
        "mobstore.engines.read_only",
        "mobstore.engines.turns",
    }
    assert "mobstore.notebook.html" not in found
    rooms = {room(name.removeprefix("mobstore.")) for name in found if name.startswith("mobstore.")}
    assert not rooms & {"cli", "maintenance", "meerkat", "testing"}


def test_psycopg_is_loaded_only_when_a_postgresql_store_is_opened() -> None:
    code = "import mobstore; mobstore.PostgresMobStores.open('postgresql://h/db')"
    found = loaded(f"{code}; mobstore.open_stores('sqlite:x.db'); import mobstore.cli.info")
    assert "mobstore.stores.postgres" in found
    assert "click" in found
    assert not {name for name in found if name.startswith(("psycopg", "mobstore.engines.postgres"))}


def test_memory_needs_no_driver() -> None:
    found = loaded("import mobstore; mobstore.open_stores('memory:')")
    assert "mobstore.engines.memory" in found
    assert not {"sqlite3", "mobstore.engines.sqlite", "asyncio"} & found


def test_help_is_light() -> None:
    """`mobstore --help` and the completion of a command's name import no command."""
    found = loaded(
        "from mobstore.cli.commands import cli; from contextlib import redirect_stdout; import io\n"
        "with redirect_stdout(io.StringIO()): cli.main(['--help'], standalone_mode=False)\n"
        "from click.shell_completion import ShellComplete\n"
        "offered = ShellComplete(cli, {}, 'mobstore', '_X').get_completions([], '')\n"
        "assert 'info' in {item.value for item in offered}"
    )
    assert {"click", "mobstore.cli.commands"} <= found
    assert not {"pydantic", "pydantic_core", "rich", "asyncio", "sqlite3", "mobstore._api"} & found


def test_a_command_imports_no_other() -> None:
    found = loaded("import mobstore.cli.info")
    assert not {"rich.progress", "mobstore._api", "mobstore.cli.display"} & found
    assert not {name for name in found if name.startswith(("mobstore.mai", "mobstore.mee"))}
