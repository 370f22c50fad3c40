"""Serves a built site to this machine: `python web/tools/serve.py [--port N] [FOLDER]`.

A browser may keep every file but must ask whether it is still the same: names do not change when
contents do. Nothing is compressed, which on one machine only costs time.
"""

import argparse
import hashlib
import re
import string
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any, BinaryIO, cast
from urllib.parse import quote, unquote, urlsplit

# The same stands in the page, for hosts that send no such header; workers heed only the header, and
# only a header can say which pages may frame this one.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; worker-src 'self'; img-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".db": "application/vnd.sqlite3",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".zip": "application/zip",
}


_PROTECTION = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
MOST_CONNECTIONS = 64
"""At a time; each has a thread. A further one is closed at once."""

_PIECE = 2**16  # bytes

_Log = Callable[[str, int], None]


def make_server(
    folder: Path, port: int = 0, *, hosts: Collection[str] = (), log: _Log | None = None
) -> "Server":
    """A server of one folder on 127.0.0.1, for `serve_forever` to run.

    Args:
        folder: what it serves; `index.html` answers for a folder inside it. Links that lead out of
            it are not followed.
        port: where it listens; 0 takes a free one, to be read from `server_port`.
        hosts: names besides 127.0.0.1 and localhost by which it may be called. Others are rejected:
            any site can let a name of its own mean this machine, and would then read all answers.
        log: called before each answer with the path asked for, in printable ASCII, and the status,
            in the thread that answered.

    Raises:
        OSError: when the port is taken.
    """
    return Server(folder.resolve(), port, {"127.0.0.1", "localhost", *map(str.lower, hosts)}, log)


class Server(ThreadingHTTPServer):
    """The server of one folder. A connection is closed when it takes longer than it may.

    Attributes:
        seconds: how long a request may take to arrive, and an answer to begin.
        slowest: bytes a second at which an answer must at least be taken.
    """

    request_queue_size = MOST_CONNECTIONS  # connections that wait for their turn

    def __init__(self, folder: Path, port: int, hosts: Collection[str], log: _Log | None) -> None:
        self.folder, self.hosts, self.log = folder, hosts, log
        self.seconds, self.slowest = 30.0, 20_000
        self._deadlines: dict[object, float] = {}  # by socket
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._deadlines)

    def allow(self, connection: socket, size: int = 0) -> None:
        """Let a connection have the time for a request, or for an answer of this size."""
        self._deadlines[connection] = time.monotonic() + self.seconds + size / self.slowest

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Take a connection, unless there are too many."""
        if taken := self.connections < MOST_CONNECTIONS:
            self.allow(request)
        return taken

    def service_actions(self) -> None:
        """End connections whose time is over; a socket's own timeout begins anew with each byte."""
        now = time.monotonic()
        for connection, deadline in list(self._deadlines.items()):
            if deadline < now:
                with suppress(OSError):  # it has ended by itself
                    cast("socket", connection).shutdown(SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say that an answer failed; what was asked for is not repeated."""
        sys.stderr.write(f"serve: an answer failed ({type(sys.exception()).__name__})\n")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms between its head and its body

    def setup(self) -> None:
        super().setup()
        self._site = cast("Server", self.server)

    def handle(self) -> None:
        with suppress(ConnectionError):  # a tab was closed, or the time was over
            super().handle()

    def handle_one_request(self) -> None:
        self.path = ""
        self._site.allow(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what follows is no request
        names = self.headers.get_all("Host", [])
        if len(names) != 1 or re.sub(r":\d*$", "", names[0]).lower() not in self._site.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        try:
            file = self._find()
            source = file.open("rb")
        except (OSError, ValueError, RuntimeError):  # no such file, a NUL, a link to itself
            self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"Not found\n")
            return
        with source:
            tag = f'"{hashlib.file_digest(source, "sha256").hexdigest()}"'
            size = source.tell()
            self._site.allow(self.connection, size)
            kind = _TYPES.get(file.suffix, "application/octet-stream")
            if tag in self.headers.get("If-None-Match", ""):
                self._send(HTTPStatus.NOT_MODIFIED, kind, 0, tag)
                return
            self._send(HTTPStatus.OK, kind, size, tag)
            if self.command != "HEAD":
                source.seek(0)
                self._pour(source, size)

    def _pour(self, source: BinaryIO, size: int) -> None:
        """Send as many bytes as were announced; a file may be written meanwhile."""
        while size and (piece := source.read(min(size, _PIECE))):
            self.wfile.write(piece)
            size -= len(piece)
        if size:
            self.close_connection = True  # whoever waits for the rest learns that there is none

    def _find(self) -> Path:
        name = unquote(urlsplit(self.path).path).lstrip("/")
        if "\\" in name:
            raise FileNotFoundError  # on some systems it separates folders
        file = (self._site.folder / name).resolve(strict=True)
        if file.is_dir():
            file = (file / "index.html").resolve(strict=True)
        if not file.is_file() or not file.is_relative_to(self._site.folder):
            raise FileNotFoundError
        return file

    def send_error(self, code: int, message: object = None, explain: object = None) -> None:  # noqa: ARG002
        """Answer a request that is none, or none of ours; of what it held nothing is repeated."""
        self.close_connection = True
        self.request_version = self.protocol_version  # it may be none
        status = HTTPStatus(code)
        self._send(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes | int, tag: str = "") -> None:
        """Send an answer, or the head of one that has so many bytes."""
        if self._site.log is not None:
            self._site.log(quote(self.path, string.punctuation, encoding="latin-1"), status)
        self.send_response(status)
        for name, value in _PROTECTION.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-cache")
        if self.close_connection:
            self.send_header("Connection", "close")
        if tag:
            self.send_header("ETag", tag)
        if status != HTTPStatus.NOT_MODIFIED:
            size = content if isinstance(content, int) else len(content)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if isinstance(content, bytes) and self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: a browser's own tools show what it asked for."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Serve a built site on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (8000)")
    parser.add_argument(
        "--host", action="append", default=[], help="answer to this name as well, as of a proxy"
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(__file__).resolve().parents[1] / "build",
        help="the site (web/build)",
    )
    options = parser.parse_args()
    if not (options.folder / "index.html").is_file():
        sys.exit(f"serve: {options.folder} holds no site: build it with web/tools/build_site.py")
    try:
        server = make_server(options.folder, options.port, hosts=options.host)
    except OSError as error:
        sys.exit(f"serve: port {options.port}: {error.strerror}; another: --port N")
    with server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends)", flush=True)  # noqa: T201
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.stdout.write("\n")


if __name__ == "__main__":
    main()
