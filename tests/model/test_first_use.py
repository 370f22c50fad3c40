"""The first use of a model, which builds its schema."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from threading import Barrier, Thread

import pytest

from mobstore.model.event import MobEventKind, NewMobEvent
from mobstore.model.record import Array, Record, SortedMap
from mobstore.model.tagged_union import TaggedUnion
from mobstore.testing.kinds import every_kind

THREADS = 6


@pytest.fixture(autouse=True)
def frequent_switches() -> Generator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work: Callable[[int], object]) -> list[object]:
    """Call a function in several threads at the same time; return results and errors."""
    barrier, found = Barrier(THREADS), list[object]()

    def run(number: int) -> None:
        barrier.wait()
        try:
            found.append(work(number))
        except BaseException as error:  # noqa: BLE001 - the test shows it
            found.append(error)

    threads = [Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.slow
def test_threads_may_build_a_model_at_the_same_time() -> None:
    """Without the lock, pydantic 2.12 fails in about 6 of 300 rounds."""
    for _ in range(300):

        class Fresh(Record):
            number: int
            labels: SortedMap[str, str]
            names: Array[str]

        def build(number: int, kind: type[Fresh] = Fresh) -> object:
            record = kind(number=number, labels={"a": "b"}, names=["c"])
            return record.number, record.to_json()

        expected = {
            (number, f'{{"number":{number},"labels":{{"a":"b"}},"names":["c"]}}')
            for number in range(THREADS)
        }
        assert set(at_once(build)) == expected


@pytest.mark.slow
def test_threads_may_read_kinds_at_the_same_time() -> None:
    kinds = every_kind()
    texts = [kind.to_json() for kind in kinds]
    for _ in range(5):
        union = TaggedUnion[MobEventKind](MobEventKind)

        def read(number: int, union: TaggedUnion[MobEventKind] = union) -> object:
            start = number * len(texts) // THREADS
            for at in (*range(start, len(texts)), *range(start)):
                assert union.read_list([texts[at]]) == [kinds[at]]
                assert NewMobEvent(mob_id="m", kind=kinds[at]).kind is kinds[at]
            return union.read_list(texts)

        assert at_once(read) == [list(kinds)] * THREADS


def test_a_model_may_refer_to_a_later_one_of_its_function() -> None:
    class Outer(Record):
        inner: Inner

    class Inner(Record):
        number: int

    assert Outer(inner=Inner(number=1)).to_json() == '{"inner":{"number":1}}'


def test_a_model_may_be_rebuilt_with_a_later_one_of_its_function() -> None:
    class Outer(Record):
        inner: Inner

    class Inner(Record):
        number: int

    Outer.model_rebuild()
    assert Outer.from_json('{"inner":{"number":1}}').inner.number == 1
