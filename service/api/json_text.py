"""JSON that strangers send: counted before it is built, since a megabyte of text can be a hundred of objects."""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from service.contract.errors import MalformedRequestError
from service.contract.wording import shorten

# Strings are passed over; an unfinished one ends at the end of the text, and the parser says so.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]|,', re.DOTALL)


@dataclass(frozen=True)
class JsonLimits:
    """How many values a text may hold, and how deep they may lie in one another."""

    num_values: int
    depth: int


def read_json(text: str, *, name: str, limits: JsonLimits) -> Any:  # noqa: ANN401 - as the parser
    """Read the JSON of a field.

    Raises:
        MalformedRequestError: it is not JSON, or beyond the limits; the message names the field.
    """
    _count(text, name=name, limits=limits)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError(f"{name} {shorten(text)} is not valid JSON: {error}") from error


def _count(text: str, *, name: str, limits: JsonLimits) -> None:
    num_values, depth = 1, 0
    # A loop of Python's own, in which other threads have their turn; the parser gives them none.
    for token in _TOKEN.finditer(text):
        mark = text[token.start()]
        if mark in "[{":
            depth += 1
            num_values += 1
        elif mark in "]}":
            depth -= 1
        elif mark == ",":
            num_values += 1
        if num_values > limits.num_values:
            raise MalformedRequestError(
                f"{name} {shorten(text)} holds more than {limits.num_values} values; send fewer"
            )
        if depth > limits.depth:
            raise MalformedRequestError(
                f"{name} {shorten(text)} holds values more than {limits.depth} deep; send a flat list"
            )


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")
