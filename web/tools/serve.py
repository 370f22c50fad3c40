"""Serves a built site to this machine: `python web/tools/serve.py [--port N] [FOLDER]`.

A browser may keep every file but must ask whether it is still the same: names do not change when
contents do. Nothing is compressed, which on one machine only costs time.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from socketserver import BaseServer
from urllib.parse import unquote, urlsplit

# The same stands in the page, for hosts that send no such header; workers heed only the header.
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


def make_server(
    folder: Path, port: int = 0, *, log: Callable[[str, int], None] | None = None
) -> ThreadingHTTPServer:
    """A server of one folder on 127.0.0.1, for `serve_forever` to run.

    Args:
        folder: what it serves; `index.html` answers for a folder inside it.
        port: where it listens; 0 takes a free one, to be read from `server_port`.
        log: called before each answer with the path asked for and the status, in the thread that
            answered.

    Raises:
        OSError: when the port is taken.
    """
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, folder.resolve(), log))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms between its head and its body

    def __init__(
        self,
        folder: Path,
        log: Callable[[str, int], None] | None,
        connection: socket,
        address: tuple[str, int],
        server: BaseServer,
    ) -> None:
        self._folder = folder
        self._log = log
        super().__init__(connection, address, server)

    def handle(self) -> None:
        with suppress(ConnectionError):  # a tab was closed
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        file = self._find()
        if file is None:
            self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"Not found\n")
            return
        content = file.read_bytes()
        kind = _TYPES.get(file.suffix, "application/octet-stream")
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        if tag in self.headers.get("If-None-Match", ""):
            self._send(HTTPStatus.NOT_MODIFIED, kind, b"", tag)
        else:
            self._send(HTTPStatus.OK, kind, content, tag)

    def _find(self) -> Path | None:
        try:
            file = (self._folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        except ValueError:  # a NUL in the path
            return None
        if file.is_dir():
            file /= "index.html"
        return file if file.is_file() and file.is_relative_to(self._folder) else None

    def _send(self, status: HTTPStatus, kind: str, content: bytes, tag: str = "") -> None:
        if self._log is not None:
            self._log(self.path, status)
        self.send_response(status)
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        if tag:
            self.send_header("ETag", tag)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: a browser's own tools show what it asked for."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Serve a built site on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (8000)")
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
        server = make_server(options.folder, options.port)
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
