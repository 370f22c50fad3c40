"""The calls of the page: JSON arguments in, JSON results and failures out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast
from uuid import uuid4

import mobstore
from inspector import claims, demo, documents, eventlog, ledgers, overview, race, runs, tree
from inspector.counts import StoreCounts
from inspector.demo_claim import DemoClaim
from inspector.failures import InspectorError, explain
from inspector.ledgers import Which
from inspector.results import (
    Document,
    Erased,
    Events,
    Exported,
    FileInfo,
    Imported,
    Opened,
    Overview,
    Progress,
    Ref,
    Roster,
    Workers,
)
from inspector.roster import RosterFold
from inspector.run_results import (
    DemoMove,
    DemoRun,
    Ledger,
    Nodes,
    Outputs,
    Race,
    Run,
    Runs,
    RunStatus,
)
from mobstore import Timestamp
from mobstore.model.event_types import EVENT_TYPES
from mobstore.model.json import I64_MAX
from mobstore.operations.event_queries import Conditions, EventFilter, Span
from mobstore.operations.run_selection import Selection
from mobstore.scripts.tables import EVENTS_BY_MOB, EVENTS_BY_RUN

_MOST_ROWS = 500


class Inspector:
    """One open store, and the methods that the page may call: every public one except `call`.

    A call passes its parameters by keyword, and adds `progress` if a method takes it. Methods
    raise `MobStoreError` as stores do, and `InspectorError`; `call` turns both into failures.
    """

    def __init__(self, changed: Callable[[], None] | None = None) -> None:
        """Create an inspector without a store.

        Args:
            changed: called soon after every commit to the open store, by any tab or program. Calls
                come on any thread and may be spurious. It must return at once and not raise.
        """
        self._changed = changed
        self._opened: mobstore.MobStores | None = None
        self._log = RosterFold()
        self._counts = StoreCounts()
        self._recount: asyncio.TimerHandle | None = None
        self._demo_claim = DemoClaim()

    async def call(self, method: str, params_json: str, progress: Progress | None = None) -> str:
        """Answer one call of the page.

        Args:
            method: the name of a method.
            params_json: its parameters, a JSON object.
            progress: called with (done, total) by long calls.

        Returns:
            A JSON object: `{"result": ...}`, or `{"error": {"kind", "message", "way_out"}}`.
        """
        answer: dict[str, object]
        try:
            answer = {"result": await self._answer(method, json.loads(params_json), progress)}
        except Exception as error:  # noqa: BLE001 - the page shows every failure
            answer = {"error": explain(error)}
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))

    async def _answer(
        self, method: str, params: dict[str, object], progress: Progress | None
    ) -> object:
        if method not in _METHODS:
            raise InspectorError("bug", f"There is no method {method}.", "Reload the page.")
        if _METHODS[method]:
            params["progress"] = progress
        answer = cast("Callable[..., Awaitable[object]]", getattr(self, method))
        return await answer(**params)

    @property
    def stores(self) -> mobstore.MobStores:
        """The open stores.

        Raises:
            InspectorError: no store is open.
        """
        if self._opened is None:
            raise InspectorError("not_open", "No store is open.", "Reload the page.")
        return self._opened

    def _cancel_recount(self) -> None:
        if self._recount is not None:
            self._recount.cancel()
            self._recount = None

    # The store as a whole -----------------------------------------------------------------------

    async def open(self, url: str) -> Opened:
        """Open a store in place of the current one.

        Args:
            url: `indexeddb:NAME`, or `memory:` for a store that is not kept.
        """
        await self.close()
        self._opened = await mobstore.open_stores(url)
        if self._changed is not None:
            self._opened.engine.listen(self._changed)
        return {
            "url": url,
            "durable": not url.startswith("memory:"),
            "event_types": sorted(EVENT_TYPES),
        }

    async def close(self) -> dict[str, str]:
        """Close the store; closing twice is allowed."""
        opened, self._opened = self._opened, None
        self._log, self._counts = RosterFold(), StoreCounts()
        self._cancel_recount()
        if opened is not None:
            try:
                await self._demo_claim.release()
            finally:
                await opened.close()
        return {}

    async def check_file(self, path: str) -> FileInfo:
        """Check that a file can be imported, without reading all of it."""
        from inspector import files  # loads sqlite3 and zipfile, which are seldom needed

        return files.check(path)

    async def import_file(self, path: str, progress: Progress | None) -> Imported:
        """Import a file into an empty store, all or nothing."""
        from inspector import files

        return await files.import_file(self.stores, path, progress)

    async def export_file(self, path: str, progress: Progress | None) -> Exported:
        """Export the whole store to a file."""
        from inspector import files

        return await files.export_file(self.stores, path, progress)

    async def erase(self) -> Erased:
        """Delete everything in one commit."""
        from inspector import files

        return await self.stores.engine.write(partial(files.erase, str(uuid4())))

    # Reading ------------------------------------------------------------------------------------

    async def overview(self) -> Overview:
        """Return counts, mobs and profiles of the store; the numbers may be of different moments.

        If counts may include rows that were removed since, `changed` is called once all rows are
        due to be counted again.
        """
        found = await overview.overview(self.stores.engine, self._counts)
        self._cancel_recount()
        due = self._counts.due_in
        if due is not None and self._changed is not None:
            self._recount = asyncio.get_running_loop().call_later(due, self._changed)
        return found

    async def roster(self, mob_id: str, progress: Progress | None) -> Roster:
        """Return members and tasks of a mob; only new events are read."""
        await self._log.follow(self.stores.engine, progress)
        return self._log.roster(mob_id)

    async def events(
        self,
        *,
        mob_id: str | None = None,
        run_id: str | None = None,
        types: list[str] | None = None,
        member: str | None = None,
        since: str | None = None,
        after_cursor: int = 0,
        before_cursor: int | None = None,
        newest_first: bool = False,
        limit: int = 200,
    ) -> Events:
        """Return a page of events that meet all conditions, at most 500; see `events.poll`."""
        span = Span(after_cursor, before_cursor or I64_MAX, newest_first)
        of = EventFilter(EVENTS_BY_MOB, mob_id) if mob_id is not None else None
        if run_id is not None:
            of = EventFilter(EVENTS_BY_RUN, run_id)
        conditions = Conditions(
            of, tuple(types) if types else None, member, "" if since is None else _time(since)
        )
        few = max(1, min(limit, _MOST_ROWS))
        return await eventlog.event_page(self.stores.engine, conditions, mob_id, span, few)

    async def workers(self) -> Workers:
        """Return the claims and the consumers."""
        return await self.stores.engine.read(claims.workers)

    async def runs(
        self,
        mob_id: str,
        *,
        flow_id: str | None = None,
        status: RunStatus | None = None,
        unclaimed: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> Runs:
        """Return headers of runs, newest first; `unclaimed`: only those that a worker can claim."""
        few = min(limit, _MOST_ROWS)
        selection = Selection(
            mob_id, flow_id, status, after, newest_first=True, unclaimed=unclaimed
        )
        return await self.stores.engine.read(lambda: runs.headers(selection, few))

    async def run(self, run_id: str) -> Run:
        """Return the details of one run."""
        return await self.stores.engine.read(lambda: runs.run(run_id))

    async def nodes(self, run_id: str, frame_ids: list[str]) -> Nodes:
        """Return the nodes of frames, at most 500 frames and 500 nodes of each."""
        few = frame_ids[:_MOST_ROWS]
        return await self.stores.engine.read(lambda: tree.nodes_of(run_id, few))

    async def ledger(self, run_id: str, which: Which, offset: int = 0, limit: int = 100) -> Ledger:
        """Return a page of a ledger."""
        few = min(limit, _MOST_ROWS)
        return await self.stores.engine.read(lambda: ledgers.ledger(run_id, which, offset, few))

    async def outputs(self, run_id: str) -> Outputs:
        """Return the outputs of the steps of a run."""
        return await self.stores.engine.read(lambda: ledgers.outputs(run_id))

    async def document(self, ref: Ref) -> Document:
        """Return the document that a reference names."""
        return await self.stores.engine.read(lambda: documents.document(ref))

    # Demo and race ------------------------------------------------------------------------------

    async def demo_state(self) -> DemoRun:
        """Return the newest demo run that is not complete."""
        return await demo.demo_state(self.stores)

    async def demo_start(self) -> DemoRun:
        """Start a demo run."""
        return await demo.demo_start(self.stores)

    async def demo_move(self, run_id: str, who: str, *, keep: bool = False) -> DemoMove:
        """Claim a demo run and make its next move; `keep` the claim until `demo_release`."""
        return await demo.demo_move(self.stores, self._demo_claim, run_id, who, keep=keep)

    async def demo_release(self) -> dict[str, str]:
        """Release the claim on the demo run, if there is one."""
        await self._demo_claim.release()
        return {}

    async def demo_take_over(self, run_id: str) -> DemoRun:
        """Release the claim that another tab has on a demo run, as an operator would."""
        return await demo.demo_take_over(self.stores, run_id)

    async def race_open(self, rounds: int = 50) -> Race:
        """Create a run to race on."""
        return await race.race_open(self.stores, rounds)

    async def race(self, run_id: str, who: str, progress: Progress | None) -> Race:
        """Race until all rounds are won."""
        return await race.race(self.stores, run_id, who, progress)

    async def race_state(self, run_id: str) -> Race:
        """Return the winners so far."""
        return await race.race_state(self.stores, run_id)


def _time(text: str) -> str:
    """Return a time in RFC 3339 as sortable text."""
    try:
        return Timestamp(text).sortable
    except (ValueError, OverflowError) as error:
        raise InspectorError(
            "rejected", "This is not a time.", "Choose a time from the list."
        ) from error


_METHODS = {
    name: "progress" in function.__annotations__
    for name, function in vars(Inspector).items()
    if callable(function) and not name.startswith("_") and name != "call"
}
"""The callable methods, and whether they take `progress`."""
