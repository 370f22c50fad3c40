"""Builder of the site: a folder with the page, Pyodide, mobstore and their dependencies.

`python web/tools/build_site.py [OUT]` builds it, by default into web/build. Any static host can
serve it; it makes no request to another host. The same sources produce the same bytes.
"""

import argparse
import sys
from pathlib import Path

from build_notebooks import build_notebooks
from building import (
    PYODIDE,
    ROOT,
    WEB,
    BuildError,
    cache_lock,
    compile_archives,
    download_wheels,
    install_npm_packages,
    list_files,
    lock_wheels,
    own_wheel,
    pyodide_info,
    zip_package,
)
from lock_file import Info
from sample import make_sample

__all__ = ["LOCK", "ROOT", "WEB", "BuildError", "build", "download"]

RUNTIME = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm")
PACKAGES = ("inspector", "console")  # of the page's workers
LOCK = "pyodide/pyodide-lock.json"
_HIDDEN_LINK, _LINK = b'aria-label="JupyterLite" hidden>', b'aria-label="JupyterLite">'


def build(out: Path, *, notebooks: bool = False) -> None:
    """Build the site into `out`, and remove everything else from it.

    Args:
        out: its folder.
        notebooks: include JupyterLite. A site that includes it keeps it.

    Raises:
        BuildError: a tool is missing or fails, or `out` contains something other than a site.
    """
    with cache_lock():
        _publish(_site(notebooks=notebooks or (out / "jupyter").exists()), out)


def download(requirements: Path, info: Info) -> list[Path]:
    """Download the wheels of a requirements file with hashes, for one Pyodide.

    Raises:
        BuildError: a wheel is not available or has another hash.
    """
    with cache_lock():
        return download_wheels(requirements, info)


def _site(*, notebooks: bool) -> dict[str, bytes]:
    install_npm_packages()
    info = pyodide_info()
    wheels = [*download_wheels(WEB / "wheels.txt", info), own_wheel()]
    packages, stdlib = [zip_package(name) for name in PACKAGES], PYODIDE / "python_stdlib.zip"
    compiled = compile_archives([*wheels, *packages, stdlib])

    page = WEB / "page"
    site = {str(file.relative_to(page)): file.read_bytes() for file in list_files(page)}
    site |= {f"pyodide/{name}": (PYODIDE / name).read_bytes() for name in RUNTIME}
    site |= {f"pyodide/{file.name}": compiled[file].read_bytes() for file in [*wheels, stdlib]}
    site[LOCK] = lock_wheels(
        "site", info, {wheel: (wheel.name, compiled[wheel]) for wheel in wheels}
    )
    site |= {package.name: compiled[package].read_bytes() for package in packages}
    site["samples/tide-desk.db"] = make_sample()
    if notebooks:
        samples = {"tide-desk.db": site["samples/tide-desk.db"]}
        site |= build_notebooks(info, {wheel: compiled[wheel] for wheel in wheels}, samples)
        site["index.html"] = site["index.html"].replace(_HIDDEN_LINK, _LINK)
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


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Build the self-contained site.")
    parser.add_argument(
        "out", type=Path, nargs="?", default=WEB / "build", help="its folder (web/build)"
    )
    parser.add_argument("--notebooks", action="store_true", help="include JupyterLite")
    options = parser.parse_args()
    try:
        build(options.out.resolve(), notebooks=options.notebooks)
    except BuildError as error:
        sys.exit(f"build_site: {error}")


if __name__ == "__main__":
    main()
