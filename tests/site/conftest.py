"""The built site."""

from __future__ import annotations

from pathlib import Path

import pytest

import build_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fresh build; the first build downloads."""
    folder = tmp_path_factory.mktemp("site")
    build_site.build(folder)
    return folder
