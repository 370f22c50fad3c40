"""A TCP proxy in front of a server, with faults on command.

Each direction of a connection has a thread, which forwards message by message. So a fault can be
tied to the message that requests a commit, or to the one that confirms it. The threads need the
interpreter: a client in the same process must not call libpq's blocking functions.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal, TypeAlias

from support.postgres.endpoint import HOST, Endpoint, free_port
from support.postgres.messages import (
    Requests,
    confirms_commit,
    read_message,
    read_start,
    requests_encryption,
)

Direction: TypeAlias = Literal["to_server", "to_client"]
Moment: TypeAlias = Literal["commit", "committed"]
Action: TypeAlias = Literal["cut", "stall"]

DIRECTIONS: tuple[Direction, Direction] = ("to_server", "to_client")


class Fault:
    """A fault that a proxy was armed with."""

    def __init__(self, action: Action) -> None:
        self.action = action
        self.happened = threading.Event()

    def wait(self, timeout: float = 10) -> None:
        """Block until the fault has happened."""
        assert self.happened.wait(timeout), "the fault did not happen"


class Proxy(Endpoint):
    """A proxy that forwards everything, until a fault is armed or commanded.

    Attributes:
        accepting: whether new connections are forwarded; otherwise they are closed at once.
    """

    def __init__(self, server: Endpoint) -> None:
        super().__init__(free_port())
        self.accepting = True
        self._server = server
        self._armed: dict[Moment, Fault] = {}
        self._stalled: set[Direction] = set()
        self._links: set[_Link] = set()
        self._changed = threading.Condition()
        self._listener = socket.create_server((HOST, self.port))
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def connections(self) -> int:
        """The number of connections that are forwarded."""
        return len(self._links)

    def arm(self, moment: Moment, action: Action = "cut") -> Fault:
        """Let a fault happen once, at the next commit of any connection.

        Args:
            moment: "commit" is before the server receives the client's COMMIT; "committed" is
                after the server has committed, before the client receives the confirmation.
            action: "cut" closes this connection on both sides. "stall" holds back this message
                and all later ones of its direction, on all connections, until `resume`.
        """
        fault = Fault(action)
        with self._changed:
            assert moment not in self._armed, f"a fault is armed already: {moment}"
            self._armed[moment] = fault
        return fault

    def disarm(self) -> None:
        """Remove the faults that have not happened."""
        with self._changed:
            self._armed.clear()

    def cut(self) -> int:
        """Close all connections on both sides, and return their number."""
        with self._changed:
            links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    def stall(self, *directions: Direction) -> None:
        """Hold back the messages of these directions, on all connections; by default, of both."""
        with self._changed:
            self._stalled.update(directions or DIRECTIONS)

    def resume(self) -> None:
        """Forward what was held back, and all later messages."""
        with self._changed:
            self._stalled.clear()
            self._changed.notify_all()

    def remove(self) -> None:
        """Close all connections and the port."""
        self.accepting = False
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self.cut()
        for link in list(self._links):
            link.join()

    # For the connections -----------------------------------------------------------------------

    def wait_for(self, direction: Direction, link: _Link) -> None:
        """Block while this direction is stalled, unless the connection is closed."""
        with self._changed:
            self._changed.wait_for(lambda: link.closed or direction not in self._stalled)

    def at(self, moment: Moment, link: _Link) -> None:
        """Let the armed fault of this moment happen."""
        direction: Direction = "to_server" if moment == "commit" else "to_client"
        with self._changed:
            if (fault := self._armed.pop(moment, None)) is None:
                return
            if fault.action == "stall":
                self._stalled.add(direction)
        if fault.action == "cut":
            link.cut()
        fault.happened.set()

    def add(self, link: _Link) -> None:
        """Count a connection."""
        with self._changed:
            self._links.add(link)

    def discard(self, link: _Link) -> None:
        """Forget a connection, and wake its threads."""
        with self._changed:
            self._links.discard(link)
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # the port was closed
            if not self.accepting:
                client.close()
                continue
            try:
                server = socket.create_connection((HOST, self._server.port))
            except OSError:
                client.close()
                continue
            _Link(self, client, server)


class _Link:
    """A client's connection to the proxy, and the proxy's own to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.closed = False
        self._proxy = proxy
        self._sockets = {"to_server": server, "to_client": client}
        for one in self._sockets.values():
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = client.makefile("rb")
        self._answers = server.makefile("rb")
        proxy.add(self)
        self._thread = threading.Thread(target=self._run, name="proxy-requests", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Close both connections; what has not been forwarded is lost."""
        self.closed = True
        for one in self._sockets.values():
            with suppress(OSError):  # closed by the other side
                one.shutdown(socket.SHUT_RDWR)
        self._proxy.discard(self)

    def join(self) -> None:
        """Wait until the threads have ended."""
        self._thread.join()

    def _run(self) -> None:
        answers = threading.Thread(target=self._forward_answers, name="proxy-answers", daemon=True)
        try:
            self._start()
            answers.start()
            self._forward_requests()
        except OSError:
            pass
        finally:
            self.cut()
            if answers.ident is not None:
                answers.join()
            for file in (self._requests, self._answers):
                file.close()
            for one in self._sockets.values():
                one.close()

    def _start(self) -> None:
        while packet := read_start(self._requests):
            self._send("to_server", packet)
            if not requests_encryption(packet):
                return
            answer = self._answers.read(1)
            assert answer in {b"N", b""}, "the proxy cannot read encrypted messages"
            self._send("to_client", answer)

    def _forward_requests(self) -> None:
        requests = Requests()
        while message := read_message(self._requests):
            if requests.commits(message):
                self._proxy.at("commit", self)
            self._send("to_server", message)

    def _forward_answers(self) -> None:
        with suppress(OSError):
            while message := read_message(self._answers):
                if confirms_commit(message):
                    self._proxy.at("committed", self)
                self._send("to_client", message)
        self.cut()

    def _send(self, direction: Direction, message: bytes) -> None:
        self._proxy.wait_for(direction, self)
        if self.closed:
            raise BrokenPipeError
        self._sockets[direction].sendall(message)
