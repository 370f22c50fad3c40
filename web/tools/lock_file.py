"""Builder of pyodide-lock.json: the wheel and the dependencies of each package.

The library pyodide-lock requires Python 3.12, and reads the markers of dependencies with the Python
that runs it. in_pyodide.mjs therefore runs `write_lock` inside Pyodide: every host builds the same
lock.
"""

import importlib
import json
from pathlib import Path, PurePosixPath
from typing import TypedDict


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


def write_lock(info_json: str, target: str, *wheels: str) -> None:
    """Write the lock of wheels, which must include all dependencies, to a file.

    Args:
        info_json: their Python, as JSON.
        target: the path of the written file. Its entries state the names of wheels without folders.
        wheels: paths.
    """
    library = importlib.import_module("pyodide_lock")
    utils = importlib.import_module("pyodide_lock.utils")
    info: Info = json.loads(info_json)
    # It accepts a wheel only if its platform tag matches `info`; 0.2.1 compares the tag with the
    # version of the compiler.
    tagged = {**info, "platform": wheel_platform(info).removesuffix("_" + info["arch"])}
    empty = library.PyodideLockSpec.from_dict({"info": tagged, "packages": {}})
    files = [Path(wheel) for wheel in wheels]
    lock: Lock = utils.add_wheels_to_spec(empty, files, base_path=Path("/")).to_dict()
    lock["info"] = info
    for entry in lock["packages"].values():
        entry["file_name"] = PurePosixPath(entry["file_name"]).name
        entry["imports"].sort()  # the order in a wheel has no meaning
        entry["depends"].sort()
    Path(target).write_text(json.dumps(lock), encoding="utf-8")
