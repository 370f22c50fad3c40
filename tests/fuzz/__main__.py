"""Run the cases of some seeds in this process, and leave the files of the last one.

PYTHONPATH=src:tests python -m fuzz FOLDER SEED...
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from fuzz.bases import make_bases
from fuzz.cases import run
from fuzz.child import MEMORY


def main(folder: Path, *seeds: str) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    bases = make_bases()
    cases = [run(int(seed), bases, folder / "case") for seed in seeds]
    for case in cases:
        print(f"{case.seed} ({case.kind}): {case.ended} in {case.seconds:.1f} s\n{case.fault}")
    return any(case.fault for case in cases)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
