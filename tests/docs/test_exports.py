"""All types in public signatures can be imported from `mobstore`."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import datetime
import inspect
import os
import subprocess
import sys
import typing
from collections.abc import Iterator
from importlib.metadata import version
from types import ModuleType
from typing import Any

import pydantic
import pytest

import mobstore

PACKAGE: Any = mobstore  # type checkers do not see its `__all__`
OTHERS: tuple[ModuleType, ...] = (builtins, typing, collections.abc, datetime, os, pydantic)
OF_WHOLE_STORES = (
    "copy", "diff", "verify", "export_stores", "import_stores", "export_meerkat", "import_meerkat",
    "Summary", "Difference", "Problem", "Verification", "ImportReport", "ExportReport",
    "Unreadable", "ImportedFile", "UnreadableFile",
)  # fmt: skip
# Its methods are for authors of engines, with types of `mobstore.scripts.transaction`.
FOR_ENGINES = {"Engine"}


def public() -> list[str]:
    return [name for name in (*PACKAGE.__all__, *OF_WHOLE_STORES) if name not in FOR_ENGINES]


def annotated() -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield place, annotation and module of each public signature and public field."""
    for name in public():
        found = getattr(mobstore, name)
        if inspect.isfunction(found):
            yield from _of(name, found)
        if not inspect.isclass(found):
            continue
        for base in found.__mro__:
            if not base.__module__.startswith("mobstore"):
                continue
            module = vars(sys.modules[base.__module__])
            for field, annotation in vars(base).get("__annotations__", {}).items():
                if not field.startswith("_"):
                    yield f"{name}.{field}", str(annotation), module
            for method, raw in list(vars(base).items()):
                if base is mobstore.Subscription and method == "__init__":
                    continue  # created by `subscribe` and `watch`
                if method == "__init__" or not method.startswith("_"):
                    function = getattr(raw, "fget", getattr(raw, "__func__", raw))
                    if inspect.isfunction(function):
                        yield from _of(f"{name}.{method}", function)


def _of(name: str, function: object) -> Iterator[tuple[str, str, dict[str, object]]]:
    assert inspect.isfunction(function)
    for annotation in function.__annotations__.values():
        yield name, str(annotation), function.__globals__


def names_in(annotation: str) -> set[str]:
    try:
        tree = ast.parse(annotation, mode="eval")
    except SyntaxError:  # `repr` of a type, in modules without postponed annotations
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def is_ours(name: str, module: dict[str, object]) -> bool:
    value = module.get(name)
    if name == "Array":  # an annotated tuple; type checkers show the tuple
        return False
    if value is None or isinstance(value, (typing.TypeVar, ModuleType)):
        return False
    if any(vars(other).get(name) is value for other in OTHERS):
        return False
    return str(getattr(value, "__module__", "mobstore")).split(".")[0] in {
        "mobstore", "typing", "collections",
    }  # fmt: skip


def test_named_types_are_exported() -> None:
    missing: dict[str, set[str]] = {}
    seen = 0
    for where, annotation, module in annotated():
        for name in names_in(annotation):
            if is_ours(name, module):
                seen += 1
                if not hasattr(mobstore, name):
                    missing.setdefault(name, set()).add(where)
    assert seen > 200
    assert missing == {}


@pytest.mark.parametrize("name", OF_WHOLE_STORES)
def test_what_moves_whole_stores(name: str) -> None:
    assert getattr(mobstore, name).__name__ == name
    assert name in dir(mobstore)
    assert name not in PACKAGE.__all__


def test_the_version_is_that_of_the_distribution() -> None:
    assert mobstore.__version__ == version("mobstore")
    assert "__version__" in dir(mobstore)


def test_a_package_that_is_not_installed_has_no_version() -> None:
    code = """
import importlib.metadata
def missing(name): raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = missing
import mobstore
print(hasattr(mobstore, "__version__"))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ended.stdout == b"False\n"
