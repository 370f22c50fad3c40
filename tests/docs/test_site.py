"""The documentation builds without a warning and loads nothing from other hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict",
         "--config-file", ROOT / "docs" / "config" / "mkdocs.yml", "--site-dir", folder],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert (built.returncode, built.stdout + built.stderr) == (0, "")
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()


def test_what_it_loads_is_in_it(site: Path) -> None:
    """Scripts, styles and pictures are local; links may go elsewhere."""
    loads = re.compile(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]*)"|<link\b[^>]*>')
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        for match in loads.finditer(page.read_text(encoding="utf-8")):
            target = match[1] or re.findall(r'\bhref="([^"]*)"', match[0])[0]
            assert not re.match(r"\w+:|//", target), f"{page.name} loads {target}"
            assert page.name == "404.html" or (page.parent / target).exists(), target


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("api/stores.html", "append_batch"),  # from a docstring
        ("api/stores.html", "cas_complete_loop"),
        ("api/errors.html", "maybe_written"),
        ("writing-an-engine.html", "JournalEngine"),  # from a file of code
        ("start/library.html", "As a queue"),  # from the README
    ],
)
def test_what_pages_take_from_elsewhere_is_in_them(site: Path, page: str, name: str) -> None:
    assert name in (site / page).read_text(encoding="utf-8")
