"""Every branch of the spec store's scripts, stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mobstore import MobDefinition, SerializationError, SpecRevisionConflictError
from mobstore.operations import specs
from mobstore.scripts.tables import SPECS, SpecRow
from mobstore.scripts.transaction import Add, Commit, Delete, Get, Put, Scan
from support.scripts import play

GET = (Get(SPECS, ("m",)),)
STORED = SpecRow("m", 4, '{"id":"old"}')


@pytest.mark.parametrize(
    ("stored", "revision", "next_revision"),
    [(None, None, 1), (None, 0, 1), (STORED, None, 5), (STORED, 4, 5)],
)
def test_put(stored: SpecRow | None, revision: int | None, next_revision: int) -> None:
    asked, commit = play(specs.put_spec("m", "{}", revision), (stored,))
    assert asked == [GET]
    kind = Add if stored is None else Put
    assert commit == Commit(next_revision, (kind(SPECS, (SpecRow("m", next_revision, "{}"),)),))


@pytest.mark.parametrize(
    ("stored", "revision", "actual"),
    [(None, 1, 0), (STORED, 0, 4), (STORED, 3, 4), (STORED, 5, 4), (STORED, 2**64 - 1, 4)],
)
def test_put_at_another_revision(stored: SpecRow | None, revision: int, actual: int) -> None:
    with pytest.raises(SpecRevisionConflictError) as caught:
        play(specs.put_spec("m", "{}", revision), (stored,))
    error = caught.value
    assert (error.mob_id, error.expected, error.actual) == ("m", revision, actual)


def test_get() -> None:
    asked, commit = play(specs.get_spec("m"), (STORED,))
    assert asked == [GET]
    assert commit == Commit((MobDefinition.from_json('{"id":"old"}'), 4))
    assert play(specs.get_spec("m"), (None,))[1] == Commit(None)


@pytest.mark.parametrize("definition", ["", "{}", "[]", '{"id":5}'])
def test_a_spec_that_cannot_be_read_is_named(definition: str) -> None:
    with pytest.raises(SerializationError, match="table specs, mob m cannot be read"):
        play(specs.get_spec("m"), (SpecRow("m", 1, definition),))


def test_list() -> None:
    asked, commit = play(specs.list_specs(), ([STORED, SpecRow("n", 1, "broken")],))
    assert asked == [(Scan(SPECS),)]
    assert commit == Commit(["m", "n"])


def test_a_mob_whose_id_is_no_text_is_named() -> None:
    mob: Any = b"mob"
    with pytest.raises(SerializationError, match="table specs, mob b'mob' cannot be read"):
        play(specs.list_specs(), ([STORED, SpecRow(mob, 1, STORED.definition)],))


@pytest.mark.parametrize(
    ("stored", "revision", "deleted"),
    [
        (None, None, False),
        (None, 0, False),
        (None, 4, False),
        (STORED, None, True),
        (STORED, 4, True),
        (STORED, 0, False),
        (STORED, 3, False),
    ],
)
def test_delete(stored: SpecRow | None, revision: int | None, deleted: bool) -> None:
    asked, commit = play(specs.delete_spec("m", revision), (stored,))
    assert asked == [GET]
    assert commit[:2] == (deleted, (Delete(SPECS, ("m",)),) if deleted else ())
    assert (commit.refusal is None) == (deleted or revision is None)
