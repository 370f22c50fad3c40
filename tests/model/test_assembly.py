"""The slots of pydantic that `mobstore.model.assembly` writes, and the fallback without them."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from pydantic import BaseModel

from mobstore.model import assembly
from mobstore.model.event import MobEvent
from mobstore.model.record import Record
from mobstore.testing import samples
from mobstore.testing.kinds import every_kind


def test_pydantic_has_the_slots_that_assembly_writes() -> None:
    assert tuple(BaseModel.__slots__) == assembly.SLOTS, (
        "pydantic keeps models in other slots; adapt mobstore/model/assembly.py"
    )
    assert assembly.SLOTS_ARE_KNOWN


def test_an_assembled_record_equals_a_constructed_one() -> None:
    for record in (samples.full_run(), samples.stored_event(), samples.stored_profile()):
        fields = dict(record.__dict__)
        assembled, constructed = type(record).assemble(fields), type(record).model_construct(
            set(fields), **fields
        )  # fmt: skip
        for slot in assembly.SLOTS:
            assert getattr(assembled, slot) == getattr(constructed, slot), slot
        assert isinstance(assembled, Record)
        assert assembled == record
        assert assembled.to_json() == record.to_json()


def test_what_a_caller_does_to_a_record_changes_no_other() -> None:
    first = samples.stored_event()
    one, other = MobEvent.assemble_all(dict(first.__dict__) for _ in range(2))
    one.model_fields_set.clear()
    assert other.model_fields_set == set(MobEvent.model_fields)
    later = MobEvent.assemble(dict(first.__dict__))
    assert set(later.model_dump(exclude_unset=True)) == set(MobEvent.model_fields)


# Runs in a process of its own, where no schema is built yet. Before 2.14, pydantic could not write
# a record within a list or an event there.
_WITHOUT_SCHEMAS = """
import pickle, sys
from pydantic_core import to_json

records, events = pickle.load(sys.stdin.buffer)
assert not any(type(one).__pydantic_complete__ for one in records)
assert not any(type(one.kind).__pydantic_complete__ for one in events)
for record in records:
    assert to_json([record]) == f"[{record.to_json()}]".encode(), record
for event in events:
    dumped = event.model_dump(mode="json")
    assert dumped["kind"] == event.kind.model_dump(mode="json"), event
    assert event.model_dump_json() == event.to_json(), event
"""


@pytest.mark.slow
def test_a_record_can_be_written_before_its_schema_is_built() -> None:
    records = [samples.full_run(), samples.definition(), samples.profile(), samples.step()]
    events = [samples.stored_event(kind=kind) for kind in every_kind()]
    given = pickle.dumps((records, events))
    subprocess.run([sys.executable, "-c", _WITHOUT_SCHEMAS], input=given, check=True)


# Runs in a process of its own: importing mobstore checks the slots.
_WITH_OTHER_SLOTS = """
import asyncio
import pydantic

pydantic.BaseModel.__slots__ = (*pydantic.BaseModel.__slots__, "__pydantic_new_slot__")

from mobstore import open_stores
from mobstore.model import assembly
from mobstore.testing import samples

async def main():
    async with open_stores("memory:") as stores:
        run = samples.full_run()
        await stores.runs.create_run(run)
        assert await stores.runs.get_run(run.run_id) == run
        event = await stores.events.append(samples.event())
        assert [event] == await stores.events.replay_all()
        event.model_fields_set.clear()
        [again] = await stores.events.replay_all()
        assert again.model_fields_set == set(type(again).model_fields)

assert not assembly.SLOTS_ARE_KNOWN
assert "model_construct" in assembly.Assembled.assemble.__code__.co_names
asyncio.run(main())
"""


def test_records_are_constructed_where_the_slots_are_others() -> None:
    subprocess.run([sys.executable, "-c", _WITH_OTHER_SLOTS], check=True)
