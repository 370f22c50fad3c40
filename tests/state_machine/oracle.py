"""The oracle: plain dicts with the expected content of a store, and the comparison of results."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from hypothesis.stateful import RuleBasedStateMachine

import mobstore
from mobstore import Claim, EventBatch, MobStoreError, MobStores
from state_machine.pools import OUTPUTS, STATES, STATUSES
from state_machine.subjects import Subject
from state_machine.times import to_nanoseconds, to_text

T = TypeVar("T")


def plain(value: Any) -> Any:
    if isinstance(value, mobstore.Record):
        return json.loads(value.to_json())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast("list[Any]", value)]
    return value


def typed(value: Any) -> str:
    """Return a text that distinguishes 1, 1.0 and True, and shows the order of keys."""
    return json.dumps(value)


class Refusal(NamedTuple):
    """The oracle's answer when the contract says that a call raises."""

    kind: str
    text: str


NOT_FOUND = "NotFoundError", "Not found: "
INTERNAL = "InternalError", "Internal error: "
USAGE = "UsageError", "Internal error: "
CONFLICT = "CasConflictError", "CAS conflict: "


def identity_of(entry: dict[str, Any]) -> dict[str, str]:
    return {key: entry[key] for key in ("step_id", "meerkat_id", "status")}


def run_document(run: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of a run of the oracle: states in full, free JSON and maps sorted."""

    def snapshots(names: dict[str, str]) -> dict[str, Any]:
        return {key: {"kernel_state": spelled(names[key])} for key in sorted(names)}

    def spelled(name: str) -> Any:
        return json.loads(STATES[name][0])

    outputs_of_loops = run["loop_iteration_outputs"]
    document = {
        **run,
        "flow_state": spelled(run["flow_state"]),
        "frames": snapshots(run["frames"]),
        "loops": snapshots(run["loops"]),
        "loop_iteration_outputs": {key: outputs_of_loops[key] for key in sorted(outputs_of_loops)},
    }
    return cast("dict[str, Any]", json.loads(json.dumps(document).replace(*_FREE_JSON)))


# The one output with keys in another order than the written one.
_FREE_JSON = json.dumps(OUTPUTS[5]), json.dumps({"a": [1, 1.5, False], "b": 1})


class Runner(Protocol):
    """A runner of coroutines for rules, which are not async."""

    def run(self, coro: Coroutine[Any, Any, T], /) -> T: ...

    def close(self) -> None: ...


class Oracle(RuleBasedStateMachine):
    """One set of stores and its oracle."""

    make: type[Subject]
    make_runner: type[Runner] = asyncio.Runner  # a browser has its own

    def __init__(self) -> None:
        super().__init__()
        self.runner = self.make_runner()
        self.subject = self.make()
        self.stores = self.runner.run(self.subject.open())  # the rules use these
        self.others: list[MobStores] = []  # more handles of the same stores
        self.readers: list[MobStores] = []  # read-only handles
        self.events: list[dict[str, Any]] = []
        self.keyed: dict[str, dict[str, Any]] = {}  # removed ones included
        self.next_cursor: int = 1
        self.runs: dict[str, dict[str, Any]] = {}  # in the order of creation
        self.specs: dict[str, tuple[dict[str, Any], int]] = {}
        self.profiles: dict[str, dict[str, Any]] = {}
        self.claims: dict[str, dict[str, Any]] = {}
        self.next_epoch: int = 1
        self.given: list[Claim] = []  # every claim that was ever returned
        self.consumers: dict[str, dict[str, Any]] = {}
        self.batches: list[tuple[EventBatch, MobStores]] = []  # with the stores that returned them

    def teardown(self) -> None:
        for stores in (self.stores, *self.others, *self.readers):
            self.runner.run(stores.close())
        self.runner.close()
        self.subject.dispose()

    # Calling and comparing -----------------------------------------------------------------------

    def same(self, call: Awaitable[Any], expected: Any) -> Any:
        """Check that a call returns, or raises, what the oracle expects."""

        async def outcome() -> Any:
            try:
                return await call
            except MobStoreError as error:
                return type(error).__name__, str(error)

        got = self.runner.run(outcome())
        if isinstance(expected, Refusal):
            assert got == tuple(expected), (got, expected)
            return got
        assert typed(plain(got)) == typed(expected), (got, expected)
        return got

    @staticmethod
    def refusal(kind: tuple[str, str], detail: str) -> Refusal:
        return Refusal(kind[0], kind[1] + detail)

    # Runs and their claims -----------------------------------------------------------------------

    def add_run(self, run: dict[str, Any]) -> None:
        self.runs[run["run_id"]] = run
        due = to_nanoseconds(run["created_at"])
        if run["status"] in STATUSES[:2]:
            claim = {"due": due, "holder": "", "epoch": 0, "ttl": 0.0}
            self.claims[f"run/{run['run_id']}"] = claim

    def end_run(self, run: dict[str, Any]) -> None:
        """Remove the claim of a run that has ended, unless it is held."""
        name = f"run/{run['run_id']}"
        if not self.claims[name]["holder"]:
            del self.claims[name]

    def remove_run(self, run_id: str) -> None:
        del self.runs[run_id]
        self.claims.pop(f"run/{run_id}", None)

    def claim_document(self, name: str) -> dict[str, Any]:
        """Return the JSON of a claim that is held."""
        claim = self.claims[name]
        return {
            "name": name,
            "holder": claim["holder"],
            "epoch": claim["epoch"],
            "expires_at": to_text(claim["due"]),
            "ttl": claim["ttl"],
        }

    def header_document(self, run_id: str) -> dict[str, Any]:
        """Return the JSON of the header of a run."""
        run = run_document(self.runs[run_id])
        claim = self.claims.get(f"run/{run_id}")
        of_claim: dict[str, Any] = {"holder": None, "epoch": 0, "due_at": None}
        if claim is not None:
            holder, due = claim["holder"] or None, to_text(claim["due"])
            of_claim = {"holder": holder, "epoch": claim["epoch"], "due_at": due}
        return {name: {**run, **of_claim}[name] for name in mobstore.RunHeader.model_fields}

    def missing(self, run_id: str) -> Refusal | None:
        if run_id in self.runs:
            return None
        return self.refusal(NOT_FOUND, f"run not found: {run_id}")
