"""The public names of the package."""

from __future__ import annotations

from typing import Any, get_args

import mobstore
from mobstore.model.event import MobEventKind

PACKAGE: Any = mobstore  # type checkers do not see its `__all__`


def test_every_name_exists() -> None:
    for name in PACKAGE.__all__:
        assert hasattr(mobstore, name), name


def test_every_kind_of_event_is_public() -> None:
    kinds = get_args(get_args(MobEventKind)[0])
    assert len(kinds) > 20
    assert {kind.__name__ for kind in kinds} <= set(PACKAGE.__all__)


def test_names_are_sorted_and_stand_once() -> None:
    names = PACKAGE.__all__
    assert list(names) == sorted(names)
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("_")]


def test_a_star_brings_them_all() -> None:
    found: dict[str, object] = {}
    exec("from mobstore import *", found)  # noqa: S102 - the only way to write it in a function
    assert found.keys() - {"__builtins__"} == set(PACKAGE.__all__)


def test_public_classes_have_a_text() -> None:
    documented = ("Record", "Error", "Store", "Stores", "Kernel", "Timestamp", "Opening")
    for name in PACKAGE.__all__:
        if name.endswith(documented):
            assert getattr(mobstore, name).__doc__, name
