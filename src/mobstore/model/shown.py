"""How values show themselves: in a notebook as HTML, elsewhere on one line."""

from __future__ import annotations

from collections.abc import Iterable


class Shown:
    """Something that a notebook shows as HTML.

    How it looks is the matter of `mobstore.displays`, which knows what it shows and is loaded
    only when somebody looks.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        from mobstore.displays.html import html_of

        return html_of(self)


def plain(value: object) -> str:
    """Text in which everything that is not printable is escaped."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def cut(text: str, most: int) -> str:
    """At most so many characters; what was longer ends with "…"."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def brief(name: str) -> str:
    """A name for a line that holds others, too: cut to 40 characters, all printable."""
    return plain(cut(name, 40))


def joined(names: Iterable[object]) -> str:
    """A way through names, such as `rows.1.cost`; of a long one the beginning and the end."""
    way = ".".join(brief(str(name)) for name in names)
    return way if len(way) <= 200 else f"{way[:100]}…{way[-99:]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number of things in words: "1 step", "5,000 steps"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
