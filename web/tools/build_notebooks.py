"""Builder of the notebooks: JupyterLite as the folder jupyter/ of the site.

JupyterLite runs on the Pyodide of the site and shares its wheels. Its lock file adds the wheels of
its kernel. Of its applications only the list of files and the notebook are built.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from building import (
    WEB,
    cached,
    compile_archives,
    digest,
    download_wheels,
    list_files,
    lock_wheels,
    run,
)
from lock_file import Info

JUPYTER = WEB / "jupyter"
NOTEBOOKS = WEB / "notebooks"
_SETTINGS = ("jupyter-lite.json", "overrides.json")
_KERNEL = "@jupyterlite/pyodide-kernel-extension"
_KERNEL_WHEELS = ("ipykernel-", "piplite-", "pyodide_kernel-")
_CHANGED = "2026-01-01T00:00:00Z"  # of every file: the same sources produce the same bytes

# Formats of fonts that no browser with WebAssembly requests, tools of developers, old addresses.
_OMITTED = ("*.eot", "*.ttf", "fa-*.svg", "rspack.config*.js", "doc/*/index.html")

# Run from a folder of packages, and in a folder for the database that the command leaves.
_COMMAND = (
    "import os, sys; sys.path.insert(0, {!r}); os.chdir({!r}); "
    "from jupyterlite_core.app import main; main()"
)


def build_notebooks(
    info: Info, wheels: Mapping[Path, Path], samples: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the files of the folder.

    Args:
        info: the Pyodide of the site.
        wheels: the wheels in the site's folder pyodide/, each with its compiled copy.
        samples: files to list beside the notebooks.

    Raises:
        BuildError: a tool is missing or fails.
    """
    lite = _jupyterlite()
    extension = lite / "extensions" / _KERNEL
    kernel = download_wheels(JUPYTER / "kernel-wheels.txt", info)
    kernel += [
        wheel
        for wheel in sorted((extension / "static" / "pypi").glob("*.whl"))
        if wheel.name.startswith(_KERNEL_WHEELS)
    ]
    compiled = compile_archives(kernel)
    served = {wheel: (f"../pyodide/{wheel.name}", copy) for wheel, copy in wheels.items()}
    served |= {wheel: (f"wheels/{wheel.name}", copy) for wheel, copy in compiled.items()}

    folder = {
        str(file.relative_to(lite)): file.read_bytes()
        for file in list_files(lite)
        if not any(file.match(pattern) for pattern in _OMITTED)
        and not file.is_relative_to(extension / "static" / "pypi")
    }
    folder["jupyter-lite.json"] = _without_package_index(folder["jupyter-lite.json"])
    folder["pyodide-lock.json"] = lock_wheels("jupyter", info, served)
    folder |= {f"wheels/{wheel.name}": copy.read_bytes() for wheel, copy in compiled.items()}
    for name in ("notebook", "busy-1"):  # without them, each start and end of a cell is a 404
        folder[f"static/favicons/favicon-{name}.ico"] = folder["notebooks/favicon.ico"]
    contents = {file.name: file.read_bytes() for file in list_files(NOTEBOOKS)} | dict(samples)
    folder |= {f"files/{name}": content for name, content in contents.items()}
    folder["api/contents/all.json"] = json.dumps(_listing(contents)).encode()
    return {f"jupyter/{name}": content for name, content in folder.items()}


def _jupyterlite() -> Path:
    """Return the folder that JupyterLite's own command builds."""
    requirements = JUPYTER / "jupyterlite.txt"
    settings = [JUPYTER / name for name in _SETTINGS]

    def install(folder: Path) -> None:
        command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", f"--requirement={requirements}"]
        run([*command, f"--target={folder}"])

    def make(folder: Path) -> None:
        tools = cached("jupyterlite-tools", digest([requirements]), install)
        extensions = tools / "share" / "jupyter" / "labextensions"
        options = ["--apps=tree", "--apps=notebooks", "--no-sourcemaps", "--source-date-epoch=1"]
        options += [f"--FederatedExtensionAddon.extra_labextensions_path={extensions}"]
        options += ["--ignore-sys-prefix", f"--output-dir={folder}"]
        with TemporaryDirectory() as lite:
            for file in settings:
                shutil.copy(file, lite)
            run(["-c", _COMMAND.format(str(tools), lite), "build", *options])

    return cached("jupyterlite", digest([requirements, *settings, Path(__file__)]), make)


def _without_package_index(settings: bytes) -> bytes:
    """Remove the kernel's own index of wheels: all of them are in the lock."""
    parsed = json.loads(settings)
    del parsed["jupyter-config-data"]["litePluginSettings"][f"{_KERNEL}:kernel"]["pipliteUrls"]
    return json.dumps(parsed, indent=1).encode()


def _listing(contents: Mapping[str, bytes]) -> dict[str, object]:
    """Return Jupyter's model of a folder with these files."""
    return {
        **_entry("", "directory", None),
        "format": "json",
        "content": [
            _entry(name, "notebook" if name.endswith(".ipynb") else "file", len(content))
            for name, content in sorted(contents.items())
        ],
    }


def _entry(name: str, kind: str, size: int | None) -> dict[str, object]:
    return {
        "name": name,
        "path": name,
        "type": kind,
        "size": size,
        "created": _CHANGED,
        "last_modified": _CHANGED,
        "writable": True,
        "mimetype": None,
        "format": None,
        "content": None,
    }
