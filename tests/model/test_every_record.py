"""Every public record reads what it writes."""

from __future__ import annotations

import asyncio

import mobstore
from mobstore import MobEvent, NewMobEvent, OtherEvent, Overview
from mobstore.testing.samples import event
from support.records import PUBLIC, RECORDS


def is_of_another_kind(record: object) -> bool:
    return isinstance(record, (MobEvent, NewMobEvent)) and isinstance(record.kind, OtherEvent)


def test_there_is_a_sample_of_every_record() -> None:
    assert {type(record) for record in RECORDS} == PUBLIC


def test_every_record_reads_what_it_writes() -> None:
    for record in RECORDS:
        if not is_of_another_kind(record):  # models read none, like the reference
            assert type(record).from_json(record.to_json()) == record


def test_an_overview_reads_what_it_writes() -> None:
    async def of_a_store() -> Overview:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append(event())
            return await stores.overview()

    overview = asyncio.run(of_a_store())
    assert overview.identity is not None
    assert Overview.from_json(overview.to_json()) == overview
