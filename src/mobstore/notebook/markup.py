"""Elements of HTML. Text becomes markup in one place only, where it is escaped and cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TypeAlias, TypeVar

from mobstore.model.text import bounded, count
from mobstore.notebook.style import STYLE

T = TypeVar("T")

LONGEST_TEXT = 200
"""Characters of one piece of text; what is longer is cut."""
DEEPEST = 8
"""Levels by which lines of a tree are indented."""


class Markup(str):
    """HTML. Any other text is escaped when it is put into an element."""

    __slots__ = ()


_ONE_LINE = 40

Content: TypeAlias = str | None
"""Text, markup, or nothing."""

_MARKS = {
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
    """An element. `data_status` is the attribute `data-status`, and `class_` is `class`."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_safe(text)}"'
        for name, text in attributes.items()
    )
    return Markup(f"<{kind}{written}>{together(*content)}</{kind}>")


def together(*content: Content) -> Markup:
    """Pieces of content one after the other."""
    return Markup(
        "".join(part if isinstance(part, Markup) else _safe(part) for part in content if part)
    )


def _safe(text: str) -> str:
    # Also invisible characters: some turn the direction of all that follows, and lone surrogates
    # would keep the whole from being sent.
    return escape(bounded(text, LONGEST_TEXT))


def block(kind: str, *content: Content, **attributes: str) -> Markup:
    """A `div` of one of the classes in the style sheet."""
    return element("div", *content, class_=f"ms-{kind}", **attributes)


def inline(kind: str, *content: Content, **attributes: str) -> Markup:
    """A `span` of one of the classes in the style sheet."""
    return element("span", *content, class_=f"ms-{kind}", **attributes)


def long(text: str) -> Content:
    """The text of a cell, which may be broken into lines if it is long."""
    return inline("text", text) if len(text) > _ONE_LINE else text


def whole(*content: Content) -> str:
    """A complete display; no MathJax of notebooks, old or new, takes its text for formulas."""
    classes = "mobstore-display mathjax_ignore tex2jax_ignore"
    return element("div", Markup(f"<style>{STYLE}</style>"), *content, class_=classes)


def head(kind: str, name: str, *more: Content) -> Markup:
    """The line above a display: what it is, and its name."""
    return block("head", inline("quiet", kind) if kind else None, element("b", name), *more)


def pill(status: str) -> Markup:
    """A status, told by a word, a mark and a colour."""
    return inline("pill", f"{mark(status)} {status.lower()}", data_status=status.lower())


def mark(status: str) -> str:
    """The mark of a status."""
    return _MARKS.get(status.lower(), "·")


def facts(pairs: Iterable[tuple[str, Content]]) -> Markup:
    """Names with values; those without a value are left out."""
    return block(
        "facts",
        *(inline("fact", inline("quiet", name), " ", text) for name, text in pairs if text),
    )


def folded(title: str, *content: Content) -> Markup:
    """Content behind a line that opens it."""
    return element("details", element("summary", title), *content)


def ends(items: Sequence[T], most: int) -> tuple[Sequence[T], int, Sequence[T]]:
    """The first and the last items, at most so many, and how many between them are left out."""
    left_out = max(0, len(items) - most)
    if not left_out:
        return items, 0, ()
    first = most - most // 2
    return items[:first], left_out, items[first + left_out :]


def share(most: int, among: int) -> int:
    """How many of each are shown when so many are shown of all of them, yet at least three."""
    return max(3, most // max(1, among))


def left_out(number: int, noun: str, plural: str = "") -> Markup | None:
    """Says how many are not shown, if any."""
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
    """A table of the first and the last items.

    Args:
        columns: the headings.
        items: what to show, an item a line.
        row: the cells of an item.
        most: how many items are shown.
        noun: what one item is called.
        plural: what several are called, if not `noun` with an s.
    """

    def line(item: T) -> Markup:
        return element("tr", *(element("td", cell or "") for cell in row(item)))

    first, omitted, last = ends(items, most)
    body = list(map(line, first))
    if omission := left_out(omitted, noun, plural):
        body.append(element("tr", element("td", omission, colspan=str(len(columns)))))
    body += map(line, last)
    heading = element("tr", *(element("th", name, scope="col") for name in columns))
    return block("scroll", element("table", element("thead", heading), element("tbody", *body)))
