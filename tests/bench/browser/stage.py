"""The built site with the pages of the benchmark, its server, and browsers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from zipfile import ZipFile

from playwright.sync_api import BrowserContext

from browser.browsers import chromium

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
TOOLS = TESTS.parent / "web" / "tools"
_INSIDE = ("bench/__init__.py", "bench/samples.py", "bench/browser/__init__.py",
           "bench/browser/inside.py", "bench/browser/inside_bridge.py",
           "bench/browser/inside_tabs.py")  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """The served site and its browser.

    Attributes:
        site: folder of the site; files of the benchmark are in `bench`.
        origin: address of the site.
        program: path of Chromium.
        directory: folder for profiles; None is the system's temporary folder.
    """

    site: Path
    origin: str
    program: str
    directory: Path | None

    def about(self) -> dict[str, str]:
        """Return the versions that the figures depend on."""
        packages = json.loads((TOOLS.parent / "package.json").read_bytes())
        said = subprocess.run(
            [self.program, "--version"], capture_output=True, text=True, check=True
        )
        return {"browser": said.stdout.strip(), "pyodide": packages["dependencies"]["pyodide"]}

    @contextmanager
    def browser(self) -> Generator[BrowserContext]:
        """Start a Chromium with a new profile on the disk."""
        with (
            TemporaryDirectory(
                prefix="mobstore-bench-", dir=self.directory, ignore_cleanup_errors=True
            ) as profile,
            chromium(self.program, self.origin, Path(profile)) as browser,
        ):
            yield browser.context


@contextmanager
def stage(directory: Path | None) -> Generator[Stage]:
    """Build and serve the site.

    Raises:
        SystemExit: Chromium is missing, or the build of the site fails.
    """
    program, build_site = shutil.which("chromium"), _tool("build_site")
    if program is None:
        raise SystemExit("bench: Chromium is missing (Debian: apt-get install chromium)")
    with TemporaryDirectory(prefix="mobstore-bench-", dir=directory) as place:
        site = Path(place)
        try:
            build_site.build(site)
        except build_site.BuildError as error:
            raise SystemExit(f"bench: {error}") from error
        shutil.copytree(HERE / "served", site / "bench")
        with ZipFile(site / "bench" / "inside.zip", "w") as archive:
            for name in _INSIDE:
                archive.write(TESTS / name, name)
        with _served(site) as origin:
            yield Stage(site, origin, program, directory)


def _tool(name: str) -> Any:
    """Import a module of web/tools, which is no package."""
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
    return import_module(name)


@contextmanager
def _served(site: Path) -> Generator[str]:
    """Serve the site in a thread.

    A browser has an exact clock only for pages that are isolated from all other origins.
    """
    serve = _tool("serve")

    def end_headers(handler: Any) -> None:
        handler.send_header("Cross-Origin-Opener-Policy", "same-origin")
        handler.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        serve._Handler.end_headers(handler)

    isolating: Any = type("Isolating", (serve._Handler,), {"end_headers": end_headers})
    with serve.make_server(site) as server:
        server.RequestHandlerClass = isolating
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
