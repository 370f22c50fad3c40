"""The server of a built site: types, headers, and nothing outside its folder."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread, active_count

import pytest

from serve import CONTENT_SECURITY_POLICY, MOST_CONNECTIONS, NOTEBOOKS_POLICY, Server, make_server

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "web" / "tools" / "serve.py"


class Client:
    """One connection to a served folder."""

    def __init__(self, folder: Path, server: Server, log: list[tuple[str, int]]) -> None:
        self.folder, self.server, self.log = folder, server, log
        self.port = server.server_port
        self._connection = HTTPConnection("127.0.0.1", self.port, timeout=10)

    def raw(self, request: bytes) -> bytes:
        """Send these bytes on a connection of their own, and read until the server closes it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            answer = b""
            with suppress(ConnectionError):  # the server did not read all of a bad request
                while more := connection.recv(65536):
                    answer += more
            return answer

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
    (folder / "jupyter" / "tree").mkdir(parents=True)
    (folder / "jupyter" / "tree" / "index.html").write_text("<!doctype html>")
    (folder / "jupyter-like.html").write_text("<!doctype html>")
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "a file.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "way-out").symlink_to(tmp_path / "secret.txt")
    (folder / "led-out").mkdir()
    (folder / "led-out" / "index.html").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.txt").write_text("secret")
    (tmp_path / "elsewhere" / "index.html").write_text("secret")
    (folder / "outside").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "inside").symlink_to(folder / "index.html")
    os.mkfifo(folder / "pipe")
    log: list[tuple[str, int]] = []
    server = make_server(
        folder, hosts=("Named",), log=lambda path, status: log.append((path, status))
    )
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    client = Client(folder, server, log)
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


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/a%20file.js", "/missing", "/jupyter/missing", "/jupyter", "/jupyter-like.html"),
        *("/jupyter/../index.html", "/jupyter/%2e%2e/", "//jupyter/tree/../../index.html"),
    ],
)
def test_the_policy_is_in_every_answer(client: Client, path: str) -> None:
    assert client.ask(path)[0].getheader("Content-Security-Policy") == (
        f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'"
    )


@pytest.mark.parametrize(
    "path", ["/jupyter/tree/index.html", "/jupyter/tree/", "/pyodide/../jupyter/tree/?path=x"]
)
def test_notebooks_have_a_policy_of_their_own(client: Client, path: str) -> None:
    for headers in ({}, {"If-None-Match": str(client.ask(path)[0].getheader("ETag"))}):
        answer, _ = client.ask(path, **headers)
        assert answer.getheader("Content-Security-Policy") == (
            f"{NOTEBOOKS_POLICY}; frame-ancestors 'none'"
        )
        assert answer.getheader("X-Frame-Options") == "DENY"
    assert "unsafe-eval" not in str(
        client.ask("/")[0].getheader("Content-Security-Policy")
    ).replace("wasm-unsafe-eval", "")  # on the same connection


@pytest.mark.parametrize("path", ["/", "/missing"])
def test_every_response_has_security_headers(client: Client, path: str) -> None:
    answer, _ = client.ask(path)
    assert answer.getheader("X-Frame-Options") == "DENY"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"


def test_the_page_states_the_same_policy() -> None:
    page = (ROOT / "web" / "page" / "index.html").read_text()
    stated = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', page)
    assert stated == [CONTENT_SECURITY_POLICY]


def test_the_policy_allows_wasm_and_no_eval() -> None:
    rules = {rule.split()[0]: rule.split()[1:] for rule in CONTENT_SECURITY_POLICY.split("; ")}
    assert rules.pop("script-src") == ["'self'", "'wasm-unsafe-eval'"]
    assert all(sources in (["'self'"], ["'none'"]) for sources in rules.values())


def test_an_unchanged_file_is_not_sent_again(client: Client) -> None:
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
        "/..%5csecret.txt",
        "/pyodide%5c..%5cindex.html",
        "/led-out/",  # a folder whose page is a link
        "/outside/",  # a link to a folder
        "/outside/secret.txt",
        "/loop",
        "/loop/x",
        "/pipe",
        "/unreadable-%ff%fe",
        "/%",
        "/%zz",
        "//[",
        "*",
        "/" + "x" * 300,  # longer than a name may be
        "/" + "x/" * 3000,  # longer than a path may be
        "/" + "%2e%2e/" * 40 + "etc/passwd",
    ],
    ids=lambda path: path[:30],
)
def test_nothing_outside_the_folder(
    client: Client, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer, content = client.ask(path)
    assert (answer.status, content) == (404, b"Not found\n")
    assert client.ask("/")[0].status == 200  # on the same connection
    assert capfd.readouterr().err == ""


def test_a_link_inside_the_folder_is_followed(client: Client) -> None:
    assert client.ask("/inside")[1] == b"<!doctype html>"


def test_a_file_that_cannot_be_read_is_not_found(client: Client) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads all")
    (client.folder / "locked").touch(mode=0)
    assert client.ask("/locked")[0].status == 404


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n", 421),  # no host
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n", 421),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200, 431),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n", 505),
        (b"GET / spam\x1b[31m\r\nHost: localhost\r\n", 400),
        (b"\x16\x03\x01 TLS\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nGET ", 501),
        (b"<script> / HTTP/1.1\r\nHost: localhost\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nGET ", 200),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else "",
)
def test_a_bad_request_closes_the_connection(
    client: Client, request_: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = client.raw(request_ + b"\r\n")
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nX-Frame-Options: DENY" in head
    assert content.count(b"\n") <= 1, "the body was taken for a second request"
    assert b"<script>" not in answer
    assert b"\x1b" not in answer
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:9000", "named:1"])
def test_names_of_this_machine(client: Client, host: str) -> None:
    assert client.ask("/", Host=host)[0].status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", "", ":80"],
)
def test_other_host_names_are_rejected(client: Client, host: str) -> None:
    """Check that a page with a host name that points at this machine is rejected."""
    answer, content = client.ask("/", Host=host)
    assert answer.status == 421
    assert b"doctype" not in content


