"""Events of other kinds keep everything, and nothing else becomes one."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st

import mobstore
from mobstore import (
    MobEvent,
    NewMobEvent,
    OtherEvent,
    SerializationError,
    event_kind_from_json,
    members_of,
)
from mobstore.codec.kinds import kind_of, read_kinds
from mobstore.model.json import parse
from mobstore.testing.kinds import every_kind, other_kinds
from mobstore.testing.samples import run_id, stored_event
from support import golden

KINDS = [line for line in golden.vectors() if line.type == "MobEventKind"]
texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)
fields = st.dictionaries(texts.filter(lambda name: name != "type"), values)


def test_golden_answers_win_where_models_read() -> None:
    """The reference rejects unknown kinds and drops unknown keys: so do the models."""
    assert golden.Vector("MobEventKind", '{"type":"future_event","x":1}', None) in KINDS
    for line in KINDS:
        if line.rewritten is None:
            with pytest.raises(SerializationError):
                event_kind_from_json(line.document)
        else:
            assert event_kind_from_json(line.document).to_json() == line.rewritten


def test_what_golden_documents_are_in_a_store() -> None:
    """Each is the reference's kind, or all of the document, or unreadable."""
    others: list[str] = []
    for line in KINDS:
        try:
            kind = kind_of(parse(line.document))
        except SerializationError:
            assert line.rewritten is None
            continue
        if isinstance(kind, OtherEvent):
            others.append(line.document)
            assert json.loads(kind.to_json()) == json.loads(line.document)
        else:
            assert kind.to_json() == line.rewritten
    assert '{"type":"future_event","x":1}' in others
    assert '{"type":"mob_completed","x":1}' in others
    assert len(others) == 4


@pytest.mark.slow
@given(texts, fields)
def test_everything_is_written_again_in_its_order(type_: str, given_fields: dict[str, Any]) -> None:
    event = OtherEvent(type=type_, fields=given_fields)
    document = event.to_json()
    assert golden.same(golden.ordered(document)[1:], tuple(_pairs(given_fields)))
    assert OtherEvent.from_json(document) == event
    assert OtherEvent.from_json(document).to_json() == document
    stored = stored_event(kind=event)
    assert stored.to_json() == stored.to_json().partition('"kind":')[0] + f'"kind":{document}}}'
    assert json.loads(json.dumps(stored.model_dump(mode="json")["kind"])) == json.loads(document)


