"""Hearing of commits in other tabs, and telling them, over a BroadcastChannel.

Telling costs time in every commit, so it is done only where somebody has said that he listens:
whoever begins to listen says so, and whoever opens a database asks who does. What is committed
before an answer has come is told when it comes, or when the database is closed.

A tab may end before it has heard or told. So whoever listens also looks when another tab asks, and
every second or so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mobstore.engines.indexeddb.javascript import Browser, JsValue
from mobstore.engines.listeners import Listeners
from mobstore.scripts.transaction import Scan, Write

_WHO, _LISTENING, _CHANGED = "who listens?", "listening", "changed"
_MILLISECONDS = 1000  # between two looks
_LOOKS = 64  # listeners that look at once; where there are more they look less often


class Channel:
    """The listeners to one database, in this tab and in others."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self._listeners = Listeners()
        self._heard = self._untold = False
        self._timer: int | None = None
        self._ticks = 0
        self._handlers = [browser.handler(self._on_message), browser.handler(self._on_tick)]
        self._channel = browser.channel(f"mobstore:{name}")
        self._channel.onmessage = self._handlers[0]
        self._channel.postMessage(_WHO)

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None) -> Callable[[], None]:
        """Have a function called after each commit, in whichever tab; gives what ends it."""
        end_one = self._listeners.add(wake, to)
        self._channel.postMessage(_LISTENING)
        if self._timer is None:
            self._timer = self._browser.every(self._handlers[1], _MILLISECONDS)

        def end() -> None:
            end_one()
            if not self._listeners:
                self._stop_looking()

        return end

    def tell(self, writes: Iterable[Write] | None) -> None:
        """Tell of a commit in this tab; None: it is not known what was written."""
        if self._heard:
            self._channel.postMessage(_CHANGED)
        else:
            self._untold = True
        self._listeners.notify(writes)

    def wake(self) -> None:
        """Have all of this tab look, whether there was a commit or not."""
        self._listeners.notify()

    def close(self) -> None:
        """Call the functions of this tab a last time, and let go of the channel."""
        if self._untold:
            self._untold = False  # a second close finds the channel closed
            self._channel.postMessage(_CHANGED)
        self._channel.close()
        self._stop_looking()
        while self._handlers:
            self._handlers.pop().destroy()
        self._listeners.notify()

    def _on_message(self, event: JsValue) -> None:
        if event.data == _LISTENING:
            self._heard, self._untold = True, False
            self._channel.postMessage(_CHANGED)  # it may have missed what was just committed
            return
        if event.data == _WHO and self._listeners:
            self._channel.postMessage(_LISTENING)
        self._listeners.notify()

    def _on_tick(self) -> None:
        self._ticks += 1
        if self._ticks % (1 + len(self._listeners) // _LOOKS) == 0:
            self._listeners.notify()

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._browser.stop(self._timer)
            self._timer = None
