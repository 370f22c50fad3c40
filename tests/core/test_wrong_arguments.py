"""Every argument of every public store method, with values of other types."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from mobstore import Claim, MobStoreError, SerializationError, UsageError, open_stores
from mobstore.stores.claims import ClaimStore
from mobstore.stores.events import MobEventStore
from mobstore.stores.mob_stores import MobStores
from mobstore.stores.realm_profiles import RealmProfileStore
from mobstore.stores.runs import MobRunStore
from mobstore.stores.specs import MobSpecStore
from mobstore.testing import samples

RUN = samples.run_id(1)
CLAIM = Claim(name="name", holder="ann", epoch=1, expires_at=samples.timestamp(0), ttl=60.0)
VALID: dict[str, Any] = {
    "after": None,
    "after_cursor": 0,
    "before_cursor": 9,
    "by": ("mob_id",),
    "claim": CLAIM,
    "definition": samples.definition(),
    "ended_since": None,
    "entry": samples.step(),
    "event": samples.event(),
    "events": [samples.event()],
    "expected": samples.state(0),
    "expected_flow_state": samples.state(0),
    "expected_frame": samples.frame(0),
    "expected_loop": samples.loop(0),
    "expected_revision": 1,
    "expected_run_state": samples.state(0),
    "expected_status": "pending",
    "expired": None,
    "flow_id": "flow",
    "frame_id": "frame",
    "holder": "ann",
    "initial_frame": samples.frame(0),
    "initial_loop": samples.loop(0),
    "keep": ["mob_reset"],
    "keep_unseen": False,
    "key": "key",
    "ledger_entry": samples.iteration(0),
    "limit": 9,
    "linger": 0,
    "loop_context": ("loop", 0),
    "loop_instance_id": "loop",
    "member": "ann",
    "mob_id": "mob",
    "most": 1,
    "name": "name",
    "newest_first": False,
    "next": samples.state(1),
    "next_flow_state": samples.state(1),
    "next_frame": samples.frame(1),
    "next_loop": samples.loop(1),
    "next_run_state": samples.state(1),
    "next_status": "running",
    "not_before": samples.timestamp(0),
    "older_than": samples.timestamp(0),
    "on_unreadable": None,
    "output": 1,
    "prefix": "00",
    "profile": samples.profile(),
    "reject_stale": False,
    "revision": 1,
    "run": samples.make_run(2),
    "run_id": RUN,
    "since": samples.timestamp(0),
    "snapshot": samples.loop(0),
    "start": 0,
    "status": "completed",
    "statuses": ["pending"],
    "step_id": "step",
    "step_output": 1,
    "step_output_key": "step",
    "unclaimed": False,
    "unless_ended": None,
    "types": "mob_reset",
    "until": samples.timestamp(0),
    "ttl": 60.0,
    "work": None,
}
VALID_FOR: dict[str, dict[str, Any]] = {
    "append_failure_entry": {"entry": samples.failure()},
    "append_failure_entry_if_absent": {"entry": samples.failure()},
    "cas_frame_state": {"expected": samples.frame(0), "next": samples.frame(1)},
    "cas_run_status": {"expected": "pending", "next": "running"},
}
KINDS = MobEventStore, MobRunStore, MobSpecStore, RealmProfileStore, ClaimStore, MobStores
FREE_JSON = {"output", "step_output"}
WRONG: list[Any] = [
    None, 3, -1, 2**70, 1.5, True, "x", "", b"x", object(), [], {}, (), [object()], {1: 2},
    (1, 2), samples.step(), samples.event(),
]  # fmt: skip


def _parameters() -> list[Any]:
    """Return each public store method with each of its parameters."""
    return [
        pytest.param(store, method, name, id=f"{store.__name__}.{method}-{name}")
        for store in KINDS
        for method, function in inspect.getmembers(store, inspect.isfunction)
        if not method.startswith("_")
        for name in list(inspect.signature(function).parameters)[1:]
    ]


def _store(stores: MobStores, kind: type[object]) -> object:
    held = stores.events, stores.runs, stores.specs, stores.realm_profiles, stores.claims, stores
    return next(one for one in held if type(one) is kind)


@pytest.mark.parametrize(("store", "method", "name"), _parameters())
def test_a_wrong_argument_raises_an_error_of_the_store(
    store: type[object], method: str, name: str
) -> None:
    async def call(value: object) -> None:
        async with open_stores("memory:") as stores:
            await stores.runs.create_run(samples.make_run(1))
            function = cast("Callable[..., object]", getattr(_store(stores, store), method))
            names = list(inspect.signature(function).parameters)
            arguments = {
                given: VALID_FOR.get(method, {}).get(given, VALID[given])
                for given in names
                if not ({"mob_id", "run_id"} <= set(names) and given in {"mob_id", "run_id"})
                or store is not MobEventStore
            }
            result = function(**{**arguments, name: value})
            if inspect.isawaitable(result):
                await cast("Awaitable[object]", result)

    for value in WRONG:
        with suppress(MobStoreError):
            asyncio.run(call(value))
    with pytest.raises(MobStoreError) as caught:
        asyncio.run(call(object()))
    assert caught.type is (SerializationError if name in FREE_JSON else UsageError)
