"""Fixtures of the tests of engines."""

from __future__ import annotations

import pytest

from mobstore.engines.sqlite import writer


@pytest.fixture(params=["written by the writer", "written at once"])
def both_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with small writes to SQLite on the writer's thread, then on the calling one."""
    monkeypatch.setattr(writer, "_QUICK", 0.0 if request.param == "written by the writer" else 60.0)
