"""Mutations of an export: of its bytes, of the zip around it, and of its rows.

Changes of rows correct counts and checksums, so that later checks are reached.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from fuzz.bases import Bases, entries, manifest, pack
from fuzz.chance import Chance
from fuzz.documents import Raw, bulk, changed, write

Rows: TypeAlias = dict[str, list[bytes]]


def of_bytes(chance: Chance, bases: Bases) -> bytes:
    """Change bytes of the file."""
    return chance.garble(bases.archive)


def of_structure(chance: Chance, bases: Bases) -> bytes:
    """Change the entries of the zip, their descriptions, or the manifest."""
    parts = entries(bases.lines)
    edit = chance.choice(_STRUCTURES)
    return edit(chance, parts)


def of_rows(chance: Chance, bases: Bases) -> bytes:
    """Change rows, their number, their order and their tables."""
    lines = _copy(bases)
    for _ in chance.few():
        table = chance.choice(_FULL)
        if lines[table]:
            edit = chance.choice(_ROWS)
            edit(chance, lines, table, chance.randrange(len(lines[table])))
    return pack(lines)


def of_lines(chance: Chance, bases: Bases) -> bytes:
    """Change the bytes of lines."""
    lines = _copy(bases)
    for _ in chance.few():
        of_table = lines[chance.choice(_FULL)]
        place = chance.randrange(len(of_table))
        garbled = chance.garble(of_table[place])
        of_table[place] = garbled.replace(b"\n", b" ")
    return pack(lines)


def of_size(chance: Chance, bases: Bases) -> bytes:
    """Replace a line, a column or a row's number by something large."""
    lines = _copy(bases)
    table = chance.choice(_FULL)
    of_table = lines[table]
    place = chance.randrange(len(of_table))
    row = json.loads(of_table[place])
    if chance.odds(20):
        of_table[place] = bulk(chance).encode()
    elif chance.odds(30):
        times = min(chance.size(300, 3000, 100_000), 2 * 10**7 // len(of_table[place]))
        of_table[place : place + 1] = [of_table[place]] * times
    elif chance.odds(30):
        column = chance.choice(sorted(row))
        wrong = (chance.choice(("{}", "0", '"x"', "null", '{"type":"none"}')),) * chance.size(
            1000, 30_000, 300_000
        )
        row[column] = Raw(f"[{','.join(wrong)}]")
        of_table[place] = write(row).encode()
    elif chance.odds(50):
        lines["loop_outputs"] = [
            write({**json.loads(line), "iterations": 65_536}).encode()
            for line in lines["loop_outputs"]
        ]
    else:
        row[chance.choice(sorted(row))] = Raw(bulk(chance))
        of_table[place] = write(row).encode()
    return pack(lines)


_FULL = (
    "meta", "counters", "events", "runs", "run_states", "step_ledger", "failure_ledger", "frames",
    "loops", "loop_iterations", "root_step_outputs", "loop_outputs", "loop_step_outputs",
    "run_extras", "specs", "realm_profiles",
)  # fmt: skip


def _copy(bases: Bases) -> Rows:
    return {table: list(lines) for table, lines in bases.lines.items()}


# Rows --------------------------------------------------------------------------------------------


def _value(chance: Chance, lines: Rows, table: str, place: int) -> None:
    with suppress(ValueError):  # a line that is not JSON any more
        lines[table][place] = write(changed(chance, json.loads(lines[table][place]))).encode()


def _as_elsewhere(chance: Chance, lines: Rows, table: str, place: int) -> None:
    """Give a column the value of another row: a fitting one, or a duplicate."""
    row, other = json.loads(lines[table][place]), json.loads(chance.choice(lines[table]))
    column = chance.choice(sorted(row))
    lines[table][place] = json.dumps({**row, column: other.get(column)}).encode()


def _next(chance: Chance, lines: Rows, table: str, place: int) -> None:
    """Change a number a little."""
    row = json.loads(lines[table][place])
    for column in sorted(row):
        if type(row[column]) is int and chance.odds(60):
            row[column] += chance.choice((-1, 1, 1, 1000, 2**62))
    lines[table][place] = json.dumps(row).encode()


def _spaced(_: Chance, lines: Rows, table: str, place: int) -> None:
    """Write a row in another form with the same meaning."""
    row: dict[str, Any] = json.loads(lines[table][place])
    lines[table][place] = json.dumps(
        dict(reversed(row.items())), separators=(" , ", "\t: ")
    ).encode()


def _removed(_: Chance, lines: Rows, table: str, place: int) -> None:
    del lines[table][place]


def _removed_from_here(_: Chance, lines: Rows, table: str, place: int) -> None:
    del lines[table][place:]


def _doubled(chance: Chance, lines: Rows, table: str, place: int) -> None:
    lines[table].insert(chance.choice((place, len(lines[table]))), lines[table][place])


def _swapped(chance: Chance, lines: Rows, table: str, place: int) -> None:
    rows, other = lines[table], chance.randrange(len(lines[table]))
    rows[place], rows[other] = rows[other], rows[place]


def _moved(chance: Chance, lines: Rows, table: str, place: int) -> None:
    lines[chance.choice(_FULL)].append(lines[table].pop(place))


_ROWS: tuple[Callable[[Chance, Rows, str, int], None], ...] = (
    _value, _value, _value, _as_elsewhere, _as_elsewhere, _next, _spaced, _spaced, _removed,
    _removed_from_here, _doubled, _swapped, _moved,
)  # fmt: skip


# Structure ---------------------------------------------------------------------------------------

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def _zip(
    parts: Mapping[str, bytes] | list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items() if isinstance(parts, Mapping) else parts:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def _methods(chance: Chance, parts: dict[str, bytes]) -> bytes:
    return _zip(parts, chance.choice(_METHODS))


def _which(chance: Chance, parts: dict[str, bytes]) -> bytes:
    """Leave entries out, double, rename or add them, in any order."""
    some = list(parts.items())
    for _ in chance.few():
        place = chance.randrange(len(some))
        name, content = some[place]
        others = (
            "../x",
            "/etc/x",
            "a\0b",
            "",
            "x/",
            name.upper(),
            "é" * 100,
            chance.choice(some)[0],
        )
        some[place : place + 1] = chance.choice((
            [], [some[place]] * 2, [(chance.choice(others), content)], [*some[place:], ("x", b"")],
        ))  # fmt: skip
        some = some or [("x", b"")]
    if chance.odds(50):
        chance.shuffle(some)
    return _zip(list(dict(some).items()) if chance.odds(50) else some)


def _many(chance: Chance, parts: dict[str, bytes]) -> bytes:
    return _zip([*parts.items(), *((str(n), b"") for n in range(chance.size(100, 2000, 60_000)))])


def _headers(chance: Chance, parts: dict[str, bytes]) -> bytes:
    """Change fields of a local header, a central header or the end record."""
    data = bytearray(_zip(parts))
    for _ in chance.few():
        magic = chance.choice((b"PK\3\4", b"PK\1\2", b"PK\5\6"))
        places = [n for n in range(len(data)) if data[n : n + 4] == magic]
        place = chance.choice(places) + chance.randrange(4, 22 if magic == b"PK\5\6" else 46, 2)
        width, code = chance.choice(((2, "<H"), (4, "<I")))
        (old,) = struct.unpack(code, data[place : place + width].ljust(width, b"\0"))
        new = chance.choice(
            (0, 1, old + 1, old - 1, old * 2, 2 ** (8 * width) - 1, old ^ 1, old ^ 8)
        )
        struct.pack_into(code, data, min(place, len(data) - width), new % 2 ** (8 * width))
    return bytes(data)


def _around(chance: Chance, parts: dict[str, bytes]) -> bytes:
    data = _zip(parts)
    return chance.choice((
        b"PK" + data, b"\0" * 100 + data, data + data, data + b"\0" * 100, data[:-1], data * 3,
        data + b"PK\5\6" + b"\0" * 18, b"PK\5\6" + b"\0" * 18, b"PK", b"PK\3\4" + b"\0" * 100_000,
    ))  # fmt: skip


def _bomb(chance: Chance, parts: dict[str, bytes]) -> bytes:
    """Return entries that are small until they are read."""
    name, size = chance.choice(sorted(parts)), chance.size(10**6, 10**7, 10**8)
    return _zip(
        {**parts, name: chance.choice((b" ", b"\n", b"[", b"9", b'"', b"{}")) * (size // 2)}
    )


def _sizes(_: Chance, parts: dict[str, bytes]) -> bytes:
    """Return an entry that declares no bytes but has some."""
    data = _zip(parts)
    compressed = zlib.compress(b"\n" * 10**6)[2:-4]
    return data.replace(data[30:60], compressed[:30], 1)


def _manifest(chance: Chance, parts: dict[str, bytes]) -> bytes:
    said = json.loads(parts["manifest.json"])
    text = write(changed(chance, said)) if chance.odds(80) else bulk(chance)
    return _zip({**parts, "manifest.json": text.encode()})


def _counts(chance: Chance, parts: dict[str, bytes]) -> bytes:
    """Return a manifest that is right except for one number."""
    lines = {name[:-6]: data.split(b"\n")[:-1] for name, data in parts.items() if name[-1] == "l"}
    said = manifest(lines)
    table = chance.choice(_FULL)
    said["tables"][table]["rows"] += chance.choice((-1, 1, 2**40, 2**63))
    return _zip({**parts, "manifest.json": json.dumps(said).encode()})


_STRUCTURES: tuple[Callable[[Chance, dict[str, bytes]], bytes], ...] = (
    _methods, _which, _which, _many, _headers, _headers, _headers, _around, _bomb, _sizes,
    _manifest, _manifest, _counts,
)  # fmt: skip
