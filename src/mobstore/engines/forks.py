"""Locks that are free in the child of a fork: the thread that held one in the parent is gone."""

from __future__ import annotations

import os
from threading import Lock
from weakref import WeakSet


class Locked:
    """An object with a lock."""

    def __init__(self) -> None:
        self.unlock()
        _all.add(self)

    def unlock(self) -> None:
        """Replace the lock, in the child."""
        self._lock = Lock()


_all: WeakSet[Locked] = WeakSet()


def _free() -> None:
    for one in list(_all):
        one.unlock()


if hasattr(os, "register_at_fork"):  # neither on Windows nor on wasm32
    os.register_at_fork(after_in_child=_free)
