"""The release of the reference that wrote a row, which the form of its JSON shows.

The tables of a file only show which releases have opened it: since 0.6 each adds its own tables to
an older file, and changes no row. So rows decide, and a file may hold rows of several releases.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from mobstore.meerkat.report import key_name
from mobstore.model.text import brief

_Document: TypeAlias = Mapping[str, Any]

_OF_EVENTS = {6: "0.6", 8: "0.7", 9: "0.8"}
_OF_RUNS = {6: "0.6", 7: "0.7 or 0.8"}
_UNKNOWN, _SINCE_0_7 = "0.6 or newer", "0.7 or 0.8"
_LATER = "newer than 0.8"
_STRANGE = "of an unknown release"
_OLD_RUN = 4
"""The highest `schema_version` of a run of 0.5.2."""

_OF_DEFINITIONS = {
    "owner_bridge_session_id": "0.6",
    "models": _SINCE_0_7,
    "image_generation_provider": _SINCE_0_7,
    "source_identity": _SINCE_0_7,
}
_OF_PROFILES = {
    "provider": _SINCE_0_7,
    "self_hosted_server_id": _SINCE_0_7,
    "image_generation_provider": _SINCE_0_7,
    "auto_compact_threshold": _SINCE_0_7,
    "resume_overrides": _SINCE_0_7,
}


class Newer(NamedTuple):
    """The mark of a release after 0.5.2 in a row.

    Attributes:
        release: the release, such as "0.6".
        sign: what the row has, such as "schema_version 6".
    """

    release: str
    sign: str

    @property
    def is_readable(self) -> bool:
        """False if the row may have any form."""
        return self.release not in {_LATER, _STRANGE}


def releases_text(releases: Iterable[str]) -> str:
    """Return the releases of some rows in words, without those that others make more exact."""
    found = set(releases)
    exact = found - {_UNKNOWN, _SINCE_0_7}
    if not exact:
        return _SINCE_0_7 if _SINCE_0_7 in found else _UNKNOWN
    if _SINCE_0_7 in found and exact == {"0.6"}:
        return f"0.6, {_SINCE_0_7}"
    return ", ".join(sorted(exact))


def newer_row(table: str, document: _Document) -> Newer | None:
    """Return the mark of a release after 0.5.2 in a row; None for a row of 0.5.1 or 0.5.2.

    Args:
        table: the table of the row.
        document: its JSON.
    """
    _, mark = _ROWS[table]
    return mark(document)


def row_name(table: str, key: object) -> str:
    """Return the name of a row for messages, such as "event 7"."""
    noun, _ = _ROWS[table]
    return f"{noun} {key_name(key)}"


def _event(document: _Document) -> Newer | None:
    if "event" not in document or "schema_version" not in document or "cursor" in document:
        return None
    return _versioned(document["schema_version"], _OF_EVENTS)


def _run(document: _Document) -> Newer | None:
    version = document.get("schema_version")
    if type(version) is int and version > _OLD_RUN:
        return _versioned(version, _OF_RUNS)
    if "flow_authority_inputs" in document:
        return Newer(_UNKNOWN, "the key flow_authority_inputs")
    state: object = document.get("flow_state")
    if isinstance(state, dict) and "phase" in state and "fields" not in state:
        return Newer(_UNKNOWN, "a flow_state without fields")
    entries: object = document.get("step_ledger")
    if isinstance(entries, list):
        for entry in cast("list[object]", entries):
            if isinstance(entry, dict) and "agent_identity" in entry:
                return Newer(_UNKNOWN, "a step with an agent_identity")
    return None


def _spec(document: _Document) -> Newer | None:
    return _with_key(document.get("definition"), _OF_DEFINITIONS)


def _profile(document: _Document) -> Newer | None:
    return _with_key(document, _OF_PROFILES)


def _versioned(version: object, releases: Mapping[int, str]) -> Newer:
    sign = f"schema_version {brief(json.dumps(version, default=repr))}"
    if type(version) is int:
        later = _LATER if version > max(releases) else _STRANGE
        return Newer(releases.get(version, later), sign)
    return Newer(_STRANGE, sign)


def _with_key(document: object, releases: Mapping[str, str]) -> Newer | None:
    if isinstance(document, dict):
        for key in cast("Iterable[str]", releases.keys() & document.keys()):
            return Newer(releases[key], f"the key {key}")
    return None


_ROWS: dict[str, tuple[str, Callable[[_Document], Newer | None]]] = {
    "mob_events": ("event", _event),
    "mob_runs": ("run", _run),
    "mob_specs": ("spec", _spec),
    "realm_profiles": ("realm profile", _profile),
}
