"""What all tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A loaded machine makes no test wrong.
settings.register_profile("mobstore", deadline=None)
settings.load_profile("mobstore")


_LONG = ("soak", "fuzz")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what runs for minutes, unless it is asked for."""
    asked = str(config.getoption("markexpr"))
    unasked = [mark for mark in _LONG if mark not in asked]
    left_out = [item for item in items if any(map(item.get_closest_marker, unasked))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
