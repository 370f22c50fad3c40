"""Notifications of commits between tabs, over a BroadcastChannel.

A message costs time in every commit, so a tab sends them only once another tab has announced that
it is listening. A tab announces this when a listener is added, and when another tab opens
the database and sends a query. If the tab commits before the announcement, it notifies when the
announcement arrives, or when it closes the database.

A tab may end before it receives or sends a message. So listeners are also called when another tab
sends its query, and about once a second. While no message has arrived, no other tab has the
database open: every tab answers the announcement. Then listeners are called every ten seconds
only, because each call makes them read the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mobstore.engines.indexeddb.javascript import Browser, JsValue
from mobstore.engines.listeners import Listeners
from mobstore.scripts.transaction import Scan, Write

_QUERY, _LISTENING, _CHANGED = "who listens?", "listening", "changed"
_MILLISECONDS = 1000  # between two calls of the timer
_TICKS_ALONE = 10  # a message may be lost with the tab that has sent it
_MOST_PER_TICK = 64  # listeners; if there are more, they are called less often


class Channel:
    """The listeners of one database, in this tab and in others."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self._listeners = Listeners()
        self._alone = True  # no message has arrived
        self._has_listener = self._has_unsent = False
        self._timer: int | None = None
        self._ticks = 0
        self._handlers = [browser.handler(self._on_message), browser.handler(self._on_tick)]
        self._channel = browser.channel(f"mobstore:{name}")
        self._channel.onmessage = self._handlers[0]
        self._channel.postMessage(_QUERY)

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None) -> Callable[[], None]:
        """Call a function after each commit in any tab; return a function that ends this."""
        end_one = self._listeners.add(wake, to)
        self._channel.postMessage(_LISTENING)
        if self._timer is None:
            self._timer = self._browser.every(self._handlers[1], _MILLISECONDS)

        def end() -> None:
            end_one()
            if not self._listeners:
                self._stop_timer()

        return end

    def notify(self, writes: Iterable[Write] | None) -> None:
        """Notify all listeners of a commit in this tab; `writes` is None if they are not known."""
        if self._has_listener:
            self._channel.postMessage(_CHANGED)
        else:
            self._has_unsent = True
        self._listeners.notify(writes)

    def wake(self) -> None:
        """Call all listeners of this tab, whether there was a commit or not."""
        self._listeners.notify()

    def close(self) -> None:
        """Call the listeners of this tab a last time, and release the channel."""
        if self._has_unsent:
            self._has_unsent = False  # on a second call, the channel is closed
            self._channel.postMessage(_CHANGED)
        self._channel.close()
        self._stop_timer()
        while self._handlers:
            self._handlers.pop().destroy()
        self._listeners.notify()

    def _on_message(self, event: JsValue) -> None:
        self._alone = False
        if event.data == _LISTENING:
            self._has_listener, self._has_unsent = True, False
            self._channel.postMessage(_CHANGED)  # the last commit may be unknown to it
            return
        if event.data == _QUERY and self._listeners:
            self._channel.postMessage(_LISTENING)
        self._listeners.notify()

    def _on_tick(self) -> None:
        self._ticks += 1
        crowded = 1 + len(self._listeners) // _MOST_PER_TICK
        if self._ticks % max(crowded, _TICKS_ALONE if self._alone else 1) == 0:
            self._listeners.notify()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._browser.stop(self._timer)
            self._timer = None
