"""Cases of scripts that run at once: the order of their writes, and rounds of several reads."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any, cast

from mobstore.scripts.tables import (
    EVENTS,
    EVENTS_BY_MOB,
    FRAMES,
    SPECS,
    STEP_LEDGER,
    EventRow,
    FrameRow,
    Index,
    Key,
    SpecRow,
    StepLedgerRow,
)
from mobstore.scripts.transaction import Commit, Count, DeleteRange, Get, Put, Scan, Script, fetch
from mobstore.testing.kit import case, same
from mobstore.testing.samples import BY_CODE_POINT
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject

_LARGE = (2**53 - 2, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 2, 2**63 - 1)


def _event(cursor: int, mob: str) -> EventRow:
    return EventRow(cursor, mob, "t", "mob_reset", "", '{"type":"mob_reset"}')


def _step(run: str, position: int) -> StepLedgerRow:
    return StepLedgerRow(run, position, "step", "ann", "failed", "null", "t")


def _specs(revision: int) -> tuple[SpecRow, ...]:
    return tuple(SpecRow(name, revision, "{}") for name in "abc")


@case("engine.write.silent")
async def silent_scripts_keep_order(subject: Subject) -> None:
    """A script without reads does not overtake: earlier ones read one state, in order."""
    engine = (await subject.open()).engine

    def reading_twice(revision: int) -> Script[tuple[int, ...]]:
        first = yield from fetch(Get(SPECS, ("a",)))
        second, count = yield from fetch(Get(SPECS, ("b",)), Count(Scan(SPECS, after="b")))
        (third,) = yield from fetch(Scan(SPECS, ("c",)))
        found = [0 if row is None else row.revision for row in (first, second, third)]
        return Commit((*found, count), (Put(SPECS, _specs(revision)),))

    def silent(revision: int, *, whole: bool) -> Script[tuple[int, ...]]:
        rows = _specs(revision)
        puts = (Put(SPECS, rows),) if whole else tuple(Put(SPECS, (row,)) for row in rows)
        return Commit((), (DeleteRange(Scan(SPECS)), *puts))
        yield ()

    await engine.write(write_script(Put(SPECS, _specs(100))))
    calls = [
        engine.write(
            lambda n=n: reading_twice(n) if n % 3 == 0 else silent(n, whole=n % 2 == 0)  # type: ignore[misc]
        )
        for n in range(30)
    ]
    for n, found in enumerate(await asyncio.gather(*calls)):
        if n % 3 == 0:
            before = n - 1 if n else 100
            same(found, (before, before, before, 1), f"revisions that script {n} reads")
    same(
        list(await engine.read(read_script(Scan(SPECS)))),
        list(_specs(29)),
        "the last write",
    )


@case("engine.scan.at-once")
async def scans_at_once(subject: Subject) -> None:
    """Several limited scans of one round, in both directions, are each answered as if alone."""
    engine = (await subject.open()).engine
    sizes = {"none": 0, "one": 1, "few": 3, "more": 9, "many": 40}
    rows = [_event(n * 100 + m, mob) for n, mob in enumerate(sizes) for m in range(sizes[mob])]
    await engine.write(write_script(Put(EVENTS, rows)))
    of = {mob: [row for row in rows if row.mob_id == mob] for mob in sizes}
    limits = (1, 3, 5, 64)

    def asking(*scans: Scan[Any]) -> Script[list[list[Any]]]:
        *found, row, count = yield (*scans, Get(EVENTS, (100,)), Count(Scan(EVENTS)))
        same((row, count), (rows[0], len(rows)), "the row and the number beside scans")
        return Commit([list(one) for one in found])

    pairs = list(product(product(sizes, limits), repeat=2))
    for (one, most), (other, least) in pairs:
        scans = (
            Scan(EVENTS_BY_MOB, (one,), limit=most, backwards=True),
            Scan(EVENTS_BY_MOB, (other,), limit=least, backwards=True),
            Scan(EVENTS_BY_MOB, (one,), limit=least),
        )
        found = await engine.read(lambda scans=scans: asking(*scans))  # type: ignore[misc]
        want = [of[one][::-1][:most], of[other][::-1][:least], of[one][:least]]
        same(found, want, f"scans of {one}, {most} and {other}, {least}")

    def alone(mob: str, limit: int) -> Script[list[Any]]:
        (found,) = yield (Scan(EVENTS_BY_MOB, (mob,), limit=limit, backwards=True),)
        return Commit(list(found))

    each = list(product(sizes, limits))
    found = await asyncio.gather(
        *(engine.read(lambda one=one: alone(*one)) for one in each)  # type: ignore[misc]
    )
    for (mob, limit), rows_found in zip(each, found, strict=True):
        same(rows_found, of[mob][::-1][:limit], f"a scan of {mob}, {limit}, beside others")


@case("engine.values.integers")
async def large_integers(subject: Subject) -> None:
    """Integers up to 2**63 - 1 are exact as values, as keys and as bounds of scans."""
    engine = (await subject.open()).engine
    await engine.write(write_script(
        *(Put(EVENTS, (_event(n, "mob"),)) for n in _LARGE[::2]),
        Put(EVENTS, [_event(n, "mob") for n in _LARGE[1::2]]),
        Put(STEP_LEDGER, [_step("r", n) for n in _LARGE]),
        Put(SPECS, [SpecRow(f"{n}", n, "{}") for n in _LARGE]),
    ))  # fmt: skip
    together = await engine.read(_getting(_LARGE))
    for n, row in zip(_LARGE, together, strict=True):
        same(row, _event(n, "mob"), f"the row of key {n}, beside others")
    for n in _LARGE:
        same(await engine.read(read_script(Get(EVENTS, (n,)))), _event(n, "mob"), f"the row {n}")
        same(await engine.read(read_script(Get(STEP_LEDGER, ("r", n)))), _step("r", n), f"step {n}")
        spec = await engine.read(read_script(Get(SPECS, (f"{n}",))))
        same(spec, SpecRow(f"{n}", n, "{}"), f"the value {n}")
    for n in (0, *_LARGE):
        for index, values in ((EVENTS, ()), (EVENTS_BY_MOB, ("mob",)), (STEP_LEDGER, ("r",))):
            place = "position" if index is STEP_LEDGER else "cursor"
            for bounds in ({"after": n}, {"before": n}, {"after": n, "before": 2**63 - 1}):
                want = [one for one in _LARGE if _within(one, **bounds)]
                for backwards in (False, True):
                    scan = _between(cast("Index[Any]", index), values, **bounds)
                    scan.limit, scan.backwards = 9, backwards
                    found = [getattr(row, place) for row in await engine.read(read_script(scan))]
                    what = f"{index.name} of {index.table.name} with {bounds}"
                    same(found, want[::-1] if backwards else want, what)
                whole = _between(cast("Index[Any]", index), values, **bounds)
                counted = await engine.read(read_script(Count(whole)))
                same(counted, len(want), f"count of {index.name} with {bounds}")
    await engine.write(write_script(DeleteRange(Scan(EVENTS, after=2**53 - 2, before=2**53 + 1))))
    found = [row.cursor for row in await engine.read(read_script(Scan(EVENTS)))]
    same(found, [_LARGE[0], *_LARGE[3:]], "rows left after a deletion between two integers")


def _between(
    index: Index[Any], values: Key, after: int | None = None, before: int | None = None
) -> Scan[Any]:
    return Scan(index, values, after, before)


def _getting(cursors: tuple[int, ...]) -> Any:
    def script() -> Script[tuple[Any, ...]]:
        return Commit((yield tuple(Get(EVENTS, (n,)) for n in cursors)))

    return script


def _within(n: int, after: int = -1, before: int = 2**63) -> bool:
    return after < n < before


@case("engine.scan.text-bounds")
async def text_bounds(subject: Subject) -> None:
    """Text of any kind, also U+FFFF and beyond, bounds scans by code point."""
    engine = (await subject.open()).engine
    await engine.write(write_script(
        Put(FRAMES, [FrameRow("r", name, "{}") for name in BY_CODE_POINT]),
        Put(SPECS, [SpecRow(name, 1, "{}") for name in BY_CODE_POINT]),
    ))  # fmt: skip
    for bound in (*BY_CODE_POINT, "\uffff\0", "\uffffa", "\U00010000\uffff"):
        for index, values, name in ((FRAMES, ("r",), "frame_id"), (SPECS, (), "mob_id")):
            after = Scan[Any](index, values, after=bound)
            found = [getattr(row, name) for row in await engine.read(read_script(after))]
            same(found, [text for text in BY_CODE_POINT if text > bound], f"after {bound!r}")
            before = Scan[Any](index, values, before=bound, limit=99, backwards=True)
            found = [getattr(row, name) for row in await engine.read(read_script(before))]
            want = [text for text in BY_CODE_POINT if text < bound][::-1]
            same(found, want, f"before {bound!r}, backwards")
