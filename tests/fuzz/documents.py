"""Mutations of JSON and TOML.

The grammar comes from the golden documents: a value is put where another document has one under
the same key. The other edits break types, keys, numbers, text, nesting and size.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

from fuzz.chance import Chance
from mobstore.testing.samples import HOSTILE_TEXTS
from support import golden

Json: TypeAlias = Any  # from the json module, with `Raw` inside
Container: TypeAlias = "dict[str, Json] | list[Json]"
Slot: TypeAlias = tuple[Container, Any]


@dataclass(frozen=True)
class Raw:
    """Text that is written unchanged, whether it is JSON or not."""

    text: str


_ODD: tuple[Json, ...] = (
    None, True, False, 0, 1, -1, 255, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64,
    -(2**63), -(2**63) - 1, 1.0, 1.5, -0.0, 1e308, 5e-324, [], {}, [[]], [None], {"": None},
    *HOSTILE_TEXTS, "running", "2026-03-04T05:06:07Z", "[/nope]", "\x1b[2J", "\x9b31m", "__proto__",
    *map(Raw, (
        "1e400", "-1e400", "-0", "1E5", "NaN", "Infinity", "01", "1.", "+1", "''", "", "9" * 5000,
        '"\\ud800"', '"\\u0000"', '"\\ud83d\\ude00"', '"\x01"', '"\\x"', '"', "[1,]",
        '{"a":1,"a":2}',
        "[" * 130 + "]" * 130, '{"a":' * 130 + "0" + "}" * 130, "[" * 20_000, "// no", "\ufeff0",
    )),
)  # fmt: skip

_BULKS: tuple[Callable[[int], str], ...] = (
    lambda n: "[" + "{}," * n + "{}]",
    lambda n: "[" + "[]," * n + "[]]",
    lambda n: "[" + "0," * n + "0]",
    lambda n: "[" + "null," * n + "null]",
    lambda n: json.dumps(dict.fromkeys(map(str, range(n)), 0)),
    lambda n: json.dumps({str(key): {} for key in range(n)}),
    lambda n: "{" + '"k":0,' * n + '"k":0}',
    lambda n: '"' + '\\"' * n + '"',
    lambda n: '"' + "\\\\" * n + '"',
    lambda n: '"' + "\\ud83d" * n + '"',
    lambda n: '"' + "x" * n,
    lambda n: '\\"' * n,
    lambda n: '"' * n,
    lambda n: "9" * n,
    lambda n: "0." + "9" * n,
    lambda n: " " * n,
    lambda n: "[" * n + "]" * n,
    lambda n: '{"a":' * n,
)
"""Documents whose size is chosen: each has been quadratic, or large in memory, somewhere."""


@cache
def corpus() -> dict[str, list[Json]]:
    """Return the golden documents that are valid, by type."""
    found: dict[str, list[Json]] = {}
    for vector in golden.vectors():
        if vector.rewritten is not None:
            found.setdefault(vector.type, []).append(json.loads(vector.rewritten))
    return found


@cache
def _by_key() -> dict[str, list[Json]]:
    """Return all values of the golden documents, by their key."""
    found: dict[str, list[Json]] = {}
    for documents in corpus().values():
        for container, key in _slots(documents):
            if isinstance(key, str):
                found.setdefault(key, []).append(cast("dict[str, Json]", container)[key])
    return found


def changed(chance: Chance, document: Json) -> Json:
    """Return a copy with one to four edits."""
    holder = [copy.deepcopy(document)]
    for _ in chance.few():
        slots = list(_slots(holder))
        if not slots:
            break  # nothing is left
        container, key = chance.choice(slots[1:] or slots)
        edit = chance.choice(_EDITS)
        edit(chance, container, key)
    return holder[0] if holder else None


def bulk(chance: Chance) -> str:
    """Return one large document, JSON or nearly so."""
    return chance.choice(_BULKS)(chance.size(1000, 30_000, 300_000))


def write(value: Json) -> str:
    """Write JSON; unlike the json module also `Raw` text."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        items = cast("dict[str, Json]", value).items()
        return f"{{{','.join(f'{json.dumps(key)}:{write(item)}' for key, item in items)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(write, cast('list[Json]', value)))}]"
    return json.dumps(value)


def document(chance: Chance) -> tuple[str, bytes]:
    """Return a type of the golden documents, and a document that is nearly of that type."""
    kind = chance.choice(sorted(corpus()))
    text = write(changed(chance, chance.choice(corpus()[kind])))
    if chance.odds(3):
        text = bulk(chance)
    data = text.encode("utf-8", "surrogatepass")
    return kind, chance.garble(data) if chance.odds(10) else data


