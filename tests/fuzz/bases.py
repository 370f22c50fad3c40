"""The good files from which mutations start."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import mobstore
from maintenance.support import fill_claims
from mobstore.maintenance.transfer import export_stores, import_stores
from mobstore.scripts.tables import FORMAT
from mobstore.testing import samples
from support.golden import GOLDEN

Lines: TypeAlias = Mapping[str, list[bytes]]
"""The lines of an archive without their newlines, by table."""

_IDENTITY = "5f0c1a52-0e6b-4f0b-9a7a-1d2f3a4b5c6d"
NOW = mobstore.Timestamp("2026-03-04T05:06:07Z")


@dataclass(frozen=True)
class Bases:
    """Good files, with the same bytes in every process.

    Attributes:
        lines: the lines of the archive.
        archive: an export with something in every table.
        store: the same as a database of mobstore.
        reference: a database of meerkat-mob 0.5.2.
        toml: a definition.
    """

    lines: Lines
    archive: bytes
    store: bytes
    reference: bytes
    toml: str


def make_bases() -> Bases:
    """Make all of them."""
    reference = gzip.decompress((GOLDEN / "tide-desk-meerkat-0.5.2.db.gz").read_bytes())
    toml = (GOLDEN / "tide-desk.toml").read_text(encoding="utf-8")
    with TemporaryDirectory() as name:
        from_meerkat, store = Path(name, "reference.db"), Path(name, "store.db")
        from_meerkat.write_bytes(reference)
        lines = _lines(asyncio.run(_exported(from_meerkat)))
        archive = pack(lines)
        asyncio.run(_import(archive, store))
        return Bases(lines, archive, store.read_bytes(), reference, toml)


def _lines(exported: bytes) -> Lines:
    """Return the lines of an export, with a constant identity, and a key that is not known."""
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl")]
        lines = {name[:-6]: archive.read(name).split(b"\n")[:-1] for name in names}
    run_id = json.loads(lines["runs"][0])["run_id"]
    added = {
        "meta": {"name": "identity", "value": _IDENTITY},
        "run_extras": {"run_id": run_id, "extra": {"key": [1]}},
    }
    return {**lines, **{table: [json.dumps(row).encode()] for table, row in added.items()}}


def manifest(lines: Lines) -> dict[str, Any]:
    """Return the manifest of an archive of these lines."""
    tables = {
        table: {"rows": len(of_table), "sha256": sha256(_joined(of_table)).hexdigest()}
        for table, of_table in lines.items()
    }
    return {"format": "mobstore", "version": FORMAT, "tables": tables}


def entries(lines: Lines) -> dict[str, bytes]:
    """Return the entries of an archive of these lines, by name."""
    parts = {f"{table}.jsonl": _joined(of_table) for table, of_table in lines.items()}
    return {**parts, "manifest.json": json.dumps(manifest(lines)).encode()}


def pack(lines: Lines) -> bytes:
    """Return an archive of these lines, with right counts and checksums."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries(lines).items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


async def _exported(reference: Path) -> bytes:
    async with mobstore.open_stores("memory:", clock=lambda: NOW) as stores:
        await mobstore.import_meerkat(reference, stores)
        await stores.runs.create_run(samples.full_run(1))
        await stores.runs.create_run(samples.full_run(2, mob="other"))
        await stores.specs.put_spec("mob", samples.definition())
        await stores.realm_profiles.create("p", samples.profile())
        await fill_claims(stores)
        file = io.BytesIO()
        await export_stores(stores, file)
        return file.getvalue()


async def _import(archive: bytes, path: Path) -> None:
    async with mobstore.open_stores(f"sqlite:{path}") as stores:
        await import_stores(io.BytesIO(archive), stores)
