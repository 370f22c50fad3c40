"""langgraph's SQLite checkpointer: each put adds a checkpoint to its thread."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.logs import confirm_durable
from bench.peers import load

NAME = "langgraph-checkpoint-sqlite"


@asynccontextmanager
async def open_saver(path: Path) -> AsyncGenerator[Callable[[str], Awaitable[None]]]:
    """Open the checkpointer and yield a function that puts a checkpoint of one text."""
    base = load("langgraph.checkpoint.base")
    saver_type = load("langgraph.checkpoint.sqlite.aio").AsyncSqliteSaver
    async with saver_type.from_conn_string(str(path)) as saver:
        await saver.setup()
        await saver.conn.execute("PRAGMA synchronous = FULL")
        (journal,) = await (await saver.conn.execute("PRAGMA journal_mode")).fetchone()
        (synchronous,) = await (await saver.conn.execute("PRAGMA synchronous")).fetchone()
        confirm_durable(NAME, journal, synchronous)
        config: Any = {"configurable": {"thread_id": "run", "checkpoint_ns": ""}}

        async def put(text: str) -> None:
            nonlocal config
            checkpoint = base.empty_checkpoint()
            checkpoint["channel_values"] = {"flow_state": text}
            config = await saver.aput(config, checkpoint, {"source": "loop", "step": 1}, {})

        yield put