def toml(chance: Chance, good: str) -> str:
    """Return a definition in TOML with some lines changed."""
    lines = good.splitlines()
    for _ in chance.few():
        place = chance.randrange(len(lines))
        key, equals, _ = lines[place].partition("=")
        lines[place : place + 1] = chance.choice((
            [], [lines[place]] * 2, [lines[place], chance.choice(lines)],
            [f"{key}{equals}{chance.choice(_TOML)}"], [f"{chance.choice(_TOML_KEYS)} = 1"],
            [f"[{chance.choice(_TOML_KEYS)}]"], [f"[[{chance.choice(_TOML_KEYS)}]]"],
            [f"{key} = {_toml_bulk(chance)}"], [f"{'a.' * chance.size(10, 1000, 30_000)}a = 1"],
        ))  # fmt: skip
        lines = lines or [""]
    text = "\n".join(lines)
    return chance.garble(text.encode()).decode(errors="replace") if chance.odds(20) else text


_TOML = (
    "nan", "-inf", "0x1F", "1_000", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "true", "'a'",
    "'''\na'''", '"""\n"""', '"\\u0000"', "9" * 5000, "[]", "{}", "{ a = 1, a = 2 }", "[1, 'a']",
    "[" * 200 + "]" * 200, "{ a.b = 1 }", "18446744073709551616", '"\\U0010ffff"', '"\x7f"', "",
)  # fmt: skip
_TOML_KEYS = (
    "profiles", "profiles.lead", "flows.daily.steps", "''", '""', '"a.b"', "mob.id", "a.b.c",
    "wiring", "mob", "limits", "flows", "flows.daily.steps.one.depends_on", "é",
)  # fmt: skip


def _toml_bulk(chance: Chance) -> str:
    n = chance.size(100, 10_000, 100_000)
    return chance.choice(
        ("[" * n, "{a=" * n, "[" + "1," * n + "]", '"' + '\\"' * n + '"', "1" * n, "1_" * n)
    )


def _slots(value: Json) -> Iterator[Slot]:
    """Yield each place of a document with a value."""
    if isinstance(value, (dict, list)):
        container = cast("dict[str, Json] | list[Json]", value)
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            yield container, key
            yield from _slots(cast("Any", container)[key])


# Edits -------------------------------------------------------------------------------------------


def _odd(chance: Chance, container: Any, key: Any) -> None:
    container[key] = copy.deepcopy(chance.choice(_ODD))


def _fitting(chance: Chance, container: Any, key: Any) -> None:
    known = _by_key().get(key, []) if isinstance(key, str) else []
    container[key] = copy.deepcopy(chance.choice(known or [container[key]]))


def _known(chance: Chance, container: Any, _: Any) -> None:
    if isinstance(container, dict):
        key = chance.choice(sorted(_by_key()))
        container[key] = copy.deepcopy(chance.choice(_by_key()[key]))


def _removed(_: Chance, container: Any, key: Any) -> None:
    del container[key]


def _renamed(chance: Chance, container: Any, key: Any) -> None:
    if isinstance(container, dict):
        text = chance.choice((*HOSTILE_TEXTS, key.upper(), f"{key} ", *_by_key()))
        container[text] = cast("Any", container).pop(key)


def _moved(chance: Chance, container: Any, key: Any) -> None:
    other = chance.choice([of for holder, of in _slots(container) if holder is container])
    container[key], container[other] = container[other], container[key]


def _wrapped(chance: Chance, container: Any, key: Any) -> None:
    container[key] = [container[key]] if chance.odds(50) else {"type": container[key]}


def _repeated(chance: Chance, container: Any, key: Any) -> None:
    """Repeat a value, where many may occur."""
    value = container[key]
    times = chance.size(2, 2, 3, 300, 20_000)
    if isinstance(container, list):
        container[key : key + 1] = [value] * times
    else:
        container[key] = (
            [value] * times if chance.odds(50) else dict.fromkeys(map(str, range(times)), value)
        )


def _large(chance: Chance, container: Any, key: Any) -> None:
    if chance.odds(10):
        container[key] = Raw(bulk(chance))


_EDITS = (
    _odd,
    _odd,
    _fitting,
    _fitting,
    _known,
    _removed,
    _renamed,
    _moved,
    _wrapped,
    _repeated,
    _large,
)