def _pairs(value: Any) -> Any:
    """Return a value as `golden.ordered` would read it."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return tuple((key, _pairs(item)) for key, item in pairs)
    return [_pairs(item) for item in cast("list[Any]", value)] if type(value) is list else value


def test_bytes_of_the_reference_are_kept() -> None:
    text = (
        '{"type":"remote_turn_bound","z":[1,1.0,-0.0,1e+16,1e-7,0.00001,18446744073709551615],'
        '"a":{"__proto__":{},"b":"\\u0000/é\u2028\U0001f99d"},"fields":{},"n":null}'
    )
    if mobstore.OtherEvent.from_json('{"type":"x","n":1e16}').to_json() != '{"type":"x","n":1e16}':
        assert OtherEvent.from_json(text).to_json() == text  # an older pydantic writes 1e16
    (kind,) = read_kinds([text.replace("1e+16,", "")])
    assert kind.to_json() == text.replace("1e+16,", "")


def test_equality_distinguishes_what_python_does_not() -> None:
    one, true = (OtherEvent(type="x", fields={"a": value}) for value in (1, True))
    assert one != true
    assert one == OtherEvent(type="x", fields={"a": 1})
    assert OtherEvent(type="x", fields={"a": 1, "b": 2}) == OtherEvent(
        type="x", fields={"b": 2, "a": 1}
    )
    assert repr(one) == "OtherEvent(type='x', fields={'a': 1})"


def test_it_shares_nothing_with_the_callers_values() -> None:
    inner = [1]
    given_fields: dict[str, Any] = {"a": inner}
    event = OtherEvent(type="x", fields=given_fields)
    inner.append(2)
    given_fields["b"] = 1
    assert event.to_json() == '{"type":"x","a":[1]}'


def nested(levels: int) -> str:
    return f'{{"type":"x","a":{"[" * levels}{"]" * levels}}}'


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("[]", "an event is an object"),
        ("{}", "one text as its type"),
        ('{"type":null}', "one text as its type"),
        ('{"type":"a","type":"a"}', "one text as its type"),
        ('{"type":"a","b":1,"b":1}', "fields: a key occurs twice in one object"),
        ('{"type":"a","b":[{"c":1,"c":1}]}', "fields: b.0: a key occurs twice in one object"),
        ('{"type":"a","b":NaN}', "NaN is not JSON"),
        ('{"type":"a","b":1e400}', "cannot hold NaN, infinity"),
        ('{"type":"a","\\ud800":1}', "lone surrogates"),
        (nested(126), "nested too deeply"),
        (nested(100_000), "nested deeper than 127 levels"),
        ('{"type":"a","b":[' + "1," * (2**20 + 64) + "1]}", "more than 1,048,576 values"),
    ],
)
def test_hostile_documents_are_refused_in_words(document: str, words: str) -> None:
    with pytest.raises(SerializationError) as caught:
        OtherEvent.from_json(document)
    assert words in caught.value.detail
    assert len(caught.value.detail) < 300


@pytest.mark.parametrize(
    ("given_fields", "words"),
    [
        ({"type": "y"}, "must not hold a type"),
        ({"a": float("inf")}, "a: free JSON cannot hold NaN"),
        ({"a": [{}, {"b": 2**64}]}, "a.1.b: free JSON holds integers"),
        ({"a": {1: 1}}, "a: object keys of free JSON must be text"),
        ({1: 1}, "object keys of free JSON must be text"),
        ({"a": b""}, "a: free JSON cannot hold bytes"),
        ([], "must map names to JSON values"),
        (None, "must map names to JSON values"),
    ],
)
def test_wrong_fields_are_refused_in_words(given_fields: Any, words: str) -> None:
    with pytest.raises(ValueError, match="OtherEvent") as caught:
        OtherEvent(type="x", fields=given_fields)
    assert words in str(caught.value)


def test_the_deepest_fields() -> None:
    deepest = OtherEvent.from_json(nested(125))
    assert deepest.to_json() == nested(125)
    assert stored_event(kind=deepest).to_json().endswith(f"{nested(125)}}}")


@pytest.mark.slow
def test_many_unknown_keys_need_little_memory() -> None:
    """Pydantic would make an error of each, which takes a kilobyte."""
    within = ",".join(f'"k{n}":0' for n in range(200_000))
    documents = (
        f'{{"type":"mob_reset",{within}}}',
        f'{{"type":"mob_created","definition":{{"id":"m",{within}}}}}',
        f'{{"type":"new",{within}}}',
    )
    for document in documents:
        value = parse(document)
        tracemalloc.start()
        kind = kind_of(value)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(kind, OtherEvent)
        assert peak < 30 * len(document)


def test_the_run_of_an_event() -> None:
    run = str(run_id(5))
    forms = (run, run.upper(), run.replace("-", ""), f"urn:uuid:{run}", f"{{{run}}}")
    for form in forms:
        event = OtherEvent(type="x", fields={"run_id": form})
        assert stored_event(kind=event).run_id == run_id(5)
    for wrong in ("", "no id", 5, None, [run], {"run_id": run}, f"{run}0"):
        assert stored_event(kind=OtherEvent(type="x", fields={"run_id": wrong})).run_id is None


def test_the_members_of_an_event() -> None:
    def members(type_: str, **named: Any) -> set[str]:
        return set(members_of(OtherEvent(type=type_, fields=named)))

    assert members("member_spawned", agent_identity="a", role="r") == {"a"}
    assert members("member_kickoff_updated", member="a", b="c", owner=None) == {"a", "c"}
    target = {"identity": "a", "generation": 3}
    assert members("step_dispatched", target=target, step_id="s") == {"a"}
    assert members("x", target=["a"], member={"a": 1}, agent_identity=1) == set()
    assert members("flow_failed", member="a") == set()  # one of a known type that names none


def test_kinds_are_read_alone_and_together() -> None:
    kinds = (*every_kind(), *other_kinds())
    documents = [kind.to_json() for kind in kinds]
    assert list(read_kinds(documents)) == list(kinds)
    for kind, document in zip(kinds, documents, strict=True):
        assert list(read_kinds([document])) == [kind]
    unknown = [document for document in documents if "mob_stopped" in document]
    assert list(read_kinds([*documents[:3], *unknown, *documents[:2]])) == [
        *kinds[:3], OtherEvent(type="mob_stopped", fields={}), *kinds[:2],
    ]  # fmt: skip
    for wrong in ("", "{", "[]", '{"type":"peers_wired"}', '{"type":"x"},{"type":"y"}'):
        with pytest.raises(ValueError, match=r"\w"):
            read_kinds([documents[0], wrong])


def test_models_take_one_but_read_none() -> None:
    other = OtherEvent(type="x", fields={})
    assert stored_event(kind=other).kind == other
    with pytest.raises(ValueError, match="allow_other=True"):
        NewMobEvent(mob_id=mobstore.MobId("m"), kind=other)
    allowed = NewMobEvent(mob_id=mobstore.MobId("m"), kind=other, allow_other=True)
    assert allowed.to_json() == '{"mob_id":"m","kind":{"type":"x"},"timestamp":null}'
    for document in (allowed.to_json(), stored_event(kind=other).to_json()):
        for model in (NewMobEvent, MobEvent):
            with pytest.raises(SerializationError):
                model.from_json(document)


def with_unknown_key(value: Any) -> Iterator[Any]:
    """Yield a document with an unknown key in each of its objects."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        yield {**pairs, "zz": 1}
        for name, part in pairs.items():
            for changed in with_unknown_key(part):
                yield {**pairs, name: changed}
    elif isinstance(value, list):
        parts = cast("list[Any]", value)
        for place, part in enumerate(parts):
            for changed in with_unknown_key(part):
                yield [*parts[:place], changed, *parts[place + 1 :]]


def test_no_key_gets_lost_at_any_depth() -> None:
    others = 0
    for kind in every_kind():
        document = json.loads(kind.to_json())
        for changed in with_unknown_key(document):
            try:
                read = kind_of(parse(json.dumps(changed)))
            except SerializationError:
                continue  # a map of other values, or an object that takes no unknown keys
            others += isinstance(read, OtherEvent)
            assert json.loads(read.to_json()) == changed
            assert list(read_kinds([json.dumps(changed, separators=(",", ":"))])) == [read]
    assert others > 50
