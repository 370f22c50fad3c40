"""Random choices of one case, determined by its seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

BYTES = (0, 1, 2, 5, 10, 13, 0x7F, 0x80, 0xFF)
"""Values that decide something in page headers, varints, lengths and text."""


class Chance(random.Random):
    """A random generator with the few choices that mutations need."""

    def odds(self, percent: int) -> bool:
        """Return True with this probability."""
        return self.random() * 100 < percent

    def few(self, most: int = 4) -> range:
        """Return a range of at least one and at most this many numbers, mostly short."""
        return range(min(self.randint(1, most), self.randint(1, most)))

    def size(self, *sizes: int) -> int:
        """Return one of some sizes; the last and largest is rare."""
        return sizes[-1] if self.odds(5) else self.choice(sizes[:-1])

    def garble(self, data: bytes) -> bytes:
        """Change some bytes: overwrite, cut, double, insert, or truncate."""
        changed = bytearray(data)
        for _ in self.few(8):
            start = self.randrange(len(changed) + 1)
            end = min(len(changed), start + self.choice((1, 1, 1, 2, 4, 8, 100, 5000)))
            edit = self.choice(_EDITS)
            edit(self, changed, start, end)
        return bytes(changed)


def _overwrite(chance: Chance, data: bytearray, start: int, end: int) -> None:
    data[start:end] = chance.randbytes(end - start)


def _fill(chance: Chance, data: bytearray, start: int, end: int) -> None:
    data[start:end] = bytes([chance.choice(BYTES)]) * (end - start)


def _flip(chance: Chance, data: bytearray, start: int, end: int) -> None:
    if start < end:
        data[start] ^= 1 << chance.randrange(8)


def _cut(_: Chance, data: bytearray, start: int, end: int) -> None:
    del data[start:end]


def _double(_: Chance, data: bytearray, start: int, end: int) -> None:
    data[start:start] = data[start:end]


def _move(chance: Chance, data: bytearray, start: int, end: int) -> None:
    place = chance.randrange(len(data) + 1)
    data[place : place + end - start] = data[start:end]


def _end(chance: Chance, data: bytearray, start: int, _: int) -> None:
    if chance.odds(20):
        del data[start:]


_EDITS: tuple[Callable[[Chance, bytearray, int, int], None], ...] = (
    _overwrite, _fill, _flip, _flip, _cut, _double, _move, _end,
)  # fmt: skip
