"""One case from one seed: a kind of input, an input of that kind, and the oracle."""

from __future__ import annotations

import asyncio
import shutil
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from fuzz import databases, oracle, zips
from fuzz.bases import Bases
from fuzz.chance import Chance
from fuzz.documents import document, toml

COMMANDS = 4  # percent of cases that are also tried on the command line, which is slow
DOCUMENTS = 8  # of a case

Try: TypeAlias = Callable[[Chance, Bases, Path], str]


@dataclass(frozen=True)
class Case:
    """The outcome of a case.

    Attributes:
        seed: its seed.
        kind: the kind of input.
        ended: "accepted" or the like, or the name of the error.
        fault: the violated rule, or "".
        seconds: how long it took.
    """

    seed: int
    kind: str
    ended: str
    fault: str
    seconds: float


def run(seed: int, bases: Bases, folder: Path) -> Case:
    """Make a case and try it in an empty folder, which keeps the case's files."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("source", "target"):
        (folder / name).mkdir(parents=True)
    kind = kind_of(seed)
    start, fault = time.monotonic(), ""
    try:
        ended = KINDS[kind](Chance(f"fuzz {seed}"), bases, folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        ended, fault = type(error).__name__, traceback.format_exc()[-6000:]
    return Case(seed, kind, ended, fault, time.monotonic() - start)


def kind_of(seed: int) -> str:
    """Return the kind of a seed; all kinds are equally frequent."""
    return list(KINDS)[seed % len(KINDS)]


def _zip(make: Callable[[Chance, Bases], bytes], chance: Chance, bases: Bases, folder: Path) -> str:
    source, target = folder / "source" / "mobs.zip", folder / "target" / "mobs.db"
    source.write_bytes(make(chance, bases))
    ended = asyncio.run(oracle.import_zip(source, target))
    if chance.odds(COMMANDS):
        _import(source, target, ended)
    return ended


def _reference(
    damage: Callable[[Chance, Path], None], chance: Chance, bases: Bases, folder: Path
) -> str:
    source, target = folder / "source" / "mob.db", folder / "target" / "mobs.db"
    source.write_bytes(bases.reference)
    damage(chance, source)
    skip = chance.odds(30)
    ended = asyncio.run(oracle.import_reference(source, target, skip_unreadable=skip))
    if chance.odds(COMMANDS):
        _import(source, target, ended, *["--skip-unreadable"] * skip)
    return ended


def _import(source: Path, target: Path, ended: str, *options: str) -> None:
    """Import on the command line, with the same outcome as the library."""
    before = oracle.files_in(source.parent)
    target.unlink()
    code = oracle.command("import", str(source), f"sqlite:{target}", *options)
    oracle.unchanged(source.parent, before)
    oracle.require((code == 0) == ended.startswith("accepted"), f"{ended}, but exit code {code}")
    there = [*oracle.files_in(target.parent)]
    oracle.require(there == [target.name] * (code == 0), f"after exit code {code}: {there}")


def _store(
    damage: Callable[[Chance, Path], None], chance: Chance, bases: Bases, folder: Path
) -> str:
    path = folder / "source" / "mobs.db"
    path.write_bytes(bases.store)
    damage(chance, path)
    url = f"sqlite:{path}"
    if chance.odds(COMMANDS):
        before = oracle.files_in(path.parent)
        oracle.command(*chance.choice((
            ("info", url), ("verify", url), ("events", url), ("runs", url), ("specs", url),
            ("export", url, str(folder / "target" / "mobs.zip")),
            ("copy", url, f"sqlite:{folder / 'target' / 'copy.db'}"),
        )))  # fmt: skip
        oracle.unchanged(path.parent, before)
    return asyncio.run(oracle.use_store(path))


def _documents(chance: Chance, _: Bases, __: Path) -> str:
    return _ended(oracle.read_document(*document(chance)) for _ in range(DOCUMENTS))


def _toml(chance: Chance, bases: Bases, _: Path) -> str:
    return _ended(oracle.read_toml(toml(chance, bases.toml)) for _ in range(DOCUMENTS))


def _ended(of_documents: Iterable[str]) -> str:
    """Return how several documents ended."""
    found = set(of_documents)
    return found.pop() if len(found) == 1 else "both"


KINDS: dict[str, Try] = {
    "zip: bytes": partial(_zip, zips.of_bytes),
    "zip: structure": partial(_zip, zips.of_structure),
    "zip: rows": partial(_zip, zips.of_rows),
    "zip: lines": partial(_zip, zips.of_lines),
    "zip: size": partial(_zip, zips.of_size),
    **{f"reference: {name}": partial(_reference, of) for name, of in databases.BY_NAME.items()},
    **{f"store: {name}": partial(_store, of) for name, of in databases.BY_NAME.items()},
    "JSON": _documents,
    "TOML": _toml,
}
