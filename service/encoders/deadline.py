"""The time that a request leaves its engine calls, for engines that can be told; it follows the task, not the call."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("duoact_encoding_ends_at", default=None)


@contextmanager
def limit_calls(seconds: float) -> Iterator[None]:
    """Let the engine calls inside know that nobody waits for them longer than this."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining_seconds() -> float | None:
    """Time left to an engine call, never negative; None where no request limits it."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(ends_at - time.monotonic(), 0.0)
