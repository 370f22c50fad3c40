"""Server of a built site for this machine: `python web/tools/serve.py [--port N] [FOLDER]`.

Browsers may cache every file but must revalidate it, since names do not change with contents.
Nothing is compressed: on one machine that only costs time.
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

# The page repeats it for hosts that do not send the header. Workers obey the header only, and only
# a header can restrict which pages may frame this one.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; worker-src 'self'; img-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)

# JupyterLite has a policy of its own: it evaluates code, and has inline styles and scripts.
NOTEBOOKS = "jupyter"
_INLINE = (
    "sha256-eS4tTJjWJrYO1PwyO42MNYPnmy/RZoMInXbCQ+sMIss=",  # index.html
    "sha256-zTtCk4qVNKHDNImiY+O640wA6HvrByxzg+CBxqQZgyo=",  # notebooks/index.html
    "sha256-PvOUHZ2RXJHHyK1z476sbitPb5JFhXOG+PbeNiz9Sf0=",  # tree/index.html
)
NOTEBOOKS_POLICY = (
    f"default-src 'self'; script-src 'self' 'unsafe-eval' {' '.join(map(repr, _INLINE))}; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'"
)

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".db": "application/vnd.sqlite3",
    ".html": "text/html; charset=utf-8",
    ".ipynb": "application/json",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".zip": "application/zip",
}


_PROTECTION = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
MOST_CONNECTIONS = 64
"""Open connections, each with a thread. More are closed at once."""

_PIECE = 2**16  # bytes

_Log = Callable[[str, int], None]


def make_server(
    folder: Path, port: int = 0, *, hosts: Collection[str] = (), log: _Log | None = None
) -> "Server":
    """Create a server of one folder on 127.0.0.1; `serve_forever` runs it.

    Args:
        folder: the served folder. Requests for folders return their `index.html`. Links out of the
            folder are not followed.
        port: the port; 0 takes a free one, which `server_port` returns.
        hosts: accepted host names besides 127.0.0.1 and localhost. Others are rejected: any site
            can point a name of its own at this machine, and could then read all responses.
        log: called before each response with the requested path, in printable ASCII, and the
            status, in the thread of the request.

    Raises:
        OSError: the port is taken.
    """
    return Server(folder.resolve(), port, {"127.0.0.1", "localhost", *map(str.lower, hosts)}, log)


class Server(ThreadingHTTPServer):
    """Server of one folder; it closes connections that exceed their time.

    Attributes:
        seconds: the time limit for a request to arrive, and for a response to start.
        slowest: the lowest accepted rate of reading a response, in bytes per second.
    """

    request_queue_size = MOST_CONNECTIONS  # connections in the backlog

    def __init__(self, folder: Path, port: int, hosts: Collection[str], log: _Log | None) -> None:
        self.folder, self.hosts, self.log = folder, hosts, log
        self.seconds, self.slowest = 30.0, 20_000
        self._deadlines: dict[object, float] = {}  # by socket
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._deadlines)

    def allow(self, connection: socket, size: int = 0) -> None:
        """Set the deadline of a connection for a request, or for a response of this size."""
        self._deadlines[connection] = time.monotonic() + self.seconds + size / self.slowest

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Accept a connection, unless too many are open."""
        if taken := self.connections < MOST_CONNECTIONS:
            self.allow(request)
        return taken

    def service_actions(self) -> None:
        """Close connections past their deadline; a socket's own timeout restarts with each byte."""
        now = time.monotonic()
        for connection, deadline in list(self._deadlines.items()):
            if deadline < now:
                with suppress(OSError):  # already closed
                    cast("socket", connection).shutdown(SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Report a failed response, without the request."""
        sys.stderr.write(f"serve: a response failed ({type(sys.exception()).__name__})\n")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each response waits 40 ms before its body

    def setup(self) -> None:
        super().setup()
        self._site = cast("Server", self.server)

    def handle(self) -> None:
        with suppress(ConnectionError):  # a closed tab, or the deadline
            super().handle()

    def handle_one_request(self) -> None:
        self.path, self._policy = "", CONTENT_SECURITY_POLICY
        self._site.allow(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body follows, not a request
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
            # The file decides, since a path may lead out of its first folder.
            if file.is_relative_to(self._site.folder / NOTEBOOKS):
                self._policy = NOTEBOOKS_POLICY
            if tag in self.headers.get("If-None-Match", ""):
                self._send(HTTPStatus.NOT_MODIFIED, kind, 0, tag)
                return
            self._send(HTTPStatus.OK, kind, size, tag)
            if self.command != "HEAD":
                source.seek(0)
                self._pour(source, size)

    def _pour(self, source: BinaryIO, size: int) -> None:
        """Send exactly the announced number of bytes; the file may change meanwhile."""
        while size and (piece := source.read(min(size, _PIECE))):
            self.wfile.write(piece)
            size -= len(piece)
        if size:
            self.close_connection = True  # the client then sees that the rest is missing

    def _find(self) -> Path:
        name = unquote(urlsplit(self.path).path).lstrip("/")
        if "\\" in name:
            raise FileNotFoundError  # a separator on some systems
        file = (self._site.folder / name).resolve(strict=True)
        if file.is_dir():
            file = (file / "index.html").resolve(strict=True)
        if not file.is_file() or not file.is_relative_to(self._site.folder):
            raise FileNotFoundError
        return file

    def send_error(self, code: int, message: object = None, explain: object = None) -> None:  # noqa: ARG002
        """Reject a malformed or foreign request, without repeating its content."""
        self.close_connection = True
        self.request_version = self.protocol_version  # the request may have none
        status = HTTPStatus(code)
        self._send(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes | int, tag: str = "") -> None:
        """Send a response, or the head of one with so many bytes."""
        if self._site.log is not None:
            self._site.log(quote(self.path, string.punctuation, encoding="latin-1"), status)
        self.send_response(status)
        self.send_header("Content-Security-Policy", f"{self._policy}; frame-ancestors 'none'")
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
        """Log nothing: the tools of browsers show their requests."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Serve a built site on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (8000)")
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        help="accept this host name, too, as of a proxy",
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
        sys.exit(f"serve: {options.folder} is not a site; build it with web/tools/build_site.py")
    try:
        server = make_server(options.folder, options.port, hosts=options.host)
    except OSError as error:
        sys.exit(f"serve: port {options.port}: {error.strerror}; use another port: --port N")
    with server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C stops it)", flush=True)  # noqa: T201
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.stdout.write("\n")


if __name__ == "__main__":
    main()
