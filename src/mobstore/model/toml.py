"""Definitions in TOML."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any, cast

from mobstore.errors import SerializationError
from mobstore.model.json import I64_MAX, I64_MIN, NULL_IN_FREE_JSON
from mobstore.model.text import bounded

_SAME_IN_JSON = (
    "profiles",
    "wiring",
    "skills",
    "backend",
    "flows",
    "topology",
    "supervisor",
    "limits",
    "spawn_policy",
    "event_router",
)

# The time that tomllib takes grows with the square of a key's parts. A definition within these
# limits takes two seconds at most; one key of 40,000 parts takes a minute.
_LONGEST_TOML = 2**20
_MOST_PARTS = 16
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = rf"(?m)(?:^|[\[{{,])[ \t]*+(?:{_PART}[ \t]*+\.[ \t]*+){{{_MOST_PARTS}}}"


def definition_fields(text: str) -> dict[str, object]:
    """Return the fields of a definition, in the form of its JSON.

    Raises:
        SerializationError: the text is not TOML, too long, or has no table [mob].
    """
    document = _read(text)
    mob: object = document.get("mob")
    if not isinstance(mob, dict):
        raise SerializationError("the table [mob] is missing")
    head = _table(cast("object", mob))
    fields = {key: document[key] for key in _SAME_IN_JSON if key in document}
    _complete_nodes(fields.get("flows"))
    if "mcp" in document:
        fields["mcp_servers"] = document["mcp"]
    if "id" in head:
        fields["id"] = head["id"]
    orchestrator = head.get("orchestrator")
    if isinstance(orchestrator, str):
        orchestrator = {"profile": orchestrator}
    fields["orchestrator"] = orchestrator
    return fields


def _read(text: str) -> dict[str, Any]:
    import tomllib  # rarely needed, and slow to import

    if len(text) > _LONGEST_TOML:
        raise SerializationError(
            f"the TOML of a definition has at most {_LONGEST_TOML:,} characters, not {len(text):,};"
            " a longer definition can be read as JSON"
        )
    if re.search(_LONG_KEY, text):
        raise SerializationError(f"a key of TOML has at most {_MOST_PARTS} parts between dots")
    try:
        text.encode()  # tomllib accepts lone surrogates
        return cast("dict[str, Any]", _json_form(tomllib.loads(text)))
    except RecursionError:
        why = "not a definition: nested too deeply"
    except ValueError as error:
        why = f"not TOML: {bounded(error, 200)}"
    raise SerializationError(why)


def _json_form(value: object) -> object:
    """Return the JSON form of a TOML value."""
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return {key: _json_form(item) for key, item in table.items()}
    if isinstance(value, list):
        return [_json_form(item) for item in cast("list[object]", value)]
    if isinstance(value, float) and not isfinite(value):
        return NULL_IN_FREE_JSON
    if isinstance(value, int) and not I64_MIN <= value <= I64_MAX:
        raise ValueError("integers of TOML have 64 bits")
    if isinstance(value, (str, int, float)):
        return value
    # A date or a time. Python writes UTC as +00:00, the reference as Z.
    text = str(value).replace(" ", "T").replace("+00:00", "Z")
    return {"$__toml_private_datetime": text}


def _complete_nodes(flows: object) -> None:
    """Give the nodes of frames the defaults that steps of flows have. In JSON they have none."""
    frames = [flow.get("root") for flow in _tables(flows)]
    while frames:
        for node in _tables(_table(frames.pop()).get("nodes")):
            node.setdefault("depends_on", [])
            node.setdefault("depends_on_mode", "all")
            frames.append(node.get("body"))


def _table(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _tables(value: object) -> list[dict[str, object]]:
    return [_table(part) for part in _table(value).values()]
