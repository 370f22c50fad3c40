"""The built site with the benchmark's own pages in it, served; browsers that show it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
           "bench/browser/inside.py", "bench/browser/inside_tabs.py")  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Where the site is.

    Attributes:
        site: its folder; what only the benchmark needs lies in `bench`.
        origin: its address.
        program: Chromium's path.
        directory: where profiles are to lie; None is the system's place.
    """

    site: Path
    origin: str
    program: str
    directory: Path | None

    def about(self) -> dict[str, str]:
        """What the figures depend on."""
        packages = json.loads((TOOLS.parent / "package.json").read_bytes())
        said = subprocess.run(
            [self.program, "--version"], capture_output=True, text=True, check=True
        )
        return {"browser": said.stdout.strip(), "pyodide": packages["dependencies"]["pyodide"]}

    @contextmanager
    def browser(self) -> Generator[BrowserContext]:
        """A Chromium on a new profile, which lies on the disk."""
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
        SystemExit: there is no Chromium, or the site cannot be built.
    """
    program, build_site = shutil.which("chromium"), _tool("build_site")
    if program is None:
        raise SystemExit("bench: there is no Chromium (Debian: apt-get install chromium)")
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
    """A module of the site's tools, which are scripts."""
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
    return import_module(name)


@contextmanager
def _served(site: Path) -> Generator[str]:
    """Serve the site in a thread.

    A browser gives only pages that are isolated from all other origins an exact clock.
    """
    serve = _tool("serve")

    def end_headers(handler: Any) -> None:
        handler.send_header("Cross-Origin-Opener-Policy", "same-origin")
        handler.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        serve._Handler.end_headers(handler)

    isolating: Any = type("Isolating", (serve._Handler,), {"end_headers": end_headers})
    with serve.make_server(site) as server:
        server.RequestHandlerClass = partial(isolating, site.resolve(), None)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
