"""Fixtures: inspectors of empty stores and of the sample."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pages import Page

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"


@pytest.fixture
def page() -> Iterator[Page]:
    """An inspector of an empty store."""
    page = Page()
    yield page
    page.close()


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A database written by meerkat-mob 0.5.2."""
    path = tmp_path / "tide-desk.db"
    path.write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    return path


@pytest.fixture
def tide_desk(page: Page, sample: Path) -> Page:
    """An inspector of the sample."""
    page.ask("import_file", path=str(sample))
    return page
