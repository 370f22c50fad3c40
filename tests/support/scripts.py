"""Stepping through a script by hand, without an engine."""

from __future__ import annotations

from typing import Any, TypeVar

from mobstore.scripts.transaction import Commit, Script

T = TypeVar("T")
Asked = list[tuple[Any, ...]]


def play(script: Script[T], *answers: tuple[Any, ...]) -> tuple[Asked, Commit[T]]:
    """Send these answers, one tuple per question; return the questions and the outcome."""
    asked = [next(script)]
    for answer in answers[:-1]:
        asked.append(script.send(answer))
    try:
        more = script.send(answers[-1])
    except StopIteration as end:
        return asked, end.value
    raise AssertionError(f"the script wants to know more: {more}")
