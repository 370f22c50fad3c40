"""Elements of displays, and their HTML. Each piece of text is cut in one place only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple, TypeAlias, TypeVar

from mobstore.model.text import bounded, count

T = TypeVar("T")

LONGEST_TEXT = 200
"""Characters of one piece of text; longer text is cut."""
DEEPEST = 8
"""Levels of indentation in a tree."""


class Element(NamedTuple):
    """An element of HTML; `json` encodes it as a list.

    Attributes:
        kind: the name, such as `div`.
        attributes: the attributes without `style`.
        style: the properties of the attribute `style`.
        children: elements and plain text, which is not escaped.
    """

    kind: str
    attributes: Mapping[str, str]
    style: Mapping[str, str]
    children: tuple[Element | str, ...]


class Markup(NamedTuple):
    """A part of a display: elements and text."""

    nodes: tuple[Element | str, ...]


_ONE_LINE = 40

Content: TypeAlias = str | Markup | None
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


def element(
    kind: str, *content: Content, style: Mapping[str, str] | None = None, **attributes: str
) -> Markup:
    """Return an element. `data_status` is the attribute `data-status`, and `class_` is `class`."""
    named = {
        name.rstrip("_").replace("_", "-"): bounded(text, LONGEST_TEXT)
        for name, text in attributes.items()
    }
    return Markup((Element(kind, named, style or {}, join(*content).nodes),))


def join(*content: Content) -> Markup:
    """Return pieces of content one after the other."""
    nodes: list[Element | str] = []
    for part in content:
        if isinstance(part, Markup):
            nodes += part.nodes
        elif part:
            # Without invisible characters: some reverse the direction of the text after them, and
            # a lone surrogate would keep the whole display from being sent.
            nodes.append(bounded(part, LONGEST_TEXT))
    return Markup(tuple(nodes))


def to_html(node: Element | str, style_sheet: str = "") -> str:
    """Return the HTML of an element, with a style sheet in it, or of text."""
    if isinstance(node, str):
        return escape(node)
    attributes = dict(node.attributes)
    if node.style:
        attributes["style"] = ";".join(f"{name}:{value}" for name, value in node.style.items())
    written = "".join(f' {name}="{escape(text)}"' for name, text in attributes.items())
    sheet = style_sheet and f"<style>{style_sheet}</style>"
    return f"<{node.kind}{written}>{sheet}{''.join(map(to_html, node.children))}</{node.kind}>"


def block(
    kind: str, *content: Content, style: Mapping[str, str] | None = None, **attributes: str
) -> Markup:
    """Return a `div` of a class of the style sheet."""
    return element("div", *content, style=style, class_=f"ms-{kind}", **attributes)


def inline(
    kind: str, *content: Content, style: Mapping[str, str] | None = None, **attributes: str
) -> Markup:
    """Return a `span` of a class of the style sheet."""
    return element("span", *content, style=style, class_=f"ms-{kind}", **attributes)


def cell_text(text: str) -> Content:
    """Return the text of a cell; long text may be broken into lines."""
    return inline("text", text) if len(text) > _ONE_LINE else text


def complete_display(*content: Content) -> Element:
    """Return a complete display; its classes keep MathJax, old and new, from reading formulas."""
    classes = {"class": "mobstore-display mathjax_ignore tex2jax_ignore"}
    return Element("div", classes, {}, join(*content).nodes)


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
