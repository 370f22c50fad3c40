"""Child processes forked from a server that has imported their programs.

An interpreter takes a third of a second to start and to import these modules; a fork takes some
milliseconds. A child ends as any interpreter does, finalization included.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Self

TESTS = Path(__file__).parents[1]
PROGRAMS = frozenset(
    {
        "engines.children",
        "engines.claiming",
        "engines.earlier",
        "engines.hammer",
        "engines.stress",
        "engines.support",
    }
)
"""The modules that the server imports."""


class Child:
    """A child process, with the part of `subprocess.Popen` that the tests use."""

    def __init__(self, program: Callable[..., None], arguments: tuple[str, ...]) -> None:
        request = [program.__module__, program.__name__, arguments, dict(os.environ), _folder()]
        stdin, write = os.pipe()
        read, stdout = os.pipe()
        status, told = os.pipe()
        theirs = [stdin, stdout, told]
        socket.send_fds(_server(), [json.dumps(request).encode()], [*theirs, 2])
        for descriptor in theirs:
            os.close(descriptor)
        self.stdin: IO[bytes] | None = open(write, "wb", buffering=0)  # noqa: PTH123, SIM115
        self.stdout: IO[bytes] | None = open(read, "rb", buffering=0)  # noqa: PTH123, SIM115
        self._status = open(status, "rb")  # noqa: PTH123, SIM115
        self.pid: int = int(self._status.readline())
        self.returncode: int | None = None
        self._printed = b""
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()
        self._reader: threading.Thread | None = None

    def kill(self) -> None:
        """Kill the process unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Return the exit code if the process has ended."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code."""
        self._join(self._waiter, timeout)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, None]:
        """Close the input, read the output to its end, and wait."""
        if self._reader is None:
            assert self.stdin is not None
            self.stdin.close()
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        self._join(self._reader, timeout)
        self.wait()
        return self._printed, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self.stdin, self.stdout):
            assert file is not None
            file.close()
        self.wait()
        self._status.close()

    def _join(self, thread: threading.Thread, timeout: float | None) -> None:
        thread.join(timeout)
        if thread.is_alive():
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)

    def _wait(self) -> None:
        self.returncode = int(self._status.readline())

    def _read(self) -> None:
        assert self.stdout is not None
        while part := self.stdout.read(2**16):
            self._printed += part


def _folder() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    code = f"from engines.forkserver import serve; serve({theirs.fileno()})"
    theirs.set_inheritable(True)
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", code],
        {**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
    )
    theirs.close()
    return ours


def serve(descriptor: int) -> None:
    """Fork a child for each request, until the process of the tests has ended."""
    for module in (*PROGRAMS, "mobstore.engines.sqlite", "urllib.parse"):
        importlib.import_module(module)
    asyncio.run(_import_lazy_modules())
    with socket.socket(fileno=descriptor) as requests:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, 2**18, 4)
            if not message:
                return
            if os.fork() == 0:
                break
            for passed in descriptors:
                os.close(passed)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    _keep(message, descriptors)


async def _import_lazy_modules() -> None:
    """Import what first writes and reads import: children may lack permissions or descriptors."""
    from mobstore import open_stores
    from mobstore.testing.samples import tagged_event

    async with open_stores("memory:") as stores:
        await stores.events.append(tagged_event("e"))
        await stores.events.poll(0, 1)


def _keep(message: bytes, descriptors: list[int]) -> None:
    """Run a child, and report its process id and its exit code."""
    stdin, stdout, status, stderr = descriptors
    child = os.fork()
    if child == 0:
        os.close(status)
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        _run(message)
        return
    for descriptor in (stdin, stdout, stderr):
        os.close(descriptor)
    with contextlib.suppress(BrokenPipeError):
        os.write(status, f"{child}\n".encode())
        _, ended = os.waitpid(child, 0)
        os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def _run(message: bytes) -> None:
    module, name, arguments, environment, folder = json.loads(message)
    os.environ.clear()
    os.environ.update(environment)
    if folder is not None:
        os.chdir(folder)
    getattr(importlib.import_module(module), name)(*arguments)
