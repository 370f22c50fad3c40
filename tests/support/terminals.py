"""Running a command in a terminal of a given width."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_in_terminal(
    command: Sequence[str], width: int, environment: Mapping[str, str], folder: Path | None = None
) -> str:
    """Run a command; return everything that its terminal received."""
    person, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (50, width))
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=folder, env=environment
    ):
        os.close(terminal)
        out = b""
        while True:
            try:
                piece = os.read(person, 65536)
            except OSError:  # the other end is closed and everything is read
                break
            if not piece:
                break
            out += piece
    os.close(person)
    return out.decode()
