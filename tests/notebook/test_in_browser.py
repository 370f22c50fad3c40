"""Displays in Chromium: no text runs or leaves its display, and all text is readable."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

import pytest
from playwright.sync_api import Page, sync_playwright

from mobstore.model.display import Displayed
from notebook.values import EVERYTHING, HOSTILE, everything, html

pytestmark = pytest.mark.slow

CONTRAST = 4.5  # of text, WCAG 2.2 AA

# Pages with displays: the theme of the system and of the page, and whether the display is light.
JUPYTER = (
    '<body data-jp-theme-light="{light}" style="--jp-layout-color0:{ground};'
    '--jp-content-font-color1:{text};--jp-content-font-color2:{quiet};--jp-border-color2:#888">'
)
PLACES = {
    "light system": ("light", "<body>", True),
    "dark system": ("dark", "<body>", False),
    "light Jupyter, dark system": (
        "dark",
        JUPYTER.format(
            light="true", ground="white", text="rgba(0,0,0,.87)", quiet="rgba(0,0,0,.54)"
        ),
        True,
    ),
    "dark Jupyter, light system": (
        "light",
        JUPYTER.format(light="false", ground="#111", text="white", quiet="rgba(255,255,255,.7)"),
        False,
    ),
    "dark VS Code, light system": ("light", '<body class="vscode-dark">', False),
    "light docs, dark system": ("dark", '<body><div data-theme="light">', True),
}

# The contrast of every visible text with its background; a canvas converts the colours.
READ = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    for (const colour of ["white", ...colours]) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (colours) => over(colours)
    .reduce((sum, c, i) => sum + linear(c / 255) * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const display of document.querySelectorAll(".mobstore-display")) {
    const texts = document.createTreeWalker(display, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode.data, holder = texts.currentNode.parentElement;
      if (!text.trim() || holder.tagName === "STYLE" || !holder.checkVisibility()) continue;
      const grounds = [];
      for (let one = holder; one; one = one === display ? null : one.parentElement) {
        grounds.unshift(getComputedStyle(one).backgroundColor);
      }
      const ground = light(grounds), ink = light([...grounds, getComputedStyle(holder).color]);
      const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
      found.push([text.slice(0, 40), contrast, ground > 0.5]);
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def page(chromium_program: str) -> Generator[Page]:
    """Open an empty page without network."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_program, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.route(re.compile("."), lambda route: route.abort())
        yield page
        browser.close()


def show(page: Page, *shown: Displayed, body: str = "<body>") -> None:
    displays = "".join(html(one) for one in shown)
    page.set_content(f"<!doctype html><title>quiet</title>{body}{displays}<p id=after>after")
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")


def test_a_hostile_text_would_run_here(page: Page) -> None:
    """The tests below can fail."""
    page.set_content(f"<script>stolen = () => (document.title = 'stolen')</script>{HOSTILE}")
    page.wait_for_function("document.title === 'stolen'")


@pytest.mark.parametrize("make", EVERYTHING, ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    "text", [HOSTILE, f'" onmouseover="stolen()" {HOSTILE}'], ids=["tag", "attribute"]
)
def test_no_text_runs(page: Page, make: Callable[[str], Displayed], text: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    show(page, make(text))
    assert page.locator(".mobstore-display").count() == 1
    assert page.locator("script, img, [onerror], [onmouseover]").count() == 0
    assert page.locator(".mobstore-display #after").count() == 0
    assert page.title() == "quiet"
    assert asked == []


@pytest.mark.parametrize("place", PLACES)
def test_all_text_can_be_read(page: Page, place: str) -> None:
    scheme, body, light = PLACES[place]
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    show(page, *everything("some text"), body=body)
    found = page.evaluate(READ)
    assert len(found) > 100
    assert [one for one in found if one[1] < CONTRAST] == []
    assert {one[2] for one in found} == {light}


def test_no_display_is_wider_than_the_page(page: Page) -> None:
    """Long names are cut or broken, tables scroll within their display."""
    page.set_viewport_size({"width": 420, "height": 800})
    show(page, *everything("unbroken" * 30))
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page.set_viewport_size({"width": 1000, "height": 800})


def test_the_style_of_a_display_is_its_own(page: Page) -> None:
    look = """() => {
      const style = getComputedStyle(document.querySelector("#after"));
      return [style.color, style.font, style.margin, style.display];
    }"""
    page.set_content("<!doctype html><p id=after>after")
    before = page.evaluate(look)
    show(page, *everything("some text"))
    assert page.evaluate(look) == before
