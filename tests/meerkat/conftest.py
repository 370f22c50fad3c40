"""A sample database of the reference."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of a database that meerkat-mob 0.5.2 wrote."""
    path = tmp_path / "source" / "tide-desk.db"
    path.parent.mkdir()
    path.write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    return path
