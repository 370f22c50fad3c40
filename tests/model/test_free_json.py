"""Free JSON: its values, its text, and what is rejected."""

from __future__ import annotations

import json
from collections import OrderedDict, UserDict
from contextlib import suppress
from decimal import Decimal
from enum import IntEnum
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from mobstore import Profile, SerializationError
from mobstore.model.extent import nested_deeper
from mobstore.model.json import copy_json, decode_json, encode_json, parse
from support import golden

keys = st.text(st.characters(codec="utf-8"), max_size=4)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8"), max_size=6),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)


def profile(params: Any) -> Profile:
    return Profile(model="m", provider_params=params)


def sorted_everywhere(value: Any) -> bool:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        in_order = list(items) == sorted(items, key=str.encode)
        return in_order and all(map(sorted_everywhere, items.values()))
    return not isinstance(value, list) or all(map(sorted_everywhere, cast("list[Any]", value)))


@pytest.mark.slow
@given(values)
def test_round_trip_with_types(value: Any) -> None:
    text = encode_json(value)
    assert golden.same(decode_json(text), value)
    assert golden.same(parse(text), value)
    assert encode_json(decode_json(text)) == text
    assert sorted_everywhere(json.loads(text))


@given(values)
def test_the_text_is_that_of_a_plain_writer(value: Any) -> None:
    text = encode_json(value)
    plain = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert golden.same(golden.ordered(text), golden.ordered(plain))
    if not golden.has_exponent(plain):
        assert text == plain


@given(values)
def test_in_a_record(value: Any) -> None:
    record = profile(value)
    assert golden.same(record.provider_params, value)
    again = Profile.from_json(record.to_json())
    assert again == record
    assert golden.same(json.loads(record.to_json())["provider_params"], value)


@given(values, values)
def test_equality_sees_types(one: Any, other: Any) -> None:
    # The golden comparison distinguishes -0.0 and 0.0; the reference compares numbers.
    if golden.same(one, other):
        assert profile(one) == profile(other)
    elif one != other:
        assert profile(one) != profile(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), (0, False), (0.0, False), ([1], [1.0]), ([], {}), (None, False)],
)
def test_what_python_confuses_differs(one: Any, other: Any) -> None:
    assert profile(one) != profile(other)
    assert profile({"a": [one]}) != profile({"a": [other]})
    assert profile(one).to_json() != profile(other).to_json()


def test_key_order_is_forgotten() -> None:
    one, other = {"b": 1, "a": {"d": 1, "c": 2}}, {"a": {"c": 2, "d": 1}, "b": 1}
    assert profile(one) == profile(other)
    assert profile(one).to_json() == profile(other).to_json()
    assert encode_json(one) == '{"a":{"c":2,"d":1},"b":1}'


def test_keys_sort_by_code_point() -> None:
    text = encode_json({"\U0001f40c": 1, "\uffff": 2, "é": 3, "z": 4, "Z": 5, "": 6, "\0": 7})
    assert list(json.loads(text)) == ["", "\0", "Z", "z", "é", "\uffff", "\U0001f40c"]


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 1.8446744073709552e19),
        ("-9223372036854775809", -9.223372036854775808e18),
        ("-0", -0.0),
        ("0", 0),
        ("1.0", 1.0),
        ("1e2", 100.0),
        ("00", None),
        ("9" * 300, float("9" * 300)),
        ("9" * 5000, None),
        ("1e400", None),
        ("-1e400", None),
        ("NaN", None),
        ("Infinity", None),
        ("-Infinity", None),
        ('"\\ud800"', None),
        ('{"\\udfff":1}', None),
        ('"\\ud83d\\udc0c"', "\U0001f40c"),
        ("[1,]", None),
        ("1 2", None),
        ("", None),
        ("\ufeff1", None),
        (' {"b":1,"a":2,"b":3} ', {"a": 2, "b": 3}),
        ('{"a":{"b":1,"b":[{"c":1,"c":2}]}}', {"a": {"b": [{"c": 2}]}}),
        ('"\t"', None),
        ("'x'", None),
    ],
)
def test_reading(document: str, value: Any) -> None:
    text = f'{{"model":"m","provider_params":{document}}}'
    if value is None:
        with pytest.raises(SerializationError):
            Profile.from_json(text)
        return
    assert golden.same(Profile.from_json(text).provider_params, value)


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        2**64,
        -(2**63) - 1,
        b"x",
        {1: 2},
        {None: 1},
        {b"k": 1},
        {1, 2},
        object(),
        1j,
        UserDict({"a": 1}),
        Number.ONE,
        [[object()]],
    ],
)
def test_refused_values(value: Any) -> None:
    with pytest.raises(ValidationError):
        profile(value)
    with pytest.raises(SerializationError):
        encode_json(value)


