"""JSON of strangers: read as JSON is, counted before it is built."""

import json
import tracemalloc

import pytest

from service.api.json_text import JsonLimits, read_json
from service.contract.errors import MalformedRequestError

LIMITS = JsonLimits(num_values=10, depth=3)


def read(text: str, limits: JsonLimits = LIMITS) -> object:
    return read_json(text, name="labels", limits=limits)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        ["a", {"en": "b", "zh": "跳"}, None],
        ['[{,"\\', '"]', "\\", "\\\\", "\n\u2028"],
        [["a", ["b"]]],
        "text",
    ],
)
def test_value_within_the_limits_is_read(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=2)):
        assert read(text) == value


@pytest.mark.parametrize("text", ["[1, 2", '["a', '["a\\', "[1] 2", '["\n"]', "[NaN]", "[,]", "", '["\\x"]'])
def test_what_is_no_json_is_refused_with_its_beginning(text: str) -> None:
    with pytest.raises(MalformedRequestError, match=r"^labels '.* is not valid JSON: "):
        read(text)


def test_values_are_counted_wherever_they_lie() -> None:
    nine = json.dumps(list(range(9)))
    assert read(nine) == list(range(9))
    for text in (json.dumps(list(range(11))), "[" + '{"a":{}},' * 5, json.dumps(["a,b"] * 11)):
        with pytest.raises(MalformedRequestError, match="holds more than 10 values; send fewer"):
            read(text)


def test_depth_is_limited() -> None:
    assert read("[[[]]]") == [[[]]]
    with pytest.raises(MalformedRequestError, match="holds values more than 3 deep; send a flat list"):
        read("[[[[]]]]")


@pytest.mark.parametrize("text", ["[" + "{}," * 1_000_000, "[" * 3_000_000, '{"a":[' * 500_000])
def test_refusal_costs_no_memory(text: str) -> None:
    tracemalloc.start()
    with pytest.raises(MalformedRequestError):
        read(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("text", ["\\" * 2_000_000, "x" * 3_000_000, "\\u4e2d" * 500_000])
def test_long_string_costs_no_stack(text: str) -> None:
    assert read(json.dumps([text])) == [text]
