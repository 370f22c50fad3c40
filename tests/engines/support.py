"""Helpers of the engine tests: small values, child processes, all calls, plain SQLite.

It does not import pytest, so that child processes start quickly.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import aclosing, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar
from uuid import uuid4

from engines.forkserver import PROGRAMS, Child
from mobstore import (
    Claim,
    FrameId,
    LoopInstanceId,
    MobRun,
    MobStores,
    RunId,
    StepId,
    Subscription,
    Timestamp,
)
from mobstore.testing.samples import (
    definition,
    failure,
    frame,
    iteration,
    loop,
    make_run,
    profile,
    run_id,
    state,
    step,
    tagged_event,
)

T = TypeVar("T")

TESTS = Path(__file__).resolve().parents[1]
NOON = Timestamp(datetime(2026, 3, 4, 12, tzinfo=UTC))
RUN = run_id(1)


# Runs ------------------------------------------------------------------------------------------


def new_run(run_id: RunId = RUN, **parts: Any) -> MobRun:
    """Return a running run that is empty except for `parts`."""
    values: dict[str, Any] = {"run_id": run_id, "status": "running", **parts}
    return make_run(**values)


def rich_run(run_id: RunId = RUN) -> MobRun:
    """Return a run with rows in each of its tables."""
    return new_run(
        run_id,
        step_ledger=tuple(step(f"s{n}", output="out" * n) for n in range(20)),
        failure_ledger=tuple(failure(f"s{n}") for n in range(5)),
        frames={FrameId(f"f{n}"): frame(n) for n in range(5)},
        loops={LoopInstanceId("loop"): loop(1)},
        loop_iteration_ledger=tuple(iteration(n) for n in range(3)),
        root_step_outputs={StepId(f"s{n}"): {"n": n} for n in range(5)},
        loop_iteration_outputs={"loop": ({StepId("s"): 1}, {}, {StepId("s"): 2})},
    )


# Every call ------------------------------------------------------------------------------------


class Call(NamedTuple):
    store: str
    method: str
    make: Callable[[], Coroutine[Any, Any, object]]


async def first(of: Subscription[T]) -> T:
    """Return the first item of a generator."""
    async with aclosing(of):
        return await anext(of)


async def held(stores: MobStores, use: Callable[[Claim], Coroutine[Any, Any, object]]) -> object:
    """Acquire a claim, unless it is held, and use it."""
    name = f"used by {use.__name__}"
    claim = await stores.claims.acquire(name, "ann", 60) or await stores.claims.get(name)
    return None if claim is None else await use(claim)


WATCHING = {"subscribe", "watch"}
"""Methods that wait for commits."""
READS = WATCHING | {
    "poll", "poll_json", "get_by_key", "first_cursor", "replay_all", "latest_cursor", "get_run",
    "list_runs", "get_run_extra", "get_run_header", "run_headers", "counts", "find_run_ids",
    "step_entries", "failure_entries", "loop_iteration_entries", "get_spec", "list_specs", "get",
    "list", "consumers",
}  # fmt: skip
"""Methods that change nothing."""


def every_call(stores: MobStores) -> list[Call]:
    """Return a call of every method of the stores, with valid arguments."""
    events, runs, specs, profiles = stores.events, stores.runs, stores.specs, stores.realm_profiles
    claims = stores.claims

    async def claim_one() -> None:
        run = new_run(RunId(uuid4()))
        await runs.create_run(run)  # without a run, the iterator would wait
        await first(runs.claims("bob", ttl=1e-6))
        await runs.delete_run(run.run_id)

    async def keep(claim: Claim) -> None:
        async with claims.keep(claim):
            pass

    by_store: dict[str, dict[str, Callable[[], Coroutine[Any, Any, object]]]] = {
        "events": {
            "append": lambda: events.append(tagged_event("e")),
            "get_by_key": lambda: events.get_by_key("key"),
            "append_batch": lambda: events.append_batch([tagged_event("e"), tagged_event("f")]),
            "poll": lambda: events.poll(0, 10),
            "poll_json": lambda: events.poll_json(0, 10),
            "replay_all": events.replay_all,
            "subscribe": lambda: first(events.subscribe()),
            "follow": lambda: first(events.follow("projector", linger=0)),
            "consumers": events.consumers,
            "forget_consumer": lambda: events.forget_consumer("projector"),
            "first_cursor": events.first_cursor,
            "latest_cursor": events.latest_cursor,
            "prune": lambda: events.prune(NOON),
            "clear": events.clear,
        },
        "runs": {
            "create_run": lambda: runs.create_run(new_run(run_id(2))),
            "get_run": lambda: runs.get_run(RUN),
            "list_runs": lambda: runs.list_runs("mob"),
            "get_run_extra": lambda: runs.get_run_extra(RUN),
            "get_run_header": lambda: runs.get_run_header(RUN),
            "run_headers": runs.run_headers,
            "counts": runs.counts,
            "find_run_ids": lambda: runs.find_run_ids("00"),
            "step_entries": lambda: runs.step_entries(RUN),
            "failure_entries": lambda: runs.failure_entries(RUN),
            "loop_iteration_entries": lambda: runs.loop_iteration_entries(RUN),
            "watch": lambda: first(runs.watch(RUN)),
            "cas_run_status": lambda: runs.cas_run_status(RUN, expected="running", next="running"),
            "cas_flow_state": lambda: runs.cas_flow_state(RUN, expected=state(0), next=state(1)),
            "cas_run_snapshot": lambda: runs.cas_run_snapshot(
                RUN,
                expected_status="running",
                expected_flow_state=state(1),
                next_status="running",
                next_flow_state=state(2),
            ),
            "append_step_entry": lambda: runs.append_step_entry(RUN, step("s")),
            "append_step_entry_if_absent": lambda: runs.append_step_entry_if_absent(RUN, step("t")),
            "put_step_output": lambda: runs.put_step_output(RUN, "s", 1),
            "append_failure_entry": lambda: runs.append_failure_entry(RUN, failure("s")),
            "append_failure_entry_if_absent": (
                lambda: runs.append_failure_entry_if_absent(RUN, failure("t"))
            ),
            "upsert_loop_snapshot": lambda: runs.upsert_loop_snapshot(
                RUN, loop_instance_id="loop", snapshot=loop(1), ledger_entry=iteration(1)
            ),
            "cas_frame_state": lambda: runs.cas_frame_state(
                RUN, frame_id="f0", expected=None, next=frame(1)
            ),
            "cas_grant_node_slot": lambda: runs.cas_grant_node_slot(
                RUN,
                expected_run_state=state(2),
                next_run_state=state(3),
                frame_id="f0",
                expected_frame=frame(1),
                next_frame=frame(2),
            ),
            "cas_complete_step_and_record_output": (
                lambda: runs.cas_complete_step_and_record_output(
                    RUN,
                    frame_id="f0",
                    expected_frame=frame(2),
                    next_frame=frame(3),
                    step_output_key="s",
                    step_output=1,
                )
            ),
            "cas_start_loop": lambda: runs.cas_start_loop(
                RUN,
                loop_instance_id="loop 2",
                expected_run_state=state(3),
                next_run_state=state(4),
                frame_id="f0",
                expected_frame=frame(3),
                next_frame=frame(4),
                initial_loop=loop(0),
            ),
            "cas_loop_request_body_frame": lambda: runs.cas_loop_request_body_frame(
                RUN,
                loop_instance_id="loop 2",
                expected_loop=loop(0),
                next_loop=loop(1),
                expected_run_state=state(4),
                next_run_state=state(5),
            ),
            "cas_grant_body_frame_start": lambda: runs.cas_grant_body_frame_start(
                RUN,
                loop_instance_id="loop 2",
                expected_loop=loop(1),
                next_loop=loop(2),
                frame_id="body",
                initial_frame=frame(0),
                ledger_entry=iteration(2),
                expected_run_state=state(5),
                next_run_state=state(6),
            ),
            "cas_complete_body_frame": lambda: runs.cas_complete_body_frame(
                RUN,
                loop_instance_id="loop 2",
                expected_loop=loop(2),
                next_loop=loop(3),
                frame_id="body",
                expected_frame=frame(0),
                next_frame=frame(1),
                expected_run_state=state(6),
                next_run_state=state(7),
            ),
            "cas_complete_loop": lambda: runs.cas_complete_loop(
                RUN,
                loop_instance_id="loop 2",
                expected_loop=loop(3),
                next_loop=loop(4),
                frame_id="f0",
                expected_frame=frame(4),
                next_frame=frame(5),
                expected_run_state=state(7),
                next_run_state=state(8),
            ),
            "finish_run": lambda: runs.finish_run(RUN, "failed", tagged_event("end")),
            "claim_next": lambda: runs.claim_next("ann", ttl=1e-6),
            "claims": claim_one,
            "delete_run": lambda: runs.delete_run(run_id(2)),
            "prune_runs": lambda: runs.prune_runs(NOON),
        },
        "specs": {
            "put_spec": lambda: specs.put_spec("mob", definition()),
            "get_spec": lambda: specs.get_spec("mob"),
            "list_specs": specs.list_specs,
            "delete_spec": lambda: specs.delete_spec("mob", 99),
        },
        "realm_profiles": {
            "create": lambda: profiles.create("new", profile()),
            "get": lambda: profiles.get("new"),
            "update": lambda: profiles.update("new", profile(), 1),
            "list": profiles.list,
            "delete": lambda: profiles.delete("new", 2),
        },
        "claims": {
            "acquire": lambda: claims.acquire("name", "ann", 60),
            "renew": lambda: held(stores, claims.renew),
            "get": lambda: claims.get("name"),
            "list": claims.list,
            "hold": lambda: held(stores, claims.hold),
            "keep": lambda: held(stores, keep),
            "release": lambda: held(stores, claims.release),
            "put_off": lambda: claims.put_off("free"),
        },
    }
    return [
        Call(store, method, make)
        for store, methods in by_store.items()
        for method, make in methods.items()
    ]


# Child processes -------------------------------------------------------------------------------


Process: TypeAlias = subprocess.Popen[bytes] | Child


def start(
    program: Callable[..., None], *arguments: object, options: tuple[str, ...] = ()
) -> Process:
    """Run a function of an importable module in a process of its own; arguments become text.

    Programs of the engines' tests are forked from a server that has imported them. Others, and
    those with options of the interpreter, run in a fresh one.
    """
    if program.__module__ in PROGRAMS and not options:
        return Child(program, tuple(map(str, arguments)))
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    code = (
        f"import sys; from {program.__module__} import {program.__name__} as program;"
        " program(*sys.argv[1:])"
    )
    return subprocess.Popen(
        [sys.executable, *options, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def output(
    program: Callable[..., None],
    *arguments: object,
    options: tuple[str, ...] = (),
    seconds: float = 60,
) -> str:
    """Run a function in a child process to its end, and return its output."""
    with running(program, *arguments, options=options) as process:
        printed, _ = process.communicate(timeout=seconds)
        assert process.returncode == 0, f"the child ended with {process.returncode}"
        return printed.decode()


@contextmanager
def running(
    program: Callable[..., None], *arguments: object, options: tuple[str, ...] = ()
) -> Generator[Process]:
    """Run a child process, and kill it at the end of the block."""
    with start(program, *arguments, options=options) as process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: Process, line: str = "") -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())


def hear(process: Process) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the child ended early"
    return line.decode().strip()


def say(text: str) -> None:
    """Print a line in one system call, so that a killed process never prints half of one."""
    os.write(1, f"{text}\n".encode())


def hold_lock(path: str, begin: str, *seconds: str) -> None:
    """Hold a lock until a line of input, or for some seconds."""
    with closing(plain(Path(path))) as connection:
        connection.execute(begin)
        say("held")
        if seconds:
            threading.Event().wait(float(seconds[0]))
        else:
            sys.stdin.readline()
        connection.execute("ROLLBACK")
    say("released")


# Plain SQLite ----------------------------------------------------------------------------------


def plain(path: Path) -> sqlite3.Connection:
    """Open a file as another program does."""
    return sqlite3.connect(path, isolation_level=None, timeout=5)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(plain(path)) as connection:
        return connection.execute(sql).fetchall()


def side_files(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir() if other.name != path.name)


def open_files(directory: Path) -> list[str]:
    """Return the files in a directory that this process has open."""
    found: list[str] = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # the descriptor of this listing
            continue
        if target.startswith(str(directory)):
            found.append(target)
    return found


def no_store_threads(seconds: float = 5, name: str = "mobstore") -> bool:
    """Return whether all threads of stores end; one may end shortly after the last call."""
    deadline = time.monotonic() + seconds
    while any(thread.name.startswith(name) for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
