"""Builder of pyodide-lock.json: the wheel, hash and dependencies of each package.

The library pyodide-lock builds it on Python 3.12 and newer. On older versions the same entries are
built here.
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from email.policy import compat32
from pathlib import Path, PurePosixPath
from typing import TypedDict
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class Info(TypedDict):
    """The Python of a lock, in the terms of Pyodide; with example values."""

    python: str  # 3.14.2
    platform: str  # emscripten_5_0_3
    arch: str  # wasm32
    abi_version: str  # 2026_0


class Entry(TypedDict):
    """One package, with the keys of Pyodide's lock file."""

    name: str
    version: str
    file_name: str
    install_dir: str
    sha256: str
    package_type: str
    imports: list[str]
    depends: list[str]
    unvendored_tests: bool
    tool: dict[str, object]


class Lock(TypedDict):
    """The content of pyodide-lock.json."""

    info: Info
    packages: dict[str, Entry]
    tool: dict[str, object]


def wheel_platform(info: Info) -> str:
    """Return the platform tag of binary wheels for this Pyodide."""
    return f"pyemscripten_{info['abi_version']}_{info['arch']}"


def make_lock(info: Info, wheels: Mapping[Path, Path]) -> Lock:
    """Build the lock of wheels that are in the same folder as the lock file.

    Args:
        info: their Python.
        wheels: original wheels, each with the compiled wheel that is served in its place. They must
            include all dependencies.
    """
    sources = sorted(wheels)
    can = sys.version_info >= (3, 12) and importlib.util.find_spec("pyodide_lock") is not None
    lock = lock_by_library(info, sources) if can else lock_by_hand(info, sources)
    hashes = {wheel.name: _sha256(compiled) for wheel, compiled in wheels.items()}
    for entry in lock["packages"].values():
        entry["sha256"] = hashes[entry["file_name"]]
    return lock


def lock_by_library(info: Info, wheels: Iterable[Path]) -> Lock:
    """Build the lock with pyodide-lock."""
    library = importlib.import_module("pyodide_lock")
    utils = importlib.import_module("pyodide_lock.utils")
    # It accepts a wheel only if its platform tag matches `info`; 0.2.1 compares the tag with the
    # version of the compiler.
    tagged = {**info, "platform": wheel_platform(info).removesuffix("_" + info["arch"])}
    empty = library.PyodideLockSpec.from_dict({"info": tagged, "packages": {}})
    lock: Lock = utils.add_wheels_to_spec(empty, list(wheels), base_path=Path("/")).to_dict()
    lock["info"] = info
    for entry in lock["packages"].values():
        entry["file_name"] = PurePosixPath(entry["file_name"]).name
    return _ordered(lock)


def lock_by_hand(info: Info, wheels: Iterable[Path]) -> Lock:
    """Build the lock without pyodide-lock."""
    entries = [_entry(info, wheel) for wheel in wheels]
    packages = {entry["name"]: entry for entry in entries}
    for entry in entries:
        if missing := set(entry["depends"]) - set(packages):
            raise ValueError(f"{entry['file_name']} needs {sorted(missing)}, which is missing")
    return _ordered({"info": info, "packages": packages, "tool": {}})


def _entry(info: Info, wheel: Path) -> Entry:
    with ZipFile(wheel) as archive:
        files = [PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")]
        metadata_file = next(
            file for file in files if file.match("*.dist-info/METADATA") and len(file.parts) == 2
        )
        metadata = BytesParser(policy=compat32).parsebytes(archive.read(str(metadata_file)))
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    needed = [each for each in requirements if _is_needed(info, each)]
    if extras := [each for each in needed if each.extras]:
        raise ValueError(f"{wheel.name} needs extras, which a lock cannot express: {extras}")
    return {
        "name": canonicalize_name(metadata["Name"]),
        "version": metadata["Version"],
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": _sha256(wheel),
        "package_type": "package",
        "imports": list(
            {
                file.parts[0].removesuffix(".py")
                for file in files
                if file.suffix == ".py" and not set(".- ") & set("".join(file.parent.parts))
            }
        ),
        "depends": [canonicalize_name(each.name) for each in needed],
        "unvendored_tests": False,
        "tool": {},
    }


def _is_needed(info: Info, requirement: Requirement) -> bool:
    system, _, release = info["platform"].partition("_")
    return requirement.marker is None or requirement.marker.evaluate(
        {
            "extra": "",
            "implementation_name": "cpython",
            "implementation_version": info["python"],
            "os_name": "posix",
            "platform_machine": info["arch"],
            "platform_python_implementation": "CPython",
            "platform_release": release,
            "platform_system": system.capitalize(),
            "platform_version": "#1",
            "python_full_version": info["python"],
            "python_version": ".".join(info["python"].split(".")[:2]),
            "sys_platform": system,
        }
    )


def _ordered(lock: Lock) -> Lock:
    """Sort the lists; their order in a wheel has no meaning."""
    for entry in lock["packages"].values():
        entry["imports"].sort()
        entry["depends"].sort()
    return lock


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
