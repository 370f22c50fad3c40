"""Databases of 0.6 to 0.8, made from the description of these releases.

No file that one of them wrote was available. The layout, the wrapper of events, the renamed keys
and the flat kernel states follow what was read in the sources; the content is that of the sample
database of 0.5.2.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
DIGEST = "5f0c1a520e6b4f0b9a7a1d2f3a4b5c6d"
INPUTS = {"steps": [{"id": "scan", "order": 1}], "digest": None}
REPORT = {"code": "timeout", "attempts": [1, 2.5], "details": {"z": 1, "a": None}}
MODELS = {"default": "x-1", "by_role": {"z": 1, "a": 2}}

_RUNTIME = ("mob_runtime_supervisors", "mob_runtime_binding_overlays")
_TAGS = {
    "meerkat_spawned": "member_spawned",
    "meerkat_retired": "member_retired",
    "meerkat_kickoff_updated": "member_kickoff_updated",
    "peers_wired": "members_wired",
    "peers_unwired": "members_unwired",
}


class Release(NamedTuple):
    """A release, and the form of its files.

    Attributes:
        name: the release.
        event: the version of its events.
        run: that of its runs.
        tables: the tables that it adds.
        events: the columns of `mob_events`.
    """

    name: str
    event: int
    run: int
    tables: tuple[str, ...]
    events: str = "cursor INTEGER PRIMARY KEY, event_json BLOB NOT NULL"


RELEASES = (
    Release("0.6", 6, 6, _RUNTIME),
    Release("0.7", 8, 7, _RUNTIME),
    Release(
        "0.8",
        9,
        7,
        (*_RUNTIME, "mob_run_remote_turn_intents", "mob_identity_leases", "meerkat_schema"),
        "cursor INTEGER PRIMARY KEY, mob_id TEXT, event_json BLOB NOT NULL",
    ),
)


def plain(value: Mapping[str, Any]) -> Any:
    """Return a tagged kernel value as newer releases write it."""
    match value["type"]:
        case "none":
            return None
        case "named_variant":
            return value["variant"]
        case "seq" | "set":
            return [plain(item) for item in value["items"]]
        case "map":
            return {plain(key): plain(item) for key, item in value["entries"]}
        case _:
            return value["value"]


def flat(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a kernel state as newer releases write it."""
    return {
        "phase": state["phase"],
        **{name: plain(value) for name, value in state["fields"].items()},
    }


def event(document: dict[str, Any], release: Release) -> dict[str, Any]:
    """Return an event of 0.5.2 as a newer release writes it."""
    kind = dict(document["kind"])
    tag = kind["type"]
    if "meerkat_id" in kind:
        member = kind.pop("meerkat_id")
        if tag.startswith("step_"):
            kind["target"] = {"identity": member, "generation": 1}
        else:
            kind["member" if tag == "meerkat_kickoff_updated" else "agent_identity"] = member
    kind["type"] = _TAGS.get(tag, tag)
    if kind["type"] == "member_spawned":
        kind["bridge_member_ref"] = {"session": "s", "fence": 18446744073709551615}
    if tag == "flow_failed" and release.run == 7:
        kind["cause"] = {"kind": "step", "detail": None}
    if tag == "mob_created":
        kind["definition"] = definition(kind["definition"], release)
    return {"schema_version": release.event, "event": {**document, "kind": kind}}


def run(document: dict[str, Any], release: Release) -> dict[str, Any]:
    """Return a run of 0.5.2 as a newer release writes it."""
    steps = [
        {"agent_identity" if key == "meerkat_id" else key: value for key, value in entry.items()}
        for entry in document["step_ledger"]
    ]
    failures = [
        {**entry, "error": "late", "error_report": REPORT} for entry in document["failure_ledger"]
    ]
    changed = {
        **document,
        "schema_version": release.run,
        "flow_state": flat(document["flow_state"]),
        "step_ledger": steps,
        "failure_ledger": failures,
        "flow_authority_inputs": INPUTS,
        **{
            part: {
                name: {"kernel_state": flat(snapshot["kernel_state"])}
                for name, snapshot in document[part].items()
            }
            for part in ("frames", "loops")
        },
    }
    return {**changed, "flow_definition_digest": DIGEST} if release.name == "0.8" else changed


def definition(document: dict[str, Any], release: Release) -> dict[str, Any]:
    """Return a definition of 0.5.2 as a newer release writes it."""
    gone = {"mcp_servers", "owner_session_id"}
    if release.run == 7:
        gone |= {"session_cleanup_policy", "is_implicit"}
    kept = {key: value for key, value in document.items() if key not in gone}
    more: dict[str, Any] = (
        {"models": MODELS} if release.run == 7 else {"owner_bridge_session_id": None}
    )
    return {**kept, **more}


def profile(document: dict[str, Any], release: Release) -> dict[str, Any]:
    """Return a profile of 0.5.2 as a newer release writes it."""
    tools = {key: value for key, value in document["tools"].items() if key != "mob_tasks"}
    more: dict[str, Any] = (
        {"provider": "p", "resume_overrides": {"z": 1, "a": []}} if release.run == 7 else {}
    )
    return {**document, "tools": {**tools, "image_generation": True}, **more}


def archive(path: Path, release: Release) -> Path:
    """Write a database as a release would have, with the content of the sample of 0.5.2."""
    path.write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    with closing(sqlite3.connect(path)) as file:
        events = file.execute("SELECT cursor, event_json FROM mob_events ORDER BY 1").fetchall()
        file.execute("DROP TABLE mob_events")
        file.execute(f"CREATE TABLE mob_events ({release.events})")
        for cursor, document in events:
            changed = event(json.loads(document), release)
            file.execute(
                "INSERT INTO mob_events (cursor, event_json) VALUES (?, ?)",
                (cursor, encoded(changed)),
            )
            if "mob_id" in release.events:
                file.execute(
                    "UPDATE mob_events SET mob_id = ? WHERE cursor = ?",
                    (changed["event"]["mob_id"], cursor),
                )
        for key, document in file.execute("SELECT run_id, run_json FROM mob_runs").fetchall():
            stored = encoded(run(json.loads(document), release))
            file.execute("UPDATE mob_runs SET run_json = ? WHERE run_id = ?", (stored, key))
        for key, document in file.execute("SELECT mob_id, spec_json FROM mob_specs").fetchall():
            spec = json.loads(document)
            spec["definition"] = definition(spec["definition"], release)
            file.execute(
                "UPDATE mob_specs SET spec_json = ? WHERE mob_id = ?", (encoded(spec), key)
            )
        for key, document in file.execute(
            "SELECT name, profile_json FROM realm_profiles"
        ).fetchall():
            stored = encoded(profile(json.loads(document), release))
            file.execute("UPDATE realm_profiles SET profile_json = ? WHERE name = ?", (stored, key))
        for table in release.tables:
            file.execute(
                f"CREATE TABLE {table} (domain TEXT PRIMARY KEY, version INTEGER NOT NULL)"
            )
        file.commit()
    return path


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return JSON as the reference writes it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
