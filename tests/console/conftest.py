"""Fixture: a console session."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator

import pytest

from support.shells import Shell


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A session on an empty store in memory."""
    shell = Shell()
    yield shell
    shell.close()
    del sys.modules["cells"]
    for file in [file for file in linecache.cache if file.startswith("<cell ")]:
        del linecache.cache[file]
