"""No public function has `Any` in its signature."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

import mobstore
import mobstore.testing

MODULES = (mobstore, mobstore.testing)


def functions(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield the public functions of a module and the public methods of its classes."""
    for name in dir(module):
        if name == "Engine":  # its scripts have rows of any table
            continue
        found = getattr(module, name)
        if inspect.isfunction(found):
            yield name, found
        if inspect.isclass(found):
            for base in found.__mro__:
                if base.__module__.startswith("mobstore"):
                    for method, raw in list(vars(base).items()):
                        if base is mobstore.Subscription and method == "__init__":
                            continue  # created by `subscribe` and `watch`
                        function = getattr(raw, "__func__", raw)
                        if inspect.isfunction(function) and (
                            method == "__init__" or not method.startswith("_")
                        ):
                            yield f"{base.__name__}.{method}", function


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_public_signature_has_any(module: ModuleType) -> None:
    found = dict(functions(module))
    assert found
    vague: list[str] = []
    for name, function in found.items():
        assert callable(function)
        signature = inspect.signature(function)
        annotations = [parameter.annotation for parameter in signature.parameters.values()]
        if any("Any" in str(one) for one in (*annotations, signature.return_annotation)):
            vague.append(f"{name}{signature}")
    assert vague == []
