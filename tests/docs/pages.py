"""The pages of the documentation, README included, and the code that stands in them.

Python blocks are *cells*: those of one page share their names, and `await` stands as it does in a
notebook. A block with `asyncio.run` is a program instead, with names of its own. What one prints
stands below it, in a block of text; `...` there stands for any text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Code in a page.

    Attributes:
        language: what stands behind the opening fence.
        code: what stands between the fences.
        line: that of its first line, from 1.
        output: the block of text that follows it, "" if none does.
    """

    language: str
    code: str
    line: int
    output: str

    @property
    def alone(self) -> bool:
        """Whether it is a program."""
        return "asyncio.run(" in self.code


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in these languages, in their order; not those that show a file."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    matches = list(_BLOCK.finditer(text))
    for match, following in zip_longest(matches, matches[1:]):
        language, code = match.groups()
        if language in languages and "--8<--" not in code:
            output = following[2] if following is not None and following[1] == "text" else ""
            found.append(Block(language, code, text.count("\n", 0, match.start(2)) + 1, output))
    return found


def name(page: Path) -> str:
    """A page's path from the root."""
    return str(page.relative_to(ROOT))


def as_shown(printed: str, shown: str) -> bool:
    """Whether something printed what the page shows, space at the end of lines apart."""
    pattern = re.escape(_trimmed(shown)).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return re.sub(r" +$", "", text, flags=re.MULTILINE).rstrip("\n")
