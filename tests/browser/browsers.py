"""Real browsers with their own profiles, and the calls that tests make in their tabs.

Playwright drives Chromium. Firefox is driven over WebDriver BiDi, because distributions ship it
without the patches that Playwright needs.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlencode

import psutil  # type: ignore[import-untyped]
from playwright.sync_api import BrowserContext, BrowserType, Frame, Page, sync_playwright
from websockets.sync.client import ClientConnection, connect

SECONDS_TO_START = 60


class InsideError(Exception):
    """A failure in the browser, with the traceback or message from there."""


class Tab(ABC):
    """A tab with the harness page and one Pyodide, in its worker or in the page itself."""

    @abstractmethod
    def run(self, function: str, *texts: str) -> str:
        """Call a JavaScript function with texts; it returns a text, or a promise of one."""

    @abstractmethod
    def close(self) -> None: ...

    def start(self, program: str, *values: Any, seconds: float = 60) -> None:
        """Start `module:function` of tests/browser/inside with these values, any JSON."""
        self.run(
            "(program, values, seconds) => (harness.start(program, values, Number(seconds)), '')",
            program,
            json.dumps(values),
            str(seconds),
        )

    def finish(self) -> Any:
        """Wait for the started function and return its result, any JSON.

        Raises:
            InsideError: the function failed or timed out.
        """
        answer = json.loads(self.run("() => harness.finish()"))
        if "error" in answer:
            raise InsideError(answer["error"])
        return answer["result"]

    def call(self, program: str, *values: Any, seconds: float = 60) -> Any:
        """Run a function to its end; see `start` and `finish`."""
        self.start(program, *values, seconds=seconds)
        return self.finish()

    def messages(self) -> list[Any]:
        """Return the messages of the running function since the last call."""
        return [json.loads(text) for text in json.loads(self.run("() => harness.messages()"))]


T = TypeVar("T", bound=Tab)


class Browser(ABC, Generic[T]):
    """A running browser.

    Attributes:
        origin: origin of the served site.
        requested: addresses of all requests by pages and workers.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.requested: list[str] = []

    def tab(self, where: str = "worker", *, install: str | None = None) -> T:
        """Open a tab with Pyodide in its "worker" or in the "page".

        Args:
            where: one of the two.
            install: package for micropip to install; without it, Pyodide itself loads mobstore.
        """
        query = {"where": where} | ({} if install is None else {"install": install})
        return self.show(f"/tests/harness.html?{urlencode(query)}")

    def show(self, path: str) -> T:
        """Open a tab with a page of the served site."""
        return self._show(f"{self.origin}{path}")

    @abstractmethod
    def _show(self, address: str) -> T: ...

    def requests_elsewhere(self) -> list[str]:
        """Return the recorded requests to any host but the tests' server."""
        assert self.requested, "nothing was recorded"
        here = (f"{self.origin}/", f"blob:{self.origin}/", "data:")
        return [url for url in self.requested if not url.startswith(here)]


# Chromium ----------------------------------------------------------------------------------------


class ChromiumTab(Tab):
    """A tab, or a frame in one.

    Attributes:
        page: Playwright's page.
    """

    def __init__(self, shown: Page | Frame) -> None:
        self.page = shown if isinstance(shown, Page) else shown.page
        self._shown = shown

    def run(self, function: str, *texts: str) -> str:
        return cast("str", self._shown.evaluate(f"texts => ({function})(...texts)", texts))

    def close(self) -> None:
        self.page.close()

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Send a command of Chromium's DevTools protocol and return its result."""
        session: Any = self.page.context.new_cdp_session(self.page)
        return session.send(command, parameters)


