"""Lets a page hold a section of the README: what stands there need not be written twice.

A line `<!-- README: Title -->` becomes the section of this title, without its heading.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_README = Path(__file__).parents[2] / "README.md"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the sections in; a title that the README does not have is an error."""
    readme = _README.read_text(encoding="utf-8")

    def section(found: re.Match[str]) -> str:
        _, heading, rest = readme.partition(f"\n## {found[1]}\n")
        if not heading:
            raise ValueError(f"the README has no section {found[1]!r}")
        return rest.partition("\n## ")[0]

    return re.sub(r"^<!-- README: (.+) -->$", section, markdown, flags=re.MULTILINE)
