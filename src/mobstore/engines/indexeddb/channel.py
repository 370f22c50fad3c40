"""Hearing of commits in other tabs, and telling them, over a BroadcastChannel.

Telling costs time in every commit, so it is done only where somebody has said that he listens:
whoever begins to listen says so, and whoever opens a database asks who does. What is committed
before an answer has come is told when it comes, or when the database is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mobstore.engines.indexeddb.javascript import Browser, JsValue
from mobstore.listeners import Listeners
from mobstore.transaction import Scan

_WHO, _LISTENING, _CHANGED = "who listens?", "listening", "changed"


class Channel:
    """The listeners to one database, in this tab and in others."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._listeners = Listeners()
        self._heard = self._untold = False
        self._handler = browser.handler(self._on_message)
        self._channel = browser.channel(f"mobstore:{name}")
        self._channel.onmessage = self._handler
        self._channel.postMessage(_WHO)

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None) -> Callable[[], None]:
        """Have a function called after each commit, in whichever tab; gives what ends it."""
        end = self._listeners.add(wake, to)
        self._channel.postMessage(_LISTENING)
        return end

    def tell(self) -> None:
        """Tell of a commit in this tab."""
        self._listeners.tell()
        if self._heard:
            self._channel.postMessage(_CHANGED)
        else:
            self._untold = True

    def close(self) -> None:
        """Call the functions of this tab a last time, and let go of the channel."""
        if self._untold:
            self._untold = False  # a second close finds the channel closed
            self._channel.postMessage(_CHANGED)
        self._channel.close()
        self._handler.destroy()
        self._listeners.tell()

    def _on_message(self, event: JsValue) -> None:
        if event.data == _WHO:
            if self._listeners:
                self._channel.postMessage(_LISTENING)
        elif event.data == _LISTENING:
            self._heard, self._untold = True, False
            self._channel.postMessage(_CHANGED)  # it may have missed what was just committed
        else:
            self._listeners.tell()
