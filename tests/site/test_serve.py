"""The server of a built site: right types and headers, nothing outside its folder."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread

import pytest

from serve import CONTENT_SECURITY_POLICY, make_server
from support.interrupts import interruptible

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "web" / "tools" / "serve.py"


class Client:
    """One connection to a served folder."""

    def __init__(self, folder: Path, port: int, log: list[tuple[str, int]]) -> None:
        self.folder, self.port, self.log = folder, port, log
        self._connection = HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
        self._connection.request(method, path, headers=headers)
        answer = self._connection.getresponse()
        return answer, answer.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def client(tmp_path: Path) -> Generator[Client]:
    folder = tmp_path / "site"
    (folder / "pyodide").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "a file.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "way-out").symlink_to(tmp_path / "secret.txt")
    log: list[tuple[str, int]] = []
    server = make_server(folder, log=lambda path, status: log.append((path, status)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    client = Client(folder, server.server_port, log)
    try:
        yield client
    finally:
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("pyodide.mjs", "text/javascript; charset=utf-8"),
        ("pyodide.asm.wasm", "application/wasm"),
        ("pyodide-lock.json", "application/json"),
        ("mobstore-0.1.0-py3-none-any.whl", "application/zip"),
        ("inspector.zip", "application/zip"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("tide-desk.db", "application/vnd.sqlite3"),
        ("unknown", "application/octet-stream"),
    ],
)
def test_types(client: Client, name: str, kind: str) -> None:
    (client.folder / "pyodide" / name).write_bytes(b"\0content")
    answer, content = client.ask(f"/pyodide/{name}")
    assert (answer.status, content) == (200, b"\0content")
    assert answer.getheader("Content-Type") == kind
    assert answer.getheader("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize("path", ["/", "/index.html", "/?name=mob#page"])
def test_the_page(client: Client, path: str) -> None:
    answer, content = client.ask(path)
    assert (answer.status, content) == (200, b"<!doctype html>")
    assert answer.getheader("Content-Type") == "text/html; charset=utf-8"


def test_escaped_names(client: Client) -> None:
    assert client.ask("/a%20file.js")[1] == b"export {};"


@pytest.mark.parametrize("path", ["/", "/a%20file.js", "/missing"])
def test_the_policy_is_in_every_answer(client: Client, path: str) -> None:
    assert client.ask(path)[0].getheader("Content-Security-Policy") == CONTENT_SECURITY_POLICY


def test_the_page_states_the_same_policy() -> None:
    page = (ROOT / "web" / "page" / "index.html").read_text()
    stated = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', page)
    assert stated == [CONTENT_SECURITY_POLICY]


def test_the_policy_lets_python_run_and_no_text_become_code() -> None:
    rules = {rule.split()[0]: rule.split()[1:] for rule in CONTENT_SECURITY_POLICY.split("; ")}
    assert rules.pop("script-src") == ["'self'", "'wasm-unsafe-eval'"]
    assert all(sources in (["'self'"], ["'none'"]) for sources in rules.values())


def test_what_a_browser_has_is_not_sent_again_until_it_changes(client: Client) -> None:
    first, _ = client.ask("/")
    tag = first.getheader("ETag")
    assert tag
    assert first.getheader("Cache-Control") == "no-cache"
    for known in (tag, f'"other", W/{tag}'):
        same, content = client.ask("/", **{"If-None-Match": known})
        assert (same.status, content, same.getheader("ETag")) == (304, b"", tag)
    (client.folder / "index.html").write_text("<!doctype HTML>")  # as long, in the same second
    changed, content = client.ask("/", **{"If-None-Match": tag})
    assert (changed.status, content) == (200, b"<!doctype HTML>")
    assert changed.getheader("ETag") != tag


def test_head_is_get_without_the_content(client: Client) -> None:
    head, nothing = client.ask("/", "HEAD")
    get, _ = client.ask("/")
    assert nothing == b""
    assert dict(head.getheaders()) == dict(get.getheaders()) | {"Date": head.getheader("Date")}


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/pyodide/",  # a folder without a page
        "/../secret.txt",
        "/pyodide/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/way-out",
        "/index.html%00",
    ],
)
def test_nothing_outside_the_folder(client: Client, path: str) -> None:
    answer, content = client.ask(path)
    assert (answer.status, content) == (404, b"Not found\n")


def test_the_log_hears_of_every_answer(client: Client) -> None:
    client.ask("/?a=b")
    client.ask("/missing")
    assert client.log == [("/?a=b", 200), ("/missing", 404)]


def test_a_client_that_leaves_makes_no_noise(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    (client.folder / "large").write_bytes(bytes(50_000_000))
    with socket.create_connection(("127.0.0.1", client.port)) as leaving:
        leaving.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        leaving.recv(10)
    assert client.ask("/")[0].status == 200
    assert capsys.readouterr().err == ""


def test_answers_on_a_kept_connection_do_not_wait(client: Client) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        client.ask("/")
        return time.perf_counter() - began

    # A busy machine delays some answers, what the server must not do would delay nearly all.
    assert sorted(seconds() for _ in range(20))[5] < 0.03


@pytest.mark.slow
def test_the_command_prints_its_address_and_ends_quietly(client: Client) -> None:
    with subprocess.Popen(
        interruptible("import serve; serve.main()", "--port", "0", client.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=SCRIPT.parent,
    ) as process:
        assert process.stdout is not None
        said = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/ .*\n", process.stdout.readline())
        assert said
        other = HTTPConnection("127.0.0.1", int(said[1]), timeout=10)
        other.request("GET", "/")
        assert other.getresponse().read() == b"<!doctype html>"
        other.close()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    assert (rest.strip(), errors, process.returncode) == ("", "", 0)


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["taken", "empty"])
def test_the_command_says_what_is_wrong(client: Client, problem: str) -> None:
    port = str(client.port)
    folder = client.folder if problem == "taken" else client.folder / "pyodide"
    ended = subprocess.run(
        [sys.executable, SCRIPT, "--port", port, folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert ended.returncode == 1
    expected = f"port {port}: Address already in use" if problem == "taken" else "holds no site"
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr
