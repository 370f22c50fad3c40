"""Databases of 0.6 to 0.8 are read with all of their content, and never written back."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import mobstore
from cli.command_line import run as run_command
from maintenance.support import stores_of
from meerkat.archives import (
    DIGEST,
    INPUTS,
    MODELS,
    RELEASES,
    REPORT,
    SAMPLE,
    Release,
    archive,
    encoded,
    flat,
)
from mobstore.errors import ReadFailedError, SerializationError
from mobstore.meerkat import ImportReport, export_meerkat, import_meerkat
from mobstore.meerkat.archived_runs import split_run
from mobstore.meerkat.lifting import FLOW_FRAME, FLOW_RUN, LOOP_ITERATION, lift
from mobstore.scripts.tables import REALM_PROFILES, RUN_EXTRAS, SPECS
from mobstore.scripts.transaction import Scan
from mobstore.testing.scripts import read_script

releases = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)


def column(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as file:
        return [value for (value,) in file.execute(sql)]


@pytest.fixture
def sample_runs(tmp_path: Path) -> list[dict[str, Any]]:
    path = tmp_path / "sample.db"
    path.write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    return [json.loads(text) for text in column(path, "SELECT run_json FROM mob_runs")]


def states(runs: list[dict[str, Any]]) -> list[tuple[Any, dict[str, Any]]]:
    """Return the kernel states of runs with their machines."""
    found: list[tuple[Any, dict[str, Any]]] = []
    for run in runs:
        found.append((FLOW_RUN, run["flow_state"]))
        for part, machine in (("frames", FLOW_FRAME), ("loops", LOOP_ITERATION)):
            found += [(machine, one["kernel_state"]) for one in run[part].values()]
    return found


def test_all_states_of_the_sample_are_lifted_to_what_they_were(
    sample_runs: list[dict[str, Any]],
) -> None:
    found = states(sample_runs)
    assert len(found) == 22
    for machine, state in found:
        assert flat(state)["phase"] == state["phase"]
        lifted, unknown = lift(machine, flat(state), "state")
        assert unknown == {}
        assert mobstore.KernelState.from_json(json.dumps(lifted)) == (
            mobstore.KernelState.from_json(json.dumps(state))
        )
        assert lift(machine, state, "state") == (state, {})
    assert (len(FLOW_RUN), len(FLOW_FRAME), len(LOOP_ITERATION)) == (30, 16, 10)
    for machine in (FLOW_RUN, FLOW_FRAME, LOOP_ITERATION):
        assert all(
            state["fields"].keys() <= machine.keys() for used, state in found if used is machine
        )


def test_all_types_of_fields_are_lifted() -> None:
    text, number = {"type": "string", "value": "s"}, {"type": "u64", "value": 7}
    none, flag = {"type": "none"}, {"type": "bool", "value": True}

    def variant(enum_name: str, name: str) -> dict[str, str]:
        return {"type": "named_variant", "enum_name": enum_name, "variant": name}

    def entries(value: Any) -> dict[str, Any]:
        return {"type": "map", "entries": [[text, value]]}

    frame = {
        "phase": "Running", "frame_id": "s", "frame_scope": "Root", "iteration": 7,
        "tracked_nodes": ["s"], "ordered_nodes": ["s", "s"], "node_kind": {"s": "Loop"},
        "node_dependencies": {"s": ["s"]}, "node_dependency_modes": {"s": "All"},
        "node_branches": {"s": None}, "node_status": {"s": "Ready"}, "output_recorded": {"s": True},
        "node_condition_results": {"s": None},
    }  # fmt: skip
    lifted, unknown = lift(FLOW_FRAME, frame, "state")
    assert unknown == {}
    assert lifted == {
        "phase": "Running",
        "fields": {
            "frame_id": text,
            "frame_scope": variant("FrameScope", "Root"),
            "iteration": number,
            "tracked_nodes": {"type": "set", "items": [text]},
            "ordered_nodes": {"type": "seq", "items": [text, text]},
            "node_kind": entries(variant("FlowNodeKind", "Loop")),
            "node_dependencies": entries({"type": "seq", "items": [text]}),
            "node_dependency_modes": entries(variant("DependencyMode", "All")),
            "node_branches": entries(none),
            "node_status": entries(variant("NodeRunStatus", "Ready")),
            "output_recorded": entries(flag),
            "node_condition_results": entries(none),
        },
    }
    loop = {"phase": "P", "stage": "AwaitingUntil", "depth": 7, "active_body_frame_id": None}
    fields = {
        "stage": variant("LoopIterationStage", "AwaitingUntil"),
        "depth": number,
        "active_body_frame_id": none,
    }
    assert lift(LOOP_ITERATION, loop, "state") == ({"phase": "P", "fields": fields}, {})


@releases
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_everything_is_read(
    release: Release, engine: str, tmp_path: Path, sample_runs: list[dict[str, Any]]
) -> None:
    source = archive(tmp_path / "old.db", release)
    before = source.read_bytes()
    wrapped = [json.loads(text) for text in column(source, "SELECT event_json FROM mob_events")]
    by_mob = "SELECT spec_json FROM mob_specs ORDER BY mob_id"
    definitions = [json.loads(text) for text in column(source, by_mob)]
    profiles = [
        json.loads(text)
        for text in column(source, "SELECT profile_json FROM realm_profiles ORDER BY name")
    ]

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            report = await import_meerkat(source, stores)
            assert (report.events, report.runs, report.specs) == (99, 8, 2)
            assert (report.left_out, report.imported_from) == ([], release.name)
            assert (await stores.overview()).imported_from == release.name
            log = await stores.events.replay_all()
            assert [json.loads(one.to_json()) for one in log] == [one["event"] for one in wrapped]
            for one, stored in zip(log, wrapped, strict=True):
                assert one.to_json().encode() == encoded(stored["event"])
            spawned = await stores.events.poll(types="member_spawned")
            assert all(isinstance(one.kind, mobstore.OtherEvent) for one in spawned)
            named = await stores.events.poll(member="scout-1")
            assert {one.kind.type for one in named} > {"member_spawned", "step_dispatched"}
            await check_runs(stores, release, sample_runs)
            specs = await stores.engine.read(read_script(Scan(SPECS)))
            assert [json.loads(row.definition) for row in specs] == [
                one["definition"] for one in definitions
            ]
            if release.run == 7:
                assert all(json.loads(row.definition)["models"] == MODELS for row in specs)
            spec = await stores.specs.get_spec("tide-desk")
            assert spec is not None
            assert spec[0].flows
            rows = await stores.engine.read(read_script(Scan(REALM_PROFILES)))
            assert [json.loads(row.profile) for row in rows] == profiles
            assert (await mobstore.verify(stores)).problems == ()
            with pytest.raises(SerializationError, match=f"{release.name}, for reading"):
                await export_meerkat(stores, tmp_path / "back.db")
            with pytest.raises(SerializationError, match="for reading"):
                await export_meerkat(stores, tmp_path / "back", by_mob=True)
            await check_moves(stores, release)

    asyncio.run(check())
    assert source.read_bytes() == before
    assert not list(tmp_path.glob("back*"))


async def check_runs(
    stores: mobstore.MobStores, release: Release, sample_runs: list[dict[str, Any]]
) -> None:
    for old in sample_runs:
        run = await stores.runs.get_run(old["run_id"])
        assert run is not None
        assert json.loads(run.to_json()) == {**old, "schema_version": release.run}
        extra = await stores.runs.get_run_extra(old["run_id"])
        assert extra is not None
        assert extra["flow_authority_inputs"] == INPUTS
        assert extra.get("flow_definition_digest") == (DIGEST if release.name == "0.8" else None)
        failures = {
            str(n): {"error": "late", "error_report": REPORT}
            for n in range(len(old["failure_ledger"]))
        }
        assert extra.get("failure_ledger", {}) == failures


async def check_moves(stores: mobstore.MobStores, release: Release) -> None:
    """Check that copies and archives are the same, and stay for reading."""
    file = io.BytesIO()
    await mobstore.export_stores(stores, file)
    async with mobstore.open_stores("memory:") as one, mobstore.open_stores("memory:") as other:
        await mobstore.import_stores(io.BytesIO(file.getvalue()), one)
        await mobstore.copy(stores, other)
        for copied in (one, other):
            assert [found async for found in mobstore.diff(stores, copied)] == []
            assert (await copied.overview()).imported_from == release.name
            assert await copied.runs.get_run_extra((await copied.runs.find_run_ids("", 1))[0])
            with pytest.raises(SerializationError, match="for reading"):
                await export_meerkat(copied, "never")
        (first, *_) = await other.runs.find_run_ids("", 9)
        assert await other.runs.delete_run(first)
        assert await other.runs.get_run_extra(first) is None
        assert len(await other.engine.read(read_script(Scan(RUN_EXTRAS)))) == 7
        found = [difference async for difference in mobstore.diff(one, other)]
        assert [(difference.kind, difference.only_in) for difference in found] == [("run", "first")]


def test_the_command_line_says_what_it_is(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'mobs.db'}"
    source = archive(tmp_path / "old.db", RELEASES[2])
    assert "imported from 0.8, for reading" in run_command("import", str(source), url).out
    shown = run_command("info", url).out
    assert "imported from" in shown
    assert "0.8, for reading" in shown
    assert json.loads(run_command("info", url, "--json").out)["imported_from"] == "0.8"
    refused = run_command("export", url, str(tmp_path / "back.db"), "--format", "meerkat")
    assert refused.code == 1
    assert "was imported from meerkat-mob 0.8, for reading" in refused.errors
    (run_id, *_) = column(source, "SELECT run_id FROM mob_runs")
    assert f"flow_definition_digest={DIGEST}" in run_command("run", url, run_id).out
    assert "experimental" in run_command("import", "--help").out


def test_an_installation_with_several_releases(tmp_path: Path, sample: Path) -> None:
    folder = tmp_path / "installation"
    folder.mkdir()
    runs = column(sample, "SELECT run_id FROM mob_runs")
    for release in RELEASES[:2]:
        path = archive(folder / f"{release.name}.db", release)
        with closing(sqlite3.connect(path)) as file:
            file.execute("DELETE FROM mob_specs")
            file.execute("DELETE FROM mob_runs")
            file.execute("DELETE FROM realm_profiles")
            file.execute(
                "UPDATE mob_events SET event_json = CAST(replace(replace(CAST(event_json AS TEXT),"
                ' \'"mob_id":"tide-desk"\', ?), \'"mob_id":"night-desk"\', ?) AS BLOB)',
                (f'"mob_id":"day {release.name}"', f'"mob_id":"night {release.name}"'),
            )
            file.commit()

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await import_meerkat(sample, stores)
            assert (await stores.overview()).imported_from is None
            report = await import_meerkat(folder, stores, into=True)
            assert report.imported_from == "0.6, 0.7"
            assert (await stores.overview()).imported_from == "0.6, 0.7"
            ids = await stores.runs.find_run_ids("", 99)
            assert list(map(str, ids)) == sorted(runs)

    asyncio.run(check())


def changed(path: Path, table: str, **columns: Any) -> None:
    """Change the first row of a table."""
    with closing(sqlite3.connect(path)) as file:
        for name, value in columns.items():
            file.execute(
                f"UPDATE {table} SET {name} = ? WHERE rowid = (SELECT min(rowid) FROM {table})",
                (value,),
            )
        file.commit()


def imported(path: Path, *, skip: bool = False) -> ImportReport:
    async def run() -> ImportReport:
        async with mobstore.open_stores("memory:") as stores:
            return await import_meerkat(path, stores, skip_unreadable=skip)

    return asyncio.run(run())


def event(version: Any, kind: Any, **more: Any) -> bytes:
    stored = {"cursor": 1, "timestamp": "2026-03-04T05:06:07Z", "mob_id": "m", "kind": kind}
    return encoded({"schema_version": version, "event": stored, **more})


@pytest.mark.parametrize("version", [0, 5, 7, 10, "8", None, True])
def test_events_of_an_unknown_version_are_refused(version: Any, tmp_path: Path) -> None:
    path = archive(tmp_path / "old.db", RELEASES[1])
    changed(path, "mob_events", event_json=event(version, {"type": "mob_reset"}))
    release = r"newer than 0\.8" if version == 10 else "of an unknown release"
    with pytest.raises(ReadFailedError, match=release):
        imported(path, skip=True)


def test_runs_of_a_later_version_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "old.db", RELEASES[1])
    (document, *_) = column(path, "SELECT run_json FROM mob_runs")
    later = encoded({**json.loads(document), "schema_version": 8})
    changed(path, "mob_runs", run_json=later)
    with pytest.raises(ReadFailedError, match=r"newer than 0\.8"):
        imported(path)


DEEP = '{"a":' * 130 + "1" + "}" * 130
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a set": ({"flow_state": {"phase": "P", "tracked_steps": {}}}, "tracked_steps is not an array"),
    "a number": (
        {"flow_state": {"phase": "P", "failure_count": "1"}},
        "flow_state: failure_count is not a number",
    ),
    "a negative number": ({"flow_state": {"phase": "P", "failure_count": -1}}, "flow_state"),
    "a flag": (
        {"flow_state": {"phase": "P", "output_recorded": {"s": 1}}},
        "output_recorded is not true or false",
    ),
    "a status": (
        {"flow_state": {"phase": "P", "step_status": {"s": 1}}},
        "step_status is not a variant of StepRunStatus",
    ),
    "a frame": (
        {"frames": {"f": {"kernel_state": {"phase": "P", "iteration": None}}}},
        "frames: kernel_state: iteration is not a number",
    ),
    "no phase": ({"flow_state": {"failure_count": 1}}, "flow_state"),
    "no state": ({"flow_state": None}, "flow_state"),
    "no ledger": ({"step_ledger": {"a": 1}}, "step_ledger"),
    "no entry": ({"step_ledger": [1]}, "step_ledger.0"),
    "an entry without a member": ({"step_ledger": [{"step_id": "s"}]}, "meerkat_id"),
    "frames": ({"frames": []}, "frames"),
    "no frame": ({"frames": {"f": None}}, "frames.f"),
    "too many values": (
        {"flow_state": {"phase": "P", "ready_frames": ["f"] * 350_000}},
        "more than 1,048,576 values",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_runs_are_refused_or_left_out_in_words(name: str, tmp_path: Path) -> None:
    parts, words = WRONG[name]
    path = archive(tmp_path / "old.db", RELEASES[1])
    (document, *_) = column(path, "SELECT run_json FROM mob_runs")
    changed(path, "mob_runs", run_json=encoded({**json.loads(document), **parts}))
    with pytest.raises(SerializationError) as caught:
        imported(path)
    assert words in caught.value.detail
    report = imported(path, skip=True)
    assert report.runs == 7
    assert words in report.left_out[0].reason


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b'{"schema_version":8,"event":{"cursor":1,"cursor":1}}', "cursor"),
        (event(8, {"type": "x", "a": 1}).replace(b'"a":1', b'"a":1,"a":1'), "a key occurs twice"),
        (event(8, {"type": "x", "a": 1}).replace(b'"a":1', b'"a":' + DEEP.encode()), "nested"),
        (event(8, {"type": "x", "a": 1}).replace(b'"a":1', b'"a":NaN'), "NaN is not JSON"),
        (event(8, {"type": "x"}).replace(b'"x"', b'"\\ud800"'), "lone surrogates"),
        (event(8, {"type": 7}), "one text as its type"),
        (event(8, []), "an event is an object"),
        (b'{"schema_version":8,"event":[]}', "cursor"),
    ],
)
def test_wrong_events_are_left_out_in_words(document: bytes, words: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "old.db", RELEASES[1])
    changed(path, "mob_events", event_json=document)
    report = imported(path, skip=True)
    assert report.events == 98
    assert words in report.left_out[0].reason
    with pytest.raises(SerializationError):
        imported(path)


def test_unknown_fields_of_states_and_entries_are_kept(sample_runs: list[dict[str, Any]]) -> None:
    run = next(run for run in sample_runs if run["loops"])
    frame, loop = next(iter(run["frames"])), next(iter(run["loops"]))
    state: dict[str, Any] = {**flat(run["flow_state"]), "__proto__": {"b": 1, "a": 2}}
    frames: dict[str, Any] = {
        **run["frames"],
        frame: {"kernel_state": {"phase": "P", "new": 1}, "more": [None]},
    }
    loops: dict[str, Any] = {**run["loops"], loop: {**run["loops"][loop], "more": {}}}
    steps = [{**run["step_ledger"][0], "agent_identity": "other"}, *run["step_ledger"][1:]]
    whole: dict[str, Any] = {
        **run,
        "flow_state": state,
        "frames": frames,
        "loops": loops,
        "step_ledger": steps,
    }
    split, extra = split_run({**whole, "new": None})
    assert extra == {
        "new": None,
        "flow_state": {"__proto__": {"b": 1, "a": 2}},
        "step_ledger": {"0": {"agent_identity": "other"}},
        "frames": {frame: {"more": [None], "kernel_state": {"new": 1}}},
        "loops": {loop: {"more": {}}},
    }
    assert split["step_ledger"] == run["step_ledger"]
    assert split["frames"][frame] == {"kernel_state": {"phase": "P", "fields": {}}}
    assert split_run(run) == (run, {})


def test_further_keys_of_0_5_2_are_kept_and_written_back(sample: Path, tmp_path: Path) -> None:
    """They do not make an archive of it: definitions and profiles go back as they came."""
    (spec, *_) = column(sample, "SELECT spec_json FROM mob_specs")
    (profile, *_) = column(sample, "SELECT profile_json FROM realm_profiles")
    (run, *_) = column(sample, "SELECT run_json FROM mob_runs")
    spec = spec[:-1].replace(b'{"definition":{', b'{"definition":{"later":{"z":1,"a":2},', 1) + b"}"
    changed(sample, "mob_specs", spec_json=spec)
    changed(sample, "realm_profiles", profile_json=profile[:-1] + b',"later":[1.0]}')
    changed(sample, "mob_runs", run_json=run[:-1] + b',"later":1}')

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            assert (await import_meerkat(sample, stores)).imported_from is None
            report = await export_meerkat(stores, tmp_path / "back.db")
            assert report.left_out == ("1 run with further keys",)
            assert (await mobstore.verify(stores)).problems == ()

    asyncio.run(check())
    back = tmp_path / "back.db"
    assert spec in column(back, "SELECT spec_json FROM mob_specs")
    assert profile[:-1] + b',"later":[1.0]}' in column(
        back, "SELECT profile_json FROM realm_profiles"
    )
