"""The process in which cases run: it reads seeds, one a line, and writes the outcomes.

Its memory is limited, and so is that of the commands that it starts. One that is killed or ends
writes only its last stack; `pool` names the seed.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fuzz import cases
from fuzz.bases import Bases, make_bases
from fuzz.cases import Case

MEMORY = 1_500_000_000  # bytes


def start(run: Callable[[int, Bases, Path], Case]) -> None:
    """Run the case of each seed until there are no more."""
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    bases = make_bases()
    print("ready", flush=True)
    for line in sys.stdin:
        faulthandler.dump_traceback_later(seconds)
        case = run(int(line), bases, folder / "case")
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(asdict(case)), flush=True)


if __name__ == "__main__":
    start(cases.run)
