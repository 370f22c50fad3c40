"""A child whose cases do what none may do: hang, die, or use memory without limit."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fuzz.bases import Bases
from fuzz.cases import Case, kind_of
from fuzz.child import start

HANGS, DIES, EATS, ENDS_WELL = range(4)


def _run(seed: int, _: Bases, __: Path) -> Case:
    if seed == HANGS:
        time.sleep(60)
    if seed == DIES:
        os.abort()
    if seed == EATS:
        held = [bytes(2**28) for _ in range(100)]  # takes addresses only, so no time
        return Case(seed, kind_of(seed), str(len(held)), "", 0)
    return Case(seed, kind_of(seed), "accepted", "", 0)


if __name__ == "__main__":
    start(_run)