@pytest.mark.parametrize("value", ["\ud800", ["\udfff"], {"\ud800": 1}, {"a": "\udc00\ud800"}])
def test_lone_surrogates_cannot_be_written(value: Any) -> None:
    with pytest.raises(SerializationError):
        encode_json(value)
    with pytest.raises(SerializationError):
        profile(value).to_json()


def test_tuples_and_other_dicts_are_copied_into_lists_and_dicts() -> None:
    taken = copy_json({"t": (1, (2,)), "o": OrderedDict[str, int](b=1, a=2)})
    assert golden.same(taken, {"t": [1, [2]], "o": {"a": 2, "b": 1}})


def test_arguments_are_copied() -> None:
    inner = [1]
    record = profile({"a": inner})
    inner.append(2)
    assert record.provider_params == {"a": [1]}


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + ("1" if opening != "[" else "") + closing * levels


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(opening: str, closing: str) -> None:
    # The profile itself is one level.
    head = '{"model":"m","provider_params":'
    fits = Profile.from_json(head + nested(126, opening, closing) + "}")
    assert not nested_deeper(fits.to_json().encode())
    assert nested_deeper(fits.to_json().encode(), 126)
    assert Profile.from_json(fits.to_json()) == fits
    for levels in (127, 1_000, 100_000):
        with pytest.raises(SerializationError):
            Profile.from_json(head + nested(levels, opening, closing) + "}")


def test_depth_counts_no_brackets_in_text() -> None:
    for text in ("[" * 1000, '"[' * 500, "\\[" * 500, '\\"{' * 300):
        assert parse(json.dumps(text)) == text
        assert parse(json.dumps({text: [text]})) == {text: [text]}


@given(st.text(alphabet='[]{}"\\a:,1 ', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(SerializationError):
            parse(text)
    else:
        assert json.loads(encode_json(parse(text))) == expected


@given(st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    with suppress(SerializationError):
        parse(document)


def test_depth_of_python_values_and_circles() -> None:
    value: Any = 1
    for _ in range(127):
        value = [value]
    assert encode_json(value) == "[" * 127 + "1" + "]" * 127
    with pytest.raises(SerializationError):
        encode_json([value])
    with pytest.raises(SerializationError):
        encode_json(value, 126)
    circle: dict[str, Any] = {}
    circle["a"] = circle
    with pytest.raises(SerializationError):
        encode_json(circle)
    with pytest.raises(ValidationError):
        profile(circle)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal(1), "output: free JSON cannot hold Decimal"),
        ({"rows": [{}, {"cost": Decimal(1)}]}, "output.rows.1.cost: free JSON cannot hold Decimal"),
        (
            [1, float("nan")],
            "output.1: free JSON cannot hold NaN, infinity or a number beyond 1.8e308",
        ),
        ({"b": object(), "a": [0, {1: 2}]}, "output.a.1: object keys of free JSON must be text"),
        ({"a": {"b": 2**64}}, "output.a.b: free JSON holds integers of -2**63 to 2**64-1 only"),
        ({"x" * 50 + "\x1b": b""}, f"output.{'x' * 39}…: free JSON cannot hold bytes"),
        ({"a\x1b": b""}, "output.a\\x1b: free JSON cannot hold bytes"),
        ({"a": ["b", "\ud800"]}, "output.a.1: text must not hold lone surrogates"),
        ({"a": {"\ud800": 1}}, "output.a: text must not hold lone surrogates"),
        ("\ud800", "output: text must not hold lone surrogates"),
    ],
)
def test_what_has_no_json_form_is_placed(value: Any, said: str) -> None:
    with pytest.raises(SerializationError) as caught:
        encode_json(value, what="output")
    assert caught.value.detail == said
    with pytest.raises(SerializationError) as caught:
        encode_json([value])
    assert caught.value.detail == said.replace("output", "0", 1)


def test_in_a_model_its_field_comes_first() -> None:
    with pytest.raises(ValidationError, match=r"provider_params\n.*rows\.1: free JSON cannot hold"):
        profile({"rows": [1, Decimal(1)]})


def test_too_deep_a_value_has_no_place() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(SerializationError) as caught:
        encode_json(deep, what="output")
    assert caught.value.detail == "output: free JSON is nested too deeply"


def test_a_place_is_found_in_reasonable_time() -> None:
    value: Any = {"leaf": object(), "many": list(range(20_000))}
    for _ in range(60):
        value = {"down": value, "many": [0] * 50}
    with pytest.raises(SerializationError, match=r"output\.down\.down.*\.leaf: free JSON"):
        encode_json(value, what="output")
