"""The notebooks of the site in JupyterLite, in Chromium and in Firefox."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from threading import Thread
from typing import TypeVar

import pytest
from playwright.sync_api import expect

import build_site
import serve
from browser import browsers
from browser.browsers import Browser, Chromium, ChromiumTab, Firefox, Tab
from browser.conftest import chromium_program, firefox_program
from notebook.test_in_browser import CONTRAST, READ
from notebooks.outputs import (
    FIRST_STEPS,
    YESTERDAY,
    Cell,
    check_first_steps,
    check_yesterday,
    outputs_of,
)

__all__ = ["chromium_program", "firefox_program"]

T = TypeVar("T", bound=Tab)

pytestmark = pytest.mark.slow

# Runs all cells, and returns the notebook.
RUN = """async () => {
  const deadline = performance.now() + 180_000;
  const until = async (find) => {
    for (let found; performance.now() < deadline; await new Promise((r) => setTimeout(r, 20))) {
      if ((found = await find())) return found;
    }
    throw new Error(`not in three minutes: ${find}, ${document.body.innerText.slice(0, 1000)}`);
  };
  const app = await until(() => globalThis.jupyterapp);
  await until(() => app.shell.currentWidget?.sessionContext?.isReady);
  const panel = app.shell.currentWidget;
  await until(() => panel.sessionContext.kernelDisplayStatus === "idle");
  await app.commands.execute("notebook:run-all-cells");
  const ended = (cell) => cell.cell_type !== "code" || cell.execution_count !== null;
  const notebook = () => panel.content.model.toJSON();
  await until(() => notebook().cells.every(ended) || panel.node.querySelector(".jp-mod-error"));
  return JSON.stringify(notebook());
}"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The origin of a site with notebooks."""
    folder = tmp_path_factory.mktemp("site")
    build_site.build(folder, notebooks=True)
    settings = folder / "jupyter" / "jupyter-lite.json"
    parsed = json.loads(settings.read_bytes())
    parsed["jupyter-config-data"]["exposeAppInBrowser"] = True
    settings.write_text(json.dumps(parsed))
    with serve.make_server(folder) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium(
    chromium_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Chromium]:
    with browsers.chromium(
        chromium_program, origin, tmp_path_factory.mktemp("chromium")
    ) as browser:
        yield browser
        assert not browser.requests_elsewhere()


@pytest.fixture(scope="module")
def firefox(
    firefox_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Firefox]:
    with browsers.firefox(firefox_program, origin, tmp_path_factory.mktemp("firefox")) as browser:
        yield browser
        assert not browser.requests_elsewhere()


def run_all_cells(browser: Browser[T], file: Path) -> tuple[T, dict[str, Cell]]:
    """Run all cells in a new tab; return it with their outputs."""
    tab = browser.show(f"/jupyter/notebooks/index.html?path={file.name}")
    return tab, outputs_of(json.loads(tab.run(RUN)))


def check_displays(tab: ChromiumTab, number: int) -> None:
    """Check that displays are readable in the theme of the system."""
    page = tab.page
    expect(page.locator(".mobstore-display")).to_have_count(number)
    for is_light in (True, False):
        page.emulate_media(color_scheme="light" if is_light else "dark")
        theme = str(is_light).lower()
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", theme)
        found = page.evaluate(READ)
        assert len(found) > 50
        assert [one for one in found if one[1] < CONTRAST] == []
        assert {one[2] for one in found} == {is_light}


def test_in_chromium(chromium: Chromium) -> None:
    tab, cells = run_all_cells(chromium, FIRST_STEPS)
    check_first_steps(cells, "indexeddb:first-steps")
    check_displays(tab, 4)
    tab, cells = run_all_cells(chromium, YESTERDAY)
    check_yesterday(cells)
    check_displays(tab, 3)


def test_in_firefox(firefox: Firefox) -> None:
    check_first_steps(run_all_cells(firefox, FIRST_STEPS)[1], "indexeddb:first-steps")
    check_yesterday(run_all_cells(firefox, YESTERDAY)[1])
