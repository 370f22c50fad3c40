"""Child processes that run many cases, and are replaced when one ends or hangs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz.cases import Case, kind_of

SECONDS = 20  # for a case
CHILDREN = 2
TESTS = Path(__file__).parents[1]


class Child:
    """One process that runs cases; started on first use."""

    def __init__(
        self, folder: Path, *, program: str = "fuzz.child", seconds: float = SECONDS
    ) -> None:
        self._folder, self._program, self._seconds = folder, program, seconds
        self._process: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, seed: int) -> Case:
        """Run one case; a process that dies or does not answer is a fault."""
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(f"{seed}\n")
        process.stdin.flush()
        line = self._line(self._seconds)
        if line:
            return Case(**json.loads(line))
        if line is None:
            process.kill()
        code = process.wait(timeout=10)
        how = f"is stuck after {self._seconds} s" if line is None else f"died with {code}"
        self.close()
        return Case(seed, kind_of(seed), how, f"the process {how}\n{self._stderr()}", self._seconds)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        with (self._folder / "stderr").open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._program, str(self._folder), str(self._seconds - 1)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "tests"])},
                cwd=TESTS.parent,
            )  # fmt: skip
        if self._line() != "ready\n":
            raise RuntimeError(f"no case can be run\n{self._stderr()}")
        return self._process

    def _line(self, seconds: float = 120) -> str | None:
        """Return its next line; "" if it ends, None if it writes nothing for too long."""
        assert self._process is not None
        assert self._process.stdout is not None
        # One line for each seed: the buffer holds nothing of the next.
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline() if ready else None

    def _stderr(self) -> str:
        return (self._folder / "stderr").read_text(encoding="utf-8", errors="replace")[-4000:]


def run_all(seeds: Iterable[int], folder: Path) -> list[Case]:
    """Run the cases of many seeds, some at a time."""
    waiting = iter(seeds)

    def work(number: int) -> list[Case]:
        child = Child(folder / str(number))
        try:
            # Each takes the next seed when it is ready; `next` on an iterator is atomic.
            return [child.run(seed) for seed in waiting]
        finally:
            child.close()

    with ThreadPoolExecutor(CHILDREN) as pool:
        return [case for cases in pool.map(work, range(CHILDREN)) for case in cases]


def table(cases: Iterable[Case]) -> Iterator[str]:
    """Yield lines with the number of outcomes of each kind."""
    ended: dict[str, Counter[str]] = {}
    slowest: dict[str, Case] = {}
    for case in cases:
        ended.setdefault(case.kind, Counter())[case.ended] += 1
        slowest[case.kind] = max(case, slowest.get(case.kind, case), key=lambda one: one.seconds)
    for kind, counts in sorted(ended.items()):
        told = ", ".join(f"{count} {how}" for how, count in counts.most_common())
        slow = slowest[kind]
        yield f"{kind:24} {counts.total():6}: {told}; slowest {slow.seconds:.1f} s ({slow.seed})"
