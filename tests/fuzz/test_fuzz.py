"""Damaged and hostile files and documents: rejected with a message, or accepted as a whole.

`python -m pytest -m fuzz tests/fuzz` runs for ten minutes, or MOBSTORE_FUZZ_SECONDS, with new
seeds. A failure names the seeds; `python -m fuzz` makes their files again.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count, takewhile
from pathlib import Path

import pytest

from fuzz.cases import KINDS, Case
from fuzz.pool import run_all, table

SECONDS = float(os.environ.get("MOBSTORE_FUZZ_SECONDS", "600"))
PART = range(len(KINDS) * 12)

REACHED = {
    ("zip: bytes", "ReadFailedError"): 6,
    ("zip: structure", "ReadFailedError"): 3,
    ("zip: structure", "accepted"): 1,
    ("zip: rows", "SerializationError"): 4,
    ("zip: rows", "accepted"): 1,
    ("zip: lines", "SerializationError"): 8,
    ("zip: size", "SerializationError"): 5,
    ("reference: bytes", "ReadFailedError"): 2,
    ("reference: rows", "SerializationError"): 2,
    ("reference: rows", "accepted"): 1,
    ("reference: schema", "ReadFailedError"): 4,
    ("reference: side files", "accepted"): 1,
    ("store: rows", "damage named"): 4,
    ("store: rows", "accepted"): 1,
    ("store: schema", "ReadFailedError"): 4,
    ("store: pages", "damage named"): 1,
    ("JSON", "both"): 4,
    ("TOML", "both"): 4,
}
"""How many of the cases of `PART` must at least end so, or the mutations miss what they aim at."""


def judge(cases: Sequence[Case], folder: Path) -> None:
    """Fail if a case has a fault; name its seed."""
    print(*table(cases), sep="\n")
    faults = [case for case in cases if case.fault]
    seeds = " ".join(str(case.seed) for case in faults)
    told = "\n\n".join(f"seed {case.seed} ({case.kind}): {case.fault}" for case in faults[:10])
    assert not faults, (
        f"{len(faults)} of {len(cases)} cases must not end so\n{told}\n\nto see them again:"
        f" PYTHONPATH=src:tests python -m fuzz {folder / 'again'} {seeds}"
    )


@pytest.mark.slow
def test_each_kind_is_refused_or_taken_in_whole(tmp_path: Path) -> None:
    cases = run_all(PART, tmp_path)
    judge(cases, tmp_path)
    assert sorted(case.seed for case in cases) == list(PART)
    ended = Counter((case.kind, case.ended) for case in cases)
    missed = {what: ended[what] for what, least in REACHED.items() if ended[what] < least}
    assert not missed, f"so few reached what they aim at: {missed}"


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + 300)
def test_for_ten_minutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, end = random.SystemRandom().randrange(10**9), time.monotonic() + SECONDS
    with capsys.disabled():
        print(f"\nseeds from {first} on, for {SECONDS:.0f} seconds")
        judge(run_all(_until(end, count(first)), tmp_path), tmp_path)


def _until(end: float, seeds: Iterable[int]) -> Iterable[int]:
    return takewhile(lambda _: time.monotonic() < end, seeds)
