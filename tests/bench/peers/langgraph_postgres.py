"""langgraph's PostgreSQL checkpointer: each put adds a checkpoint to its thread."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from bench.peers import load
from bench.postgres.stage import Place

NAME = "langgraph-checkpoint-postgres"


class Checkpoints:
    """Checkpoints of one text each, in threads by name."""

    def __init__(self, saver: Any) -> None:
        self._saver = saver
        self._base = load("langgraph.checkpoint.base")
        self._configs: dict[str, Any] = {}

    async def put(self, thread: str, text: str) -> None:
        """Add a checkpoint."""
        checkpoint = self._base.empty_checkpoint()
        checkpoint["channel_values"] = {"flow_state": text}
        config = self._configs.get(thread) or self._config(thread)
        metadata = {"source": "loop", "step": 1}
        self._configs[thread] = await self._saver.aput(config, checkpoint, metadata, {})

    async def get(self, thread: str) -> str:
        """Return the text of the last checkpoint."""
        found = await self._saver.aget_tuple(self._config(thread))
        return str(found.checkpoint["channel_values"]["flow_state"])

    def _config(self, thread: str) -> Any:
        return {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}


@asynccontextmanager
async def open_saver(place: Place) -> AsyncGenerator[Checkpoints]:
    """Open the checkpointer as documented: with one connection, which its tasks share."""
    place.execute("CREATE SCHEMA {s}")
    saver_type = load("langgraph.checkpoint.postgres.aio").AsyncPostgresSaver
    url = f"{place.database}?options=-csearch_path%3D{place.schema}"
    async with saver_type.from_conn_string(url) as saver:
        await saver.setup()
        yield Checkpoints(saver)
