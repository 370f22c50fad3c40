"""HTML elements. Text becomes markup in one place only, where it is escaped and cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TypeAlias, TypeVar

from mobstore.model.text import bounded, count
from mobstore.notebook.style import STYLE

T = TypeVar("T")

LONGEST_TEXT = 200
"""Characters of one piece of text; longer text is cut."""
DEEPEST = 8
"""Levels of indentation in a tree."""


class Markup(str):
    """HTML. Any other text is escaped when it is put into an element."""

    __slots__ = ()


_ONE_LINE = 40

Content: TypeAlias = str | None
"""Text, markup, or nothing."""

_SYMBOLS = {
    "completed": "✓",
    "failed": "✕",
    "running": "▸",
    "dispatched": "▸",
    "ready": "◦",
    "skipped": "-",
    "canceled": "-",
    "exhausted": "-",
}


def element(kind: str, *content: Content, **attributes: str) -> Markup:
    """Return an element. `data_status` is the attribute `data-status`, and `class_` is `class`."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_escaped(text)}"'
        for name, text in attributes.items()
    )
    return Markup(f"<{kind}{written}>{join(*content)}</{kind}>")


def join(*content: Content) -> Markup:
    """Return pieces of content one after the other."""
    return Markup(
        "".join(part if isinstance(part, Markup) else _escaped(part) for part in content if part)
    )


def _escaped(text: str) -> str:
    # Invisible characters, too: some reverse the direction of the text after them, and a lone
    # surrogate would keep the whole display from being sent.
    return escape(bounded(text, LONGEST_TEXT))


def block(kind: str, *content: Content, **attributes: str) -> Markup:
    """Return a `div` of a class of the style sheet."""
    return element("div", *content, class_=f"ms-{kind}", **attributes)


def inline(kind: str, *content: Content, **attributes: str) -> Markup:
    """Return a `span` of a class of the style sheet."""
    return element("span", *content, class_=f"ms-{kind}", **attributes)


def cell_text(text: str) -> Content:
    """Return the text of a cell; long text may be broken into lines."""
    return inline("text", text) if len(text) > _ONE_LINE else text


def complete_display(*content: Content) -> str:
    """Return a complete display; its classes keep MathJax, old and new, from reading formulas."""
    classes = "mobstore-display mathjax_ignore tex2jax_ignore"
    return element("div", Markup(f"<style>{STYLE}</style>"), *content, class_=classes)


def heading(kind: str, name: str, *more: Content) -> Markup:
    """Return the first line of a display: the kind of the value, and its name."""
    return block("head", inline("quiet", kind) if kind else None, element("b", name), *more)


def badge(status: str) -> Markup:
    """Return a status with its symbol, in its colour."""
    return inline("pill", f"{symbol(status)} {status.lower()}", data_status=status.lower())


def symbol(status: str) -> str:
    """Return the symbol of a status."""
    return _SYMBOLS.get(status.lower(), "·")


def facts(pairs: Iterable[tuple[str, Content]]) -> Markup:
    """Return names with values, without those whose value is empty."""
    return block(
        "facts",
        *(inline("fact", inline("quiet", name), " ", text) for name, text in pairs if text),
    )


def details(title: str, *content: Content) -> Markup:
    """Return content that a click on its title shows."""
    return element("details", element("summary", title), *content)


def first_and_last(items: Sequence[T], most: int) -> tuple[Sequence[T], int, Sequence[T]]:
    """Return the first items, the number of omitted ones, and the last, at most `most` in all."""
    omitted = max(0, len(items) - most)
    if not omitted:
        return items, 0, ()
    first = most - most // 2
    return items[:first], omitted, items[first + omitted :]


def portion(most: int, among: int) -> int:
    """Return how many items each of several parts may show: `most` in all, but at least three."""
    return max(3, most // max(1, among))


def omission(number: int, noun: str, plural: str = "") -> Markup | None:
    """Return a line that says how many items are omitted, if any."""
    return block("left-out", f"… {count(number, noun, plural)} not shown …") if number else None


def table(
    columns: Sequence[str],
    items: Sequence[T],
    row: Callable[[T], Iterable[Content]],
    *,
    most: int,
    noun: str,
    plural: str = "",
) -> Markup:
    """Return a table of the first and the last items.

    Args:
        columns: the headings.
        items: the items, one for each row.
        row: returns the cells of an item.
        most: the number of items to show.
        noun: the word for one item.
        plural: the word for several, if it is not `noun` with an s.
    """

    def line(item: T) -> Markup:
        return element("tr", *(element("td", cell or "") for cell in row(item)))

    first, omitted, last = first_and_last(items, most)
    body = list(map(line, first))
    if omitted_line := omission(omitted, noun, plural):
        body.append(element("tr", element("td", omitted_line, colspan=str(len(columns)))))
    body += map(line, last)
    header = element("tr", *(element("th", name, scope="col") for name in columns))
    return block("scroll", element("table", element("thead", header), element("tbody", *body)))
