"""Makes pyodide-lock.json: which wheel holds which package, its hash and what it depends on.

pyodide-lock does it where it can be installed, which takes Python 3.12. Elsewhere the same entries
are made here.
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
    """For which Python a lock is, as Pyodide itself states it, such as the values shown."""

    python: str  # 3.14.2
    platform: str  # emscripten_5_0_3
    arch: str  # wasm32
    abi_version: str  # 2026_0


class Entry(TypedDict):
    """One package, by the names of Pyodide's lock file."""

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
    """The platform tag of the wheels with compiled code that this Pyodide loads."""
    return f"pyemscripten_{info['abi_version']}_{info['arch']}"


def make_lock(info: Info, wheels: Mapping[Path, Path]) -> Lock:
    """The lock for some wheels, which lie beside the lock file under their own names.

    Args:
        info: the Python they are for.
        wheels: each wheel as its authors made it, with the compiled one that is served in its
            place. Every dependency must be among them.
    """
    sources = sorted(wheels)
    can = sys.version_info >= (3, 12) and importlib.util.find_spec("pyodide_lock") is not None
    lock = lock_by_library(info, sources) if can else lock_by_hand(info, sources)
    hashes = {wheel.name: _sha256(compiled) for wheel, compiled in wheels.items()}
    for entry in lock["packages"].values():
        entry["sha256"] = hashes[entry["file_name"]]
    return lock


def lock_by_library(info: Info, wheels: Iterable[Path]) -> Lock:
    """The lock for some wheels, made with pyodide-lock."""
    library = importlib.import_module("pyodide_lock")
    utils = importlib.import_module("pyodide_lock.utils")
    # it takes a wheel only if its platform tag is that of `info`, which 0.2.1 compares with the
    # name of the compiler's version
    tagged = {**info, "platform": wheel_platform(info).removesuffix("_" + info["arch"])}
    empty = library.PyodideLockSpec.from_dict({"info": tagged, "packages": {}})
    lock: Lock = utils.add_wheels_to_spec(empty, list(wheels), base_path=Path("/")).to_dict()
    lock["info"] = info
    for entry in lock["packages"].values():
        entry["file_name"] = PurePosixPath(entry["file_name"]).name
    return _ordered(lock)


def lock_by_hand(info: Info, wheels: Iterable[Path]) -> Lock:
    """The lock for some wheels, made without pyodide-lock."""
    entries = [_entry(info, wheel) for wheel in wheels]
    packages = {entry["name"]: entry for entry in entries}
    for entry in entries:
        if missing := set(entry["depends"]) - set(packages):
            raise ValueError(f"{entry['file_name']} needs {sorted(missing)}, which is not there")
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
    """The order of a zip file's or an archive's list says nothing: leave it out."""
    for entry in lock["packages"].values():
        entry["imports"].sort()
        entry["depends"].sort()
    return lock


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
