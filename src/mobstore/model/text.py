"""Text for people: escaping of invisible characters, and limits of length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_UNUSUAL = re.compile(r"[^ -~]{1,256}")  # in chunks, because text may be huge
# Default_Ignorable_Code_Point of letters and marks; and U+2800.
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00016fe4\U000e0100-\U000e01ef]"
)
_PILED = re.compile(  # marks that pile up on one letter and cover other lines
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5,}"
)

LONGEST_REPR = 1_000
"""Characters of a field or a kernel value in `repr`; it may be huge, and notebooks display it."""


def plain(value: object) -> str:
    r"""Return text in which every character that is invisible, or that terminals obey, is escaped.

    `replace_invisible` finds them. They are escaped as in Python: `\x1b`, `\u202e`, `\U000e0041`.
    Emoji with U+200D or a variation selector are split into their parts.
    """
    return replace_invisible(str(value), _python_escape)


def replace_invisible(text: str, spell: Callable[[str], str]) -> str:
    """Return text in which `spell` replaces each character that displays nothing of itself.

    By Unicode category, these are: controls (Cc: C0, DEL, C1), format characters (Cf: direction
    marks, zero width, tags), lone surrogates (Cs), private use and unassigned (Co, Cn), separators
    of lines and paragraphs (Zl, Zp), spaces except U+0020 (Zs). Beyond categories: other characters
    that Unicode lets programs ignore, such as variation selectors and Hangul fillers; the empty
    Braille pattern; and five or more combining marks in a row, which no script uses.
    """
    if text.isascii() and text.isprintable():
        return text

    def of_several(found: re.Match[str]) -> str:
        several = found[0]
        if not (several.isprintable() and not _IGNORED.search(several)):
            several = "".join(char if _is_seen(char) else spell(char) for char in several)
        return _PILED.sub(lambda piled: "".join(map(spell, piled[0])), several)

    return _UNUSUAL.sub(of_several, text)


def _is_seen(char: str) -> bool:
    return char.isprintable() and not _IGNORED.match(char)


def _python_escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


def cut(text: str, most: int) -> str:
    """Return at most this many characters; longer text ends with "…"."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def bounded(value: object, most: int) -> str:
    """Return at most this many characters of a value, all of them visible."""
    return cut(plain(cut(str(value), most)), most)


def brief(name: str) -> str:
    """Return a name for a line with other content: cut to 40 characters, all printable."""
    return plain(cut(name, 40))


def dotted_path(names: Iterable[object]) -> str:
    """Return names as a path, such as `rows.1.cost`; of a long one, the start and the end."""
    way = ".".join(brief(str(name)) for name in names)
    return way if len(way) <= 200 else f"{way[:100]}…{way[-99:]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things in words: "1 step", "5,000 steps"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
