"""The door: calls come in as JSON, results and failures go out as JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast
from uuid import uuid4

import mobstore
from inspector import demo, documents, eventlog, ledgers, overview, race, runs, tree
from inspector.failures import RefusedError, explain
from inspector.ledgers import Which
from inspector.roster import Fold
from inspector.shapes import (
    DemoMove,
    DemoRun,
    Document,
    Erased,
    EventIndex,
    Events,
    Exported,
    FileInfo,
    Imported,
    Ledger,
    Nodes,
    Opened,
    Outputs,
    Overview,
    Progress,
    Race,
    Ref,
    Roster,
    Run,
    Runs,
    RunStatus,
)

_MOST_AT_ONCE = 500


class Inspector:
    """One open store and what the page may ask of it: every public method but `call`.

    Their parameters are the keys of a call's parameters; `progress` is added where there is one.
    All raise `MobStoreError` as stores do, and `RefusedError`, which `call` puts into words.
    """

    def __init__(self, changed: Callable[[], None] | None = None) -> None:
        """Begin without a store.

        Args:
            changed: called soon after every commit to the open store, of whichever tab or program,
                and now and then for nothing; on any thread. It must return at once and not raise.
        """
        self._changed = changed
        self._opened: mobstore.MobStores | None = None
        self._told = Fold()

    async def call(self, method: str, params_json: str, progress: Progress | None = None) -> str:
        """Answer one call of the page.

        Args:
            method: the name of a method.
            params_json: its parameters, a JSON object.
            progress: told (done, total) by calls that take long.

        Returns:
            A JSON object: `{"result": ...}`, or `{"error": {"kind", "message", "way_out"}}`.
        """
        answer: dict[str, object]
        try:
            answer = {"result": await self._answer(method, json.loads(params_json), progress)}
        except Exception as error:  # noqa: BLE001 - whatever it is, a person waits for words
            answer = {"error": explain(error)}
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))

    async def _answer(
        self, method: str, params: dict[str, object], progress: Progress | None
    ) -> object:
        if method not in _METHODS:
            raise RefusedError("bug", f"There is no method {method}.", "Reload the page.")
        if _METHODS[method]:
            params["progress"] = progress
        answer = cast("Callable[..., Awaitable[object]]", getattr(self, method))
        return await answer(**params)

    @property
    def stores(self) -> mobstore.MobStores:
        """What is open.

        Raises:
            RefusedError: nothing is.
        """
        if self._opened is None:
            raise RefusedError("not_open", "No store is open.", "Reload the page.")
        return self._opened

    # The store as a whole -----------------------------------------------------------------------

    async def open(self, url: str) -> Opened:
        """Open a store, in place of the one that is open.

        Args:
            url: `indexeddb:NAME`, or `memory:` for one that keeps nothing.
        """
        await self.close()
        self._opened = await mobstore.open_stores(url)
        if self._changed is not None:
            self._opened.engine.listen(self._changed)
        return {"url": url, "durable": not url.startswith("memory:")}

    async def close(self) -> dict[str, str]:
        """Let go of the store; closing twice is fine."""
        opened, self._opened = self._opened, None
        self._told = Fold()
        if opened is not None:
            await opened.close()
        return {}

    async def check_file(self, path: str) -> FileInfo:
        """Tell whether a file can be imported, as far as can be seen at once."""
        from inspector import files  # SQLite and zip files are seldom needed

        return files.check(path)

    async def import_file(self, path: str, progress: Progress | None) -> Imported:
        """Bring in a file, all of it or nothing; the store must be empty."""
        from inspector import files

        return await files.bring_in(self.stores, path, progress)

    async def export_file(self, path: str, progress: Progress | None) -> Exported:
        """Write the whole store into a file."""
        from inspector import files

        return await files.write_out(self.stores, path, progress)

    async def erase(self) -> Erased:
        """Remove everything, in one commit."""
        from inspector import files

        return await self.stores.engine.write(partial(files.erase, str(uuid4())))

    # Looking ------------------------------------------------------------------------------------

    async def overview(self) -> Overview:
        """What the store holds."""
        return await self.stores.engine.read(lambda: overview.overview(self._told))

    async def roster(self, mob_id: str, progress: Progress | None) -> Roster:
        """Members and tasks of a mob; of the log only what is new is read."""
        await self._told.follow(self.stores.engine, progress)
        return self._told.roster(mob_id)

    async def event_index(
        self, after_cursor: int = 0, limit: int = 10_000, run_id: str | None = None
    ) -> EventIndex:
        """A page of the index for filtering, of the whole log or of one run's events."""
        found = await self.stores.engine.read(
            lambda: eventlog.log_slice(after_cursor, limit, run_id)
        )
        if run_id is None:
            self._told.take(found)
        return eventlog.event_index(found)

    async def events(self, cursors: list[int]) -> Events:
        """Events as lines, at most 500."""
        few = cursors[:_MOST_AT_ONCE]
        return await self.stores.engine.read(lambda: eventlog.event_lines(few))

    async def runs(
        self,
        mob_id: str,
        flow_id: str | None = None,
        status: RunStatus | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Runs:
        """Headers of runs, newest first."""
        few = min(limit, _MOST_AT_ONCE)
        return await self.stores.engine.read(
            lambda: runs.headers(mob_id, flow_id, status, before, few)
        )

    async def run(self, run_id: str) -> Run:
        """One run in depth."""
        return await self.stores.engine.read(lambda: runs.run(run_id))

    async def nodes(self, run_id: str, frame_ids: list[str]) -> Nodes:
        """The nodes of frames, at most 500 of each, and of 500 frames."""
        few = frame_ids[:_MOST_AT_ONCE]
        return await self.stores.engine.read(lambda: tree.nodes_of(run_id, few))

    async def ledger(self, run_id: str, which: Which, offset: int = 0, limit: int = 100) -> Ledger:
        """A page of a ledger."""
        few = min(limit, _MOST_AT_ONCE)
        return await self.stores.engine.read(lambda: ledgers.ledger(run_id, which, offset, few))

    async def outputs(self, run_id: str) -> Outputs:
        """What the steps of a run put out."""
        return await self.stores.engine.read(lambda: ledgers.outputs(run_id))

    async def document(self, ref: Ref) -> Document:
        """Open what a result referred to."""
        return await self.stores.engine.read(lambda: documents.document(ref))

    # Playing ------------------------------------------------------------------------------------

    async def demo_state(self) -> DemoRun:
        """The newest demo run that has not ended."""
        return await demo.demo_state(self.stores)

    async def demo_start(self) -> DemoRun:
        """A new demo run."""
        return await demo.demo_start(self.stores)

    async def demo_move(self, run_id: str) -> DemoMove:
        """The next move of a demo run."""
        return await demo.demo_move(self.stores, run_id)

    async def race_open(self, rounds: int = 50) -> Race:
        """A run to race on."""
        return await race.race_open(self.stores, rounds)

    async def race(self, run_id: str, who: str, progress: Progress | None) -> Race:
        """Race until all rounds are over."""
        return await race.race(self.stores, run_id, who, progress)

    async def race_state(self, run_id: str) -> Race:
        """Who won each round so far."""
        return await race.race_state(self.stores, run_id)


_METHODS = {
    name: "progress" in function.__annotations__
    for name, function in vars(Inspector).items()
    if callable(function) and not name.startswith("_") and name != "call"
}
"""What may be called, and whether it tells how far it is."""
