"""The pages of the documentation, README included, and their code.

Python blocks are *cells*: those of one page share their names, with `await` at the top level as in
a notebook. A block with `asyncio.run` is a program with its own names. A block of text after
it shows its output, where `...` matches any text.
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
        language: text after the opening fence.
        code: text between the fences.
        line: number of its first line, from 1.
        output: the block of text after it, or "".
    """

    language: str
    code: str
    line: int
    output: str

    @property
    def alone(self) -> bool:
        """True for a program, False for a cell."""
        return "asyncio.run(" in self.code


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page in these languages, except those that include a file."""
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
    """Return a page's path from the root."""
    return str(page.relative_to(ROOT))


def as_shown(printed: str, shown: str) -> bool:
    """Compare output with that of a page, without spaces at the end of lines."""
    pattern = re.escape(_trimmed(shown)).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return re.sub(r" +$", "", text, flags=re.MULTILINE).rstrip("\n")
