"""Text for people: escaping of what cannot be seen, and bounds of length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_UNUSUAL = re.compile(r"[^ -~]{1,256}")  # in pieces, as a text may be huge
# Default_Ignorable_Code_Point where the category says a letter or a mark; and U+2800.
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00016fe4\U000e0100-\U000e01ef]"
)
_PILED = re.compile(  # runs of marks that pile up on one letter, over the lines around it
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5,}"
)

LONGEST_REPR = 1_000
"""Characters of a field or a kernel value in `repr`: a notebook shows it, and it may be huge."""


def plain(value: object) -> str:
    r"""Text in which everything that a reader cannot see, or a terminal obeys, is escaped.

    That is what `respelt` finds, as Python writes it: `\x1b`, `\u202e`, `\U000e0041`. Emoji that
    are joined by U+200D or that end with a variation selector come apart into their pieces.
    """
    return replace_invisible(str(value), _python_escape)


def replace_invisible(text: str, spell: Callable[[str], str]) -> str:
    """Text in which `spell` gives another form of each character that shows nothing of itself.

    These are, by their categories in Unicode: controls (Cc: C0, DEL, C1), format characters (Cf:
    those that turn the direction of text, of no width, tags), lone surrogates (Cs), private use
    and unassigned (Co, Cn), separators of lines and paragraphs (Zl, Zp), spaces but U+0020 (Zs);
    and what no category tells of: the other characters that Unicode lets programs ignore, such as
    variation selectors and Hangul fillers, and the empty pattern of Braille. Combining marks that
    stand five or more in a row are found, too: no script piles up so many.
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
    """At most so many characters; what was longer ends with "…"."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def bounded(value: object, most: int) -> str:
    """At most so many characters of a value, all to be seen, however long it is."""
    return cut(plain(cut(str(value), most)), most)


def brief(name: str) -> str:
    """A name for a line that holds others, too: cut to 40 characters, all printable."""
    return plain(cut(name, 40))


def dotted_path(names: Iterable[object]) -> str:
    """A way through names, such as `rows.1.cost`; of a long one the beginning and the end."""
    way = ".".join(brief(str(name)) for name in names)
    return way if len(way) <= 200 else f"{way[:100]}…{way[-99:]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number of things in words: "1 step", "5,000 steps"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
