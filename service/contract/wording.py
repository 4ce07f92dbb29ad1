"""How messages tell of many and of long things without going on for ever."""

import reprlib
from collections.abc import Callable, Sequence
from typing import TypeVar

_NUM_NAMED = 5
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 3, 96, 96, 40

Item = TypeVar("Item")


def list_some(
    items: Sequence[Item],
    *,
    render: Callable[[Item], str] = str,
    num_named: int = _NUM_NAMED,
    separator: str = ", ",
) -> str:
    """Write the first items, and how many more there are; only those that are written are rendered."""
    more = f" and {len(items) - num_named} more" if len(items) > num_named else ""
    return separator.join(map(render, items[:num_named])) + more


def shorten(value: object) -> str:
    """Write a value that somebody else sent as Python would, but only some of it where it is long or deep."""
    return _SHORT.repr(value)
