"""Failures as texts for users, never as tracebacks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pytest

from inspector import Inspector
from inspector.failures import explain
from mobstore import (
    ClosedError,
    InternalError,
    MobStoreError,
    NotFoundError,
    ReadFailedError,
    SerializationError,
    UsageError,
    WriteFailedError,
)
from mobstore.scripts.tables import EVENTS, EventRow
from mobstore.scripts.transaction import Commit, Put, Script
from support.pages import Page


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFoundError("run not found"), "gone"),
        (SerializationError("event 7 cannot be read"), "data"),
        (WriteFailedError("the browser has no space left for this site", retry_safe=True), "full"),
        (WriteFailedError("mobs.db is locked by another process", retry_safe=True), "busy"),
        (ReadFailedError("another tab may be upgrading it", retry_safe=True), "busy"),
        (ReadFailedError("the browser lets this page keep nothing"), "storage"),
        (InternalError("cursors are used up"), "rejected"),
        (ClosedError("the store is closed"), "rejected"),
        (UsageError("unknown option"), "rejected"),
        (MobStoreError("something new"), "rejected"),
        (KeyError("secret"), "bug"),
        (RecursionError("secret"), "bug"),
    ],
)
def test_each_error_has_a_text_and_a_way_out(error: Exception, kind: str) -> None:
    failure = explain(error)
    assert failure["kind"] == kind
    assert failure["message"][0].isupper()
    assert failure["message"].endswith(".")
    assert failure["way_out"]
    assert "secret" not in str(failure)


def test_a_write_with_unknown_outcome() -> None:
    assert "may have been written" in explain(WriteFailedError("x", maybe_written=True))["message"]


def test_a_bug_is_reported_by_its_type() -> None:
    assert "ZeroDivisionError" in explain(ZeroDivisionError())["message"]


def test_too_little_memory() -> None:
    failure = explain(MemoryError())
    assert failure["kind"] == "rejected"
    assert "memory" in failure["message"]


def test_nothing_works_before_a_store_is_open(page: Page) -> None:
    page.ask("close")
    for method in ("overview", "erase", "demo_start"):
        assert page.failure(method)["kind"] == "not_open"
    page.ask("open", url="memory:")
    assert page.ask("overview")["empty"]


def test_a_store_that_cannot_be_opened(page: Page, tmp_path: Path) -> None:
    assert page.failure("open", url="indexeddb:x")["kind"] == "rejected"
    assert page.failure("open", url="nonsense")["kind"] == "rejected"
    assert page.failure("open", url=f"sqlite:{tmp_path / 'nowhere' / 'x.db'}")["kind"] == "storage"
    assert page.failure("overview")["kind"] == "not_open"
    page.ask("open", url="memory:")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("run", {"run_id": str(uuid4())}),
        ("ledger", {"run_id": str(uuid4()), "which": "step"}),
        ("document", {"ref": {"of": "event", "cursor": 7}}),
        ("document", {"ref": {"of": "spec", "id": "m"}}),
        ("document", {"ref": {"of": "nothing known"}}),
        ("document", {"ref": {}}),
        ("demo_move", {"run_id": str(uuid4()), "who": "a"}),
        ("race", {"run_id": str(uuid4()), "who": "a"}),
        ("race_state", {"run_id": str(uuid4())}),
    ],
)
def test_missing_data(page: Page, method: str, params: dict[str, object]) -> None:
    assert page.failure(method, **params)["kind"] == "gone"


@pytest.mark.parametrize("method", ["nonsense", "_answer", "__init__", "call", "_stores", ""])
def test_only_methods_can_be_called(page: Page, method: str) -> None:
    failure = page.failure(method)
    assert (failure["kind"], failure["message"]) == ("bug", f"There is no method {method}.")


def test_wrong_parameters_are_a_bug(page: Page) -> None:
    assert page.failure("run")["kind"] == "bug"
    assert page.failure("run", run_id="r", nonsense=1)["kind"] == "bug"


def test_invalid_json_is_a_bug() -> None:
    answer = json.loads(asyncio.run(Inspector().call("overview", "{")))
    assert answer["error"]["kind"] == "bug"


def test_corrupt_data(page: Page) -> None:
    def damage() -> Script[None]:
        yield ()
        row = EventRow(1, "m", "2026-01-01T00:00:00.000000000Z", "mob_reset", "", "{secret")
        return Commit(None, (Put(EVENTS, (row,)),))

    page.run(page.stores.engine.write(damage))
    (line,) = page.ask("events")["events"]
    assert (line["preview"], line["members"]) == ("This event cannot be read", [])
    for method, params in (
        ("roster", {"mob_id": "m"}),
        ("document", {"ref": {"of": "event", "cursor": 1}}),
    ):
        failure = page.failure(method, **params)
        assert failure["kind"] == "data"
        assert "event 1" in failure["message"].lower()
        assert "secret" not in str(failure)
