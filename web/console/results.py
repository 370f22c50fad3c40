"""The last value of a cell, and its errors, as bounded text or as a display.

Only displays of mobstore are shown as elements. The page has no HTML parser, and a value of
another class may return any HTML.
"""

from __future__ import annotations

import inspect
import pprint
from collections.abc import Iterator
from contextlib import suppress
from traceback import FrameSummary, StackSummary, TracebackException
from typing import TypedDict

from mobstore.model.display import Displayed
from mobstore.notebook.html import display_of
from mobstore.notebook.markup import Element

MOST = 100_000
"""Characters of a text."""
_WIDTH = 88
_PRETTY = 20_000  # characters; pprint takes seconds for much longer values
_AWAIT = "\nIt has not run. Write await before it."

CELL = "<cell "
"""The beginning of the file names of cells."""


class Result(TypedDict, total=False):
    """The end of a cell.

    Attributes:
        error: its traceback; without this key the cell has succeeded.
        text: its last value.
        display: its last value as nested lists; see `mobstore.notebook.markup.Element`.
    """

    error: str
    text: str
    display: Element


def describe_value(value: object) -> Result:
    """Describe the last value of a cell; None has no description."""
    if value is None:
        return {}
    if isinstance(value, Displayed):
        with suppress(Exception):  # a class derived from it, or a value that cannot be read
            return {"display": display_of(value)}
    text = repr(value)
    if inspect.iscoroutine(value):
        value.close()
        text += _AWAIT
    elif _WIDTH < len(text) <= _PRETTY:
        text = pprint.pformat(value, width=_WIDTH, sort_dicts=False)
    return {"text": _cut(text)}


def describe_error(error: BaseException) -> Result:
    """Format the traceback of an error, from the first to the last frame of a cell."""
    described = TracebackException.from_exception(error, compact=True)
    for one in _chain(described):
        one.stack = StackSummary.from_list(_of_cells(one.stack))
    return {"error": _cut("".join(described.format()))}


def _cut(text: str) -> str:
    more = len(text) - MOST
    return text if more <= 0 else f"{text[:MOST]}\n… {more:,} more characters"


def _chain(error: TracebackException) -> Iterator[TracebackException]:
    """Yield an error, its causes and contexts, and the errors of groups."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            others = (one.__cause__, one.__context__, *(one.exceptions or ()))
            waiting += [other for other in others if other is not None]


def _of_cells(stack: list[FrameSummary]) -> list[FrameSummary]:
    of_cells = [place for place, frame in enumerate(stack) if frame.filename.startswith(CELL)]
    return stack[of_cells[0] : of_cells[-1] + 1] if of_cells else []