def test_ranges_are_not_offered(client: Client) -> None:
    answer, content = client.ask("/", Range="bytes=0-3")
    assert (answer.status, content) == (200, b"<!doctype html>")


def test_every_response_is_logged(client: Client) -> None:
    client.ask("/?a=b")
    client.ask("/missing")
    client.raw(b"GET /\x1b[31m\xe9 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert client.log == [("/?a=b", 200), ("/missing", 404), ("/%1B[31m%E9", 404)]


def test_a_client_that_leaves_makes_no_noise(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    (client.folder / "large").write_bytes(bytes(50_000_000))
    with socket.create_connection(("127.0.0.1", client.port)) as leaving:
        leaving.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        leaving.recv(10)
    assert client.ask("/")[0].status == 200
    assert capsys.readouterr().err == ""


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until a condition is true; fail after ten seconds."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(connection: socket.socket) -> bool:
    """Return true if the server closed a connection; drop the data that it sent."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: loc"], ids=["idle", "half"])
def test_an_idle_connection_is_closed(
    client: Client, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    client.server.seconds = 0.2
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as slow:
        slow.sendall(sent)
        assert ended(slow)
    assert capfd.readouterr().err == ""


def test_slow_requests_are_closed(client: Client) -> None:
    client.server.seconds = 0.3
    with socket.create_connection(("127.0.0.1", client.port), timeout=0.05) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")

        def drip() -> bool:
            try:
                slow.sendall(b"x")
            except ConnectionError:
                return True
            return ended(slow)

        eventually(drip)


@pytest.mark.slow
def test_slow_readers_are_closed(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    (client.folder / "large").write_bytes(bytes(50_000_000))
    client.server.seconds, client.server.slowest = 0.2, 1_000_000_000
    before = active_count()
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as slow:
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: active_count() > before)
        eventually(lambda: active_count() == before)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_large_responses_get_more_time(client: Client) -> None:
    (client.folder / "large").write_bytes(bytes(10_000_000))
    client.server.seconds, client.server.slowest = 1, 5_000_000
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as slow:
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1.5)  # of the 3 seconds
        got = 0
        while got < 10_000_000 and (more := slow.recv(1_000_000)):
            got += len(more)
    assert got >= 10_000_000


@pytest.mark.slow
@pytest.mark.parametrize("ends", [1_000, 33_000_000])
def test_a_file_that_changes_while_it_is_sent(client: Client, ends: int) -> None:
    """Check that the announced size is sent, or that the connection is closed."""
    size = 30_000_000
    (client.folder / "large").write_bytes(bytes(size))
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as reader:
        request = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"
        reader.sendall(request)
        answer = reader.recv(100)
        with (client.folder / "large").open("r+b") as large:
            large.truncate(min(ends, size))
            large.seek(0, 2)
            large.write(b"!" * max(0, ends - size))
        with suppress(OSError):  # the connection has ended
            reader.sendall(request.replace(b"GET /large", b"HEAD /"))
            reader.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while more := reader.recv(1_000_000):
                answer += more
    assert b"!" not in answer
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {size}".encode() in head
    if ends < size:
        assert len(rest) < size
        assert b"HTTP/1.1" not in rest
    else:
        assert rest[size:].startswith(b"HTTP/1.1 200 OK")  # the second answer


@pytest.mark.slow
def test_connections_are_bounded(client: Client) -> None:
    before = active_count()
    held = [
        socket.create_connection(("127.0.0.1", client.port), timeout=10)
        for _ in range(MOST_CONNECTIONS + 20)
    ]
    eventually(lambda: active_count() - before == MOST_CONNECTIONS)
    assert sum(map(ended, held[MOST_CONNECTIONS:])) == 20
    for connection in held:
        connection.close()
    eventually(lambda: active_count() == before)
    assert client.ask("/")[0].status == 200


@pytest.mark.slow
def test_large_files_are_sent_in_pieces(client: Client) -> None:
    with (client.folder / "huge").open("wb") as huge:
        huge.truncate(400_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert client.ask("/huge", "HEAD")[0].getheader("Content-Length") == "400000000"
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as reader:
        reader.sendall(b"GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reader.recv(1000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_an_exception_is_one_line_on_the_console(
    client: Client, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr("serve.hashlib.file_digest", fail)
    assert client.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
    eventually(lambda: client.server.connections == 0)
    assert capfd.readouterr().err == "serve: a response failed (RuntimeError)\n"


def test_responses_on_a_kept_connection_are_immediate(client: Client) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        client.ask("/")
        return time.perf_counter() - began

    # A busy machine delays some responses; the fault would delay nearly all of them.
    assert sorted(seconds() for _ in range(20))[5] < 0.03


@pytest.mark.slow
def test_the_command_prints_its_address_and_ends_quietly(client: Client) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import serve; serve.main()", "--port", "0", str(client.folder)],
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
def test_errors_of_the_command(client: Client, problem: str) -> None:
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
    expected = f"port {port}: Address already in use" if problem == "taken" else "is not a site"
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr
