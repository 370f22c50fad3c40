"""Kernel values and states: their total order, their one text, and what is rejected."""

from __future__ import annotations

import json
import operator
import pickle
from copy import copy, deepcopy
from enum import Enum
from functools import cmp_to_key
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st

from mobstore import KernelMap, KernelSet, KernelState, NamedVariant, SerializationError, UsageError

# An oracle that shares nothing with the package ---------------------------------------------------

RANKS = ["bool", "u64", "string", "named_variant", "seq", "set", "map", "none"]
Wire = dict[str, Any]


def _sign(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _compare_lists(ones: list[Any], others: list[Any]) -> int:
    for one, other in zip(ones, others, strict=False):
        if different := compare(one, other):
            return different
    return _sign(len(ones), len(others))


def _flat(entries: list[list[Wire]]) -> list[Wire]:
    return [part for entry in entries for part in entry]


def compare(one: Wire, other: Wire) -> int:
    """Return -1, 0 or 1; both must be normal."""
    if one["type"] != other["type"]:
        return _sign(RANKS.index(one["type"]), RANKS.index(other["type"]))
    match one["type"]:
        case "bool" | "u64":
            return _sign(one["value"], other["value"])
        case "string":
            return _sign(one["value"].encode(), other["value"].encode())
        case "named_variant":
            by_enum = _sign(one["enum_name"].encode(), other["enum_name"].encode())
            return by_enum or _sign(one["variant"].encode(), other["variant"].encode())
        case "seq" | "set":
            return _compare_lists(one["items"], other["items"])
        case "map":
            return _compare_lists(_flat(one["entries"]), _flat(other["entries"]))
        case _:
            return 0


def _compare_keys(one: list[Wire], other: list[Wire]) -> int:
    return compare(one[0], other[0])


_entry_order = cmp_to_key(_compare_keys)


def normal(wire: Wire) -> Wire:
    """Return the value as it is written: sets and maps in order, each item and key once."""
    if wire["type"] == "seq":
        return {"type": "seq", "items": [normal(item) for item in wire["items"]]}
    if wire["type"] == "set":
        items: list[Wire] = []
        for item in map(normal, wire["items"]):
            if not any(compare(item, kept) == 0 for kept in items):
                items.append(item)
        return {"type": "set", "items": sorted(items, key=cmp_to_key(compare))}
    if wire["type"] == "map":
        entries: list[list[Wire]] = []
        for key, value in wire["entries"]:
            entry = [normal(key), normal(value)]
            entries = [kept for kept in entries if compare(kept[0], entry[0]) != 0]
            entries.append(entry)
        entries.sort(key=_entry_order)
        return {"type": "map", "entries": entries}
    return wire


def a_map(entries: Any) -> KernelMap:
    """Return a map from a dict: type checkers require keys of one wide type."""
    return KernelMap(entries)


def dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read(wire: object) -> KernelState:
    return KernelState.from_json(dump({"phase": "P", "fields": {"x": wire}}))


# Few different texts and numbers, so that equal ones meet; among them code points that UTF-16 sorts
# differently from UTF-8.
texts = st.sampled_from(["", "a", "b", "ab", "1", "é", "\0", "\uffff", "\U0001f40c", '"\\\n'])
scalars: st.SearchStrategy[Wire] = st.one_of(
    st.booleans().map(lambda v: {"type": "bool", "value": v}),
    st.sampled_from([0, 1, 2, 2**63, 2**64 - 1]).map(lambda v: {"type": "u64", "value": v}),
    texts.map(lambda v: {"type": "string", "value": v}),
    st.tuples(texts, texts).map(
        lambda v: {"type": "named_variant", "enum_name": v[0], "variant": v[1]}
    ),
    st.just({"type": "none"}),
)
wires: st.SearchStrategy[Wire] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda v: {"type": "seq", "items": v}),
        st.lists(inner, max_size=4).map(lambda v: {"type": "set", "items": v}),
        st.lists(st.tuples(inner, inner).map(list), max_size=4).map(
            lambda v: {"type": "map", "entries": v}
        ),
    ),
    max_leaves=12,
)


# Order and text ----------------------------------------------------------------------------------


@given(wires)
def test_text_is_the_oracle_s(wire: Wire) -> None:
    expected = dump({"phase": "P", "fields": {"x": normal(wire)}})
    assert read(wire).to_json() == expected


@pytest.mark.slow
@given(wires, wires)
def test_equality_is_equality_of_values(one: Wire, other: Wire) -> None:
    equal = compare(normal(one), normal(other)) == 0
    assert (read(one) == read(other)) is equal
    assert (read(one).to_json() == read(other).to_json()) is equal
    if equal:
        assert hash(read(one)) == hash(read(other))


@pytest.mark.slow
@given(st.lists(wires, max_size=6), st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(items: list[Wire], random: Any) -> None:
    shuffled = items[:]
    random.shuffle(shuffled)
    one, other = (read({"type": "set", "items": them}) for them in (items, shuffled))
    assert one == other


@given(wires)
def test_reading_back_is_idempotent(wire: Wire) -> None:
    state = read(wire)
    assert KernelState.from_json(state.to_json()) == state
    assert KernelState.from_json(state.to_json()).to_json() == state.to_json()
    assert KernelState(state.phase, state.fields).to_json() == state.to_json()
    assert KernelState.from_canonical(state.to_json()) == state


@pytest.mark.slow
@given(st.lists(wires, max_size=6))
def test_sets_iterate_in_the_total_order(items: list[Wire]) -> None:
    found = read({"type": "set", "items": items}).fields["x"]
    assert isinstance(found, KernelSet)
    expected = normal({"type": "set", "items": items})["items"]
    again = [json.loads(KernelState("P", {"x": v}).to_json())["fields"]["x"] for v in found]
    assert again == expected
    assert len(found) == len(expected)
    assert all(item in found for item in found)


@pytest.mark.slow
@given(st.lists(st.tuples(wires, wires).map(list), max_size=6))
def test_maps_iterate_in_the_order_of_their_keys(entries: list[list[Wire]]) -> None:
    found = read({"type": "map", "entries": entries}).fields["x"]
    assert isinstance(found, KernelMap)
    expected = normal({"type": "map", "entries": entries})["entries"]
    as_wire = [
        [json.loads(KernelState("P", {"x": v}).to_json())["fields"]["x"] for v in pair]
        for pair in found.items()
    ]
    assert as_wire == expected
    assert [found[key] for key in found] == list(found.values())


@given(st.dictionaries(texts, scalars, max_size=5))
def test_fields_are_sorted(fields: dict[str, Wire]) -> None:
    written = KernelState.from_json(dump({"fields": fields, "phase": "P"})).to_json()
    names = list(json.loads(written)["fields"])
    assert names == sorted(fields, key=str.encode)


def test_the_order_of_kinds() -> None:
    values: list[Any] = [None, {}, frozenset(), (), NamedVariant("", ""), "", 0, False]
    assert list(KernelSet(values)) == [
        False,
        0,
        "",
        NamedVariant("", ""),
        (),
        KernelSet(),
        KernelMap(),
        None,
    ]


def test_a_proper_prefix_is_smaller() -> None:
    assert list(KernelSet([(1, 2), (1,), (2,), ()])) == [(), (1,), (1, 2), (2,)]
    assert [
        list(cast("Any", s)) for s in KernelSet([KernelSet([2]), KernelSet([1, 2]), KernelSet([1])])
    ] == [
        [1],
        [1, 2],
        [2],
    ]


# Python's equality is not the kernel's -----------------------------------------------------------


def test_true_one_and_text_stay_apart_in_sets() -> None:
    found = KernelSet([1, True, "1", 0, False, None, "1", 1])
    assert [repr(item) for item in found] == ["False", "True", "0", "1", "'1'", "None"]
    assert True in found
    assert True not in KernelSet([1])
    assert 1 not in KernelSet([True])
    assert 1.0 not in KernelSet([1])
    assert object() not in found
    assert KernelSet([1]) != KernelSet([True])
    assert KernelSet([1]) != {True}
    assert KernelSet([1]) == {1}


def test_true_one_and_text_stay_apart_as_keys() -> None:
    found = KernelMap([(1, "one"), (True, "true"), ("1", "text"), (None, "none"), (1, "last")])
    assert len(found) == 4
    assert (found[1], found[True], found["1"], found[None]) == ("last", "true", "text", "none")
    assert False not in found
    assert 1.0 not in found
    with pytest.raises(KeyError):
        found[0]
    with pytest.raises(KeyError):
        found[cast("Any", 1.5)]
    assert a_map({1: 1}) != a_map({1: True})
    assert a_map({1: 1}) != a_map({True: 1})
    assert a_map({1: 1}) == {1: 1}
    assert a_map({1: 1}) != {1: True}


def test_states_tell_them_apart() -> None:
    states = [KernelState("P", {"x": value}) for value in (1, True, "1", None, (1,), {1})]
    assert len(set(states)) == 6
    assert KernelState("P") != KernelState("Q")
    assert KernelState("P") != '{"phase":"P","fields":{}}'


def test_a_named_variant_is_no_sequence() -> None:
    variant, pair = NamedVariant("E", "V"), ("E", "V")
    assert len(KernelSet([variant, pair])) == 2
    assert KernelState("P", {"x": variant}) != KernelState("P", {"x": pair})
    assert KernelState("P", {"x": variant}).fields["x"] == variant


@pytest.mark.parametrize("other", [{1.5}, {object()}, {-1}, {b"x"}])
def test_a_set_is_not_equal_to_one_of_other_things(other: set[object]) -> None:
    assert KernelSet([1]) != other
    assert not KernelSet([1]) == other  # noqa: SIM201 - `==` itself is asked


@pytest.mark.parametrize("other", [{1: 1.5}, {1: object()}, {1.5: 1}, {b"x": 1}])
def test_a_map_is_not_equal_to_one_of_other_things(other: dict[object, object]) -> None:
    assert a_map({1: 1}) != other
    assert not a_map({1: 1}) == other  # noqa: SIM201 - `==` itself is asked


@pytest.mark.parametrize("other", [1, "x", None, [1], (1,)])
def test_not_equal_to_other_kinds(other: object) -> None:
    assert KernelSet([1]) != other
    assert a_map({1: 1}) != other


@pytest.mark.slow
@given(wires, wires)
def test_equal_sets_and_maps_have_equal_hashes(one: Wire, other: Wire) -> None:
    sets = [read({"type": "set", "items": [w]}).fields["x"] for w in (one, other)]
    maps = [read({"type": "map", "entries": [[w, w]]}).fields["x"] for w in (one, other)]
    for left, right in (sets, maps):
        if left == right:
            assert hash(left) == hash(right)


def test_sets_have_no_operators_that_would_take_true_for_one() -> None:
    kernel_set: Any = KernelSet([1, True])
    for operate in ("sub", "or_", "and_", "xor", "le"):
        with pytest.raises(TypeError):
            getattr(operator, operate)(kernel_set, {True})


def test_repr_shows_the_items() -> None:
    assert repr(KernelSet([2, 1])) == "KernelSet([1, 2])"
    assert repr(a_map({2: "b", 1: "a"})) == "KernelMap([(1, 'a'), (2, 'b')])"
    assert repr(KernelState("P", {"x": 1})) == "KernelState(phase='P', fields={'x': 1})"


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2**53 + 1, 2**63, 2**64 - 1])
def test_u64_in_range(number: int) -> None:
    state = KernelState("P", {"x": number})
    assert state.fields["x"] == number
    assert type(state.fields["x"]) is int


@pytest.mark.parametrize("number", [-1, 2**64, -(2**64)])
def test_u64_out_of_range(number: int) -> None:
    with pytest.raises(SerializationError):
        KernelState("P", {"x": number})
    with pytest.raises(SerializationError):
        read({"type": "u64", "value": number})
    with pytest.raises(SerializationError):
        KernelSet([number])
    with pytest.raises(SerializationError):
        a_map({number: 1})


@pytest.mark.parametrize("value", [1.0, b"x", object(), 1j, float("nan"), range(3), iter(())])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(SerializationError):
        KernelState("P", {"x": value})
    with pytest.raises(SerializationError):
        KernelState("P", {"x": (value,)})
    with pytest.raises(SerializationError):
        KernelSet([value])
    with pytest.raises(SerializationError):
        KernelMap([(value, 1)])


@pytest.mark.parametrize("value", [1.0, b"x", object(), -1, [1.5]])
def test_a_map_refuses_values_that_are_none(value: Any) -> None:
    with pytest.raises(SerializationError):
        KernelMap([(1, value)])


@pytest.mark.parametrize("phase", [None, 1, True, b"P", ["P"]])
def test_the_phase_is_text(phase: Any) -> None:
    with pytest.raises(UsageError):
        KernelState(phase)


@pytest.mark.parametrize("fields", [{1: 2}, {None: 1}, {"a": 1, 1: 1}, {b"x": 1}])
def test_the_names_of_fields_are_text(fields: Any) -> None:
    with pytest.raises(UsageError):
        KernelState("P", fields)


@pytest.mark.parametrize("fields", [[1], "x", 5, [("x", 1)]])
def test_the_fields_are_a_mapping(fields: Any) -> None:
    with pytest.raises(UsageError):
        KernelState("P", fields)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc00\ud800"])
def test_lone_surrogates_are_refused(text: str) -> None:
    for fields in ({"x": text}, {text: 1}, {"x": NamedVariant(text, "")}, {"x": {text: 1}}):
        with pytest.raises(SerializationError):
            KernelState("P", cast("Any", fields))
    with pytest.raises(SerializationError):
        KernelState(text)
    with pytest.raises(SerializationError):
        KernelState.from_json(json.dumps({"phase": text, "fields": {}}))


class Colour(str, Enum):  # noqa: UP042 - the older way is the one that is put to the test
    RED = "red"


def test_a_text_of_an_enumeration_counts_as_that_text() -> None:
    assert KernelState("P", {"x": Colour.RED}) == KernelState("P", {"x": "red"})


def test_pairs_of_surrogates_are_one_character() -> None:
    state = KernelState.from_json('{"phase":"\\ud83d\\udc0c","fields":{}}')
    assert state.phase == "\U0001f40c"


# Depth -------------------------------------------------------------------------------------------


def _nested(kind: str, times: int, core: Wire) -> Wire:
    for _ in range(times):
        core = (
            {"type": "map", "entries": [[{"type": "none"}, core]]}
            if kind == "map"
            else {"type": kind, "items": [core]}
        )
    return core


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, cast("dict[str, object]", value).values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, cast("list[object]", value)), default=0)
    return 0


@pytest.mark.parametrize("kind", ["seq", "set", "map"])
@pytest.mark.parametrize("core", [{"type": "none"}, {"type": "set", "items": []}])
def test_depth(kind: str, core: Wire) -> None:
    for times in range(36, 66):
        wire = _nested(kind, times, core)
        depth = _depth({"phase": "P", "fields": {"x": wire}})
        if depth > 127:
            with pytest.raises(SerializationError):
                read(wire)
            continue
        state = read(wire)
        assert state.depth == depth
        built = KernelState("P", state.fields)
        assert built == state
        assert built.depth == depth


def _python_nested(times: int) -> Any:
    value: Any = None
    for _ in range(times):
        value = (value,)
    return value


def test_depth_of_python_values() -> None:
    assert KernelState("P", {"x": _python_nested(62)}).depth == 127
    with pytest.raises(SerializationError):
        KernelState("P", {"x": _python_nested(63)})


@pytest.mark.slow
def test_nesting_never_exhausts_the_stack() -> None:
    deep = _python_nested(100_000)
    for make in (
        lambda: KernelState("P", {"x": deep}),
        lambda: KernelSet([deep]),
        lambda: KernelMap([(deep, 1)]),
        lambda: KernelMap([(1, deep)]),
        lambda: KernelState.from_json("[" * 1_000_000),
        lambda: KernelState.from_json('{"fields":' * 100_000),
    ):
        with pytest.raises(SerializationError):
            make()
    assert deep not in KernelSet([1])


def test_circles_are_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(SerializationError):
        KernelState("P", {"x": circle})


# Immutability and copies -------------------------------------------------------------------------


def test_arguments_are_copied() -> None:
    items: list[Any] = [1]
    fields: dict[str, Any] = {"x": items, "y": {"k": items}}
    state = KernelState("P", fields)
    before = state.to_json()
    items.append(2)
    fields["z"] = 1
    assert state.to_json() == before


def test_sets_and_maps_copy_what_they_hold() -> None:
    items: list[Any] = [1]
    kernel_set, kernel_map = KernelSet([items]), a_map({1: items})
    hashes = hash(kernel_set), hash(kernel_map)
    items.append(2)
    assert kernel_set == KernelSet([(1,)])
    assert KernelState("P", {"x": kernel_set}) == KernelState("P", {"x": KernelSet([(1,)])})
    assert kernel_map == a_map({1: (1,)})
    assert (hash(kernel_set), hash(kernel_map)) == hashes


def test_what_is_read_cannot_be_changed() -> None:
    """An assignment would have no effect on the state, so it fails."""
    state = KernelState("P", {"x": (1,), "m": {1: 2}})
    fields = cast("dict[str, Any]", state.fields)
    for change in (
        lambda: fields.__setitem__("x", 2),
        lambda: fields.__delitem__("x"),
        lambda: fields.update(x=2),
        lambda: fields["m"].__setitem__(1, 3),
        lambda: fields["x"].append(2),
    ):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(TypeError, match="does not support item assignment"):
        fields["x"] = 2
    with pytest.raises(TypeError, match="does not support item assignment"):
        fields["m"][1] = 3
    assert state.fields == {"x": (1,), "m": {1: 2}}


def test_fields_are_a_mapping_like_a_dict() -> None:
    state = KernelState("P", {"b": True, "a": (1, None)})
    fields, plain = state.fields, {"a": (1, None), "b": True}
    assert fields == plain
    assert plain == fields
    assert fields != {"a": 1}
    assert list(fields.items()) == list(plain.items())
    assert {**fields} == dict(fields) == plain
    assert repr(fields) == repr(plain)
    for again in (pickle.loads(pickle.dumps(fields)), copy(fields), deepcopy(fields)):  # noqa: S301
        assert again == fields
        assert type(again) is type(fields)
    with pytest.raises(KeyError):
        fields["c"]
    assert KernelState("P", fields) == state


@pytest.mark.parametrize(
    "value",
    [
        KernelState("P", {"x": {1: True}, "y": {"a"}}),
        KernelSet([1, True, "1"]),
        a_map({1: (True, None)}),
        NamedVariant("E", "V"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_copies_and_pickles(value: Any) -> None:
    for again in (copy(value), deepcopy(value), pickle.loads(pickle.dumps(value))):  # noqa: S301
        assert again == value
        assert hash(again) == hash(value)
        assert type(again) is type(value)


def test_the_default_state_is_empty() -> None:
    assert KernelState().to_json() == '{"phase":"","fields":{}}'


# Other values and single fields ------------------------------------------------------------------

names = st.sampled_from(["phase", "self", "owner", "a b", "", "é", "\0", "fields"])


@pytest.mark.slow
@given(st.dictionaries(names, wires, max_size=5), st.data())
def test_replace_is_a_state_built_anew(parts: dict[str, Wire], data: Any) -> None:
    state = KernelState.from_json(dump({"phase": "P", "fields": parts}))
    before = state.to_json()
    chosen = sorted(data.draw(st.sets(st.sampled_from(sorted(parts))))) if parts else []
    others = {name: read(data.draw(wires)).fields["x"] for name in chosen}
    for phase in (None, "", "Done\n"):
        given_state = KernelState.from_canonical(before)
        for one in (state, given_state):
            replaced = one.replace(phase, **others)
            built = KernelState("P" if phase is None else phase, {**state.fields, **others})
            assert replaced == built
            assert replaced.to_json() == built.to_json()
            assert replaced.fields == built.fields
            assert KernelState.from_json(replaced.to_json()) == replaced
        assert state.to_json() == before


def test_replace_adds_no_field() -> None:
    state = KernelState("P", {"owner": "a"})
    with pytest.raises(UsageError, match=r"no field 'ownre'; to add one, build a KernelState"):
        state.replace(ownre="b")
    with pytest.raises(UsageError, match=r"phase must be text, not int"):
        state.replace(cast("Any", 5))
    with pytest.raises(SerializationError, match=r"float is not a kernel value"):
        state.replace(owner=cast("Any", 0.5))
    assert state == KernelState("P", {"owner": "a"})


def test_replace_keeps_the_depth() -> None:
    deep: Any = ()
    for _ in range(50):
        deep = (deep,)
    state = KernelState("P", {"deep": deep, "n": 1})
    assert state.replace(n=2).depth == state.depth
    assert KernelState("P", {"deep": 1, "n": 1}).replace(deep=deep).depth == state.depth
    assert KernelState.from_canonical(state.to_json()).replace(deep=deep).depth == state.depth
    for _ in range(50):
        deep = (deep,)
    with pytest.raises(SerializationError, match=r"nested deeper than 127 levels"):
        state.replace(deep=deep)


KINDS: dict[str, Any] = {
    "flag": True,
    "number": 2**64 - 1,
    "text": "w-1",
    "variant": NamedVariant("E", "V"),
    "items": (1, "a", ()),
    "members": KernelSet([1, True]),
    "entries": KernelMap({"a": 1}),
}
SINGLE = {"flag", "number", "text", "variant"}


@pytest.mark.parametrize("method", KINDS)
def test_each_kind_has_its_getter(method: str) -> None:
    for state in (
        KernelState("P", KINDS),
        KernelState.from_canonical(KernelState("P", KINDS).to_json()),
    ):
        get = getattr(state, method)
        found = get(method)
        assert found == KINDS[method]
        assert type(found) is type(KINDS[method])
        for other in KINDS.keys() - {method}:
            with pytest.raises(UsageError, match=rf"field '{other}' is .*, not "):
                get(other)
            if method in SINGLE:
                with pytest.raises(UsageError, match=rf"field '{other}' is .*, not "):
                    get(other, None)
        with pytest.raises(UsageError, match=r"the state has no field 'owner'"):
            get("owner")
        with pytest.raises(UsageError, match=r"must be text"):
            get(5)


@pytest.mark.parametrize("method", sorted(SINGLE))
def test_a_default_is_for_absent_and_none(method: str) -> None:
    state = KernelState("P", {"none": None, method: KINDS[method]})
    get, default = getattr(state, method), object()
    assert get("none", default) is default
    assert get("absent", default) is default
    assert get("absent", None) is None
    assert get(method, default) == KINDS[method]
    with pytest.raises(UsageError, match=r"field 'none' is none, not "):
        get("none")


def test_texts() -> None:
    state = KernelState(
        "P", {"seq": ["b", "a", "b"], "set": {"b", "a"}, "no": ["a", 1], "empty": ()}
    )
    assert state.texts("seq") == ("b", "a", "b")
    assert state.texts("set") == ("a", "b")
    assert state.texts("empty") == ()
    with pytest.raises(UsageError, match=r"field 'no' holds values that are not text"):
        state.texts("no")
    with pytest.raises(UsageError, match=r"the state has no field 'x'"):
        state.texts("x")


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"phase":"P","fields":[]}', '{"phase":1,"fields":{}}',
        '{"phase":"P","fields":{"x":1}}', '{"phase":"P","fields":{"x":{}}}',
        '{"phase":"P","fields":{"x":{"type":"string","value":1}}}',
        '{"phase":"P","fields":{"x":{"type":"string"}}}',
    ],
)  # fmt: skip
def test_an_unreadable_state(text: str) -> None:
    """Its text, which a store handed out unread, names itself when a field is read."""
    with pytest.raises(SerializationError, match=r"the stored kernel state cannot be read"):
        KernelState.from_canonical(text).text("x")


def test_copies_hold_no_decoded_fields() -> None:
    state = KernelState("P", {"owner": "a"})
    assert state.text("owner") == "a"
    for again in (copy(state), deepcopy(state), pickle.loads(pickle.dumps(state))):  # noqa: S301
        assert again == state
        assert again.text("owner") == "a"
        assert again.depth == state.depth
    assert pickle.dumps(state) == pickle.dumps(KernelState("P", {"owner": "a"}))
