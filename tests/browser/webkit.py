"""WebKitGTK, driven over the WebDriver protocol. It is WebKit's port to Linux, not Safari.

It has no headless mode, so it runs on a virtual display of its own. Its data are in memory: they
survive a reload, and end with the browser.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast

import psutil  # type: ignore[import-untyped]

from browser.browsers import SECONDS_TO_START, Browser, InsideError, Tab

_SECONDS_TO_ANSWER = 300
_CALL = """
const [texts, answer] = arguments;
Promise.resolve().then(() => (FUNCTION)(...texts))
  .then((value) => answer({ value }), (error) => answer({ error: String(error) }));
"""


class WebKitTab(Tab):
    """A tab of WebKitGTK."""

    def __init__(self, webkit: WebKit, window: str) -> None:
        self._webkit, self._window = webkit, window

    def run(self, function: str, *texts: str) -> str:
        answer = self.command(
            "POST", "/execute/async", script=_CALL.replace("FUNCTION", function), args=[texts]
        )
        if "error" in answer:
            raise InsideError(answer["error"])
        return cast("str", answer["value"])

    def reload(self) -> None:
        """Reload the tab, and wait until its page is loaded."""
        self.command("POST", "/refresh")

    def close(self) -> None:
        self.command("DELETE", "/window")

    def command(self, method: str, path: str, **parameters: Any) -> Any:
        """Send a command about this tab and return its result."""
        self._webkit.command("POST", "/window", handle=self._window)
        return self._webkit.command(method, path, **parameters)


class WebKit(Browser[WebKitTab]):
    """A running WebKitGTK. WebDriver has no events, so its requests are not recorded."""

    def __init__(self, origin: str, port: int, driver: subprocess.Popen[bytes]) -> None:
        super().__init__(origin)
        self._port, self._driver, self._session = port, driver, ""
        capabilities = {"alwaysMatch": {"timeouts": {"script": _SECONDS_TO_ANSWER * 1000}}}
        made = self.command("POST", "", capabilities=capabilities)
        self.version: str = made["capabilities"]["browserVersion"]
        self._session = f"/{made['sessionId']}"
        self._first: str = self.command("GET", "/window")

    def _show(self, address: str) -> WebKitTab:
        self.command("POST", "/window", handle=self._first)  # the current one may be closed
        window = self.command("POST", "/window/new", type="tab")["handle"]
        tab = WebKitTab(self, window)
        tab.command("POST", "/url", url=address)
        return tab

    def show(self, path: str) -> WebKitTab:
        """Open a tab with a page of the served site."""
        return self._show(f"{self.origin}{path}")

    def kill_network_process(self) -> None:
        """Kill the process that holds all databases, as systems do that are short of memory."""
        family: list[Any] = psutil.Process(self._driver.pid).children(recursive=True)
        (network,) = (one for one in family if one.name().startswith("WebKitNetwork"))
        network.kill()

    def command(self, method: str, path: str, **parameters: Any) -> Any:
        """Send a command of WebDriver and return its result."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS_TO_ANSWER)
        body = json.dumps(parameters) if method == "POST" else None
        connection.request(method, f"/session{self._session}{path}", body)
        response = connection.getresponse()
        answer = json.loads(response.read())["value"]
        connection.close()
        if response.status != HTTPStatus.OK:
            raise AssertionError(f"{method} {path}: {answer['error']}: {answer['message']}")
        return answer


@contextmanager
def webkit(program: str, origin: str, folder: Path) -> Generator[WebKit]:
    """Launch a WebKitGTK that does not outlive the block.

    Args:
        program: path of its driver.
        origin: origin of the served site.
        folder: a new folder for its files.
    """
    with _display() as display, (folder / "driver.log").open("wb") as log:
        port = _free_port()
        driver = subprocess.Popen(
            [program, f"--port={port}"],
            stdout=log,
            stderr=log,
            env={
                **{name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"},
                "DISPLAY": display,
                "GDK_BACKEND": "x11",
                "HOME": str(folder),
                "XDG_RUNTIME_DIR": str(folder),
                # As root it cannot use its sandbox, and it loads nothing but the tests' site.
                "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
                "LIBGL_ALWAYS_SOFTWARE": "1",
            },
        )
        try:
            _wait_for(port)
            yield WebKit(origin, port, driver)
        finally:
            family: list[Any] = psutil.Process(driver.pid).children(recursive=True)
            for process in family:
                process.kill()
            driver.kill()
            driver.wait()


@contextmanager
def _display() -> Generator[str]:
    """Start a virtual display; it chooses a free number, and writes it once it accepts clients."""
    with subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1440x900x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            assert server.stdout is not None
            number = server.stdout.readline().strip().decode()
            assert number, "Xvfb does not start"
            yield f":{number}"
        finally:
            server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "WebKitGTK's driver does not start"
            time.sleep(0.05)
        else:
            return
