"""The read-only engine forwards every call that it does not reject."""

from __future__ import annotations

from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.scripts.transaction import Engine


def test_nothing_is_answered_by_a_default() -> None:
    asked = {name for name in vars(Engine) if not name.startswith("_")}
    assert asked
    assert asked - vars(ReadOnlyEngine).keys() == set()