class Chromium(Browser[ChromiumTab]):
    """A running Chromium with a profile on disk.

    Attributes:
        context: Playwright's object for all tabs of this browser.
        profile: the profile's folder.
        killed: whether `kill` has ended it.
    """

    def __init__(
        self, origin: str, context: BrowserContext, profile: Path, launcher: BrowserType
    ) -> None:
        super().__init__(origin)
        self.context, self.profile, self._launcher = context, profile, launcher
        self.killed = False
        context.on("request", lambda request: self.requested.append(request.url))

    def _show(self, address: str) -> ChromiumTab:
        page = self.context.new_page()
        page.goto(address)
        return ChromiumTab(page)

    def another(
        self, program: str, profile: Path, *, left_out: Sequence[str] = ()
    ) -> AbstractContextManager[Chromium]:
        """Launch a second Chromium; a thread can run only one Playwright.

        Args:
            program: its path.
            profile: a folder, new or left by an earlier one.
            left_out: arguments of Playwright to leave out.
        """
        return _launch(self._launcher, program, self.origin, profile, left_out)

    def kill(self) -> None:
        """Kill the browser's own process, and wait for those that end with it."""
        self.killed = True
        family = self._processes()
        family[0].kill()
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, f"these outlive their browser: {alive}"

    @contextmanager
    def frozen(self, *, pages_only: bool = False) -> Generator[None]:
        """Stop all processes of the browser during the block, or those that run its pages.

        What is on disk then is what `kill` would leave at this time.
        """
        family = self._processes()
        if pages_only:
            family = [one for one in family if "--type=renderer" in one.cmdline()]
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                process.resume()

    def _processes(self) -> list[Any]:
        """Return the browser's own process and its children."""
        ours = f"--user-data-dir={self.profile}"
        for process in psutil.process_iter(["cmdline"]):
            line: list[str] = process.info["cmdline"] or []
            if ours in line and not any(part.startswith("--type=") for part in line):
                return [process, *process.children(recursive=True)]
        raise AssertionError("the browser has ended")


@contextmanager
def chromium(program: str, origin: str, profile: Path) -> Generator[Chromium]:
    """Launch a Chromium that does not outlive the block.

    Args:
        program: its path.
        origin: origin of the served site.
        profile: a folder, new or left by an earlier one.
    """
    with (
        sync_playwright() as playwright,
        _launch(playwright.chromium, program, origin, profile) as browser,
    ):
        yield browser


@contextmanager
def _launch(
    launcher: BrowserType,
    program: str,
    origin: str,
    profile: Path,
    left_out: Sequence[str] = (),
) -> Generator[Chromium]:
    context = launcher.launch_persistent_context(
        profile,
        executable_path=program,
        ignore_default_args=left_out,
        reduced_motion="reduce",  # without a graphics card, animations take a quarter of a start
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    )
    browser = Chromium(origin, context, profile, launcher)
    try:
        yield browser
    finally:
        if not browser.killed:
            context.close()


# Firefox -----------------------------------------------------------------------------------------


class FirefoxTab(Tab):
    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox, self._context = firefox, context

    def run(self, function: str, *texts: str) -> str:
        answer = self._firefox.command(
            "script.callFunction",
            functionDeclaration=function,
            arguments=[{"type": "string", "value": text} for text in texts],
            awaitPromise=True,
            target={"context": self._context},
        )
        if answer["type"] != "success":
            raise InsideError(answer["exceptionDetails"]["text"])
        return cast("str", answer["result"]["value"])

    def close(self) -> None:
        self._firefox.command("browsingContext.close", context=self._context)


class Firefox(Browser[FirefoxTab]):
    def __init__(self, origin: str, connection: ClientConnection) -> None:
        super().__init__(origin)
        self._connection = connection
        self._numbers = itertools.count(1)
        self.command("session.new", capabilities={})
        self.command("session.subscribe", events=["network.beforeRequestSent"])

    def _show(self, address: str) -> FirefoxTab:
        context = self.command("browsingContext.create", type="tab")["context"]
        self.command("browsingContext.navigate", context=context, url=address, wait="complete")
        return FirefoxTab(self, context)

    def command(self, method: str, **parameters: Any) -> Any:
        """Send a command of WebDriver BiDi and return its result."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv())
            if message.get("method") == "network.beforeRequestSent":
                self.requested.append(message["params"]["request"]["url"])
            elif message.get("id") == number:
                if message["type"] == "error":
                    raise AssertionError(f"{method}: {message['error']}: {message['message']}")
                return message["result"]


@contextmanager
def firefox(program: str, origin: str, profile: Path) -> Generator[Firefox]:
    """Launch a Firefox that does not outlive the block; see `chromium`."""
    log = profile / "stderr.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [
                program,
                "--headless",
                "--no-remote",
                "--remote-debugging-port=0",
                "--profile",
                profile,
            ],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        with connect(f"{_address(log)}/session", max_size=None) as connection:
            yield Firefox(origin, connection)
    finally:
        process.kill()
        process.wait()


def _address(log: Path) -> str:
    """Return the address at which Firefox listens; it chooses a free port itself."""
    deadline = time.monotonic() + SECONDS_TO_START
    while not (found := re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text())):
        assert time.monotonic() < deadline, f"Firefox does not start: {log.read_text()[-500:]}"
        time.sleep(0.05)
    return found[1]
