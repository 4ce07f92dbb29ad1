"""How messages tell of many things without going on for ever."""

from collections.abc import Callable, Sequence
from typing import TypeVar

_NUM_NAMED = 5

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
