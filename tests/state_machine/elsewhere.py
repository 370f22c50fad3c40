"""Another process that opens stores, appends an event and closes them on request."""

from __future__ import annotations

import asyncio
import json
import sys
from types import TracebackType
from typing import Self

import mobstore
from engines.support import hear, say, start, tell
from mobstore import MobEvent, NewMobEvent


class Elsewhere:
    """The process, as a context manager."""

    def __enter__(self) -> Self:
        self._process = start(serve)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._process as process:
            process.kill()

    def append(self, url: str, event: NewMobEvent) -> MobEvent:
        """Return the event as the process has stored it."""
        tell(self._process, json.dumps([url, event.to_json()]))
        return MobEvent.from_json(hear(self._process))


def serve() -> None:
    """Child: serve requests until there are no more."""

    async def append(url: str, event: str) -> MobEvent:
        async with mobstore.open_stores(url, durability="normal") as stores:
            return await stores.events.append(NewMobEvent.from_json(event))

    for line in sys.stdin:
        url, event = json.loads(line)
        say(asyncio.run(append(url, event)).to_json())
