"""File descriptors: as many as the system gives, fewer connections than that, and one line of log where they end."""

import asyncio
import errno
import resource
import time
from typing import Any

import structlog

_logger = structlog.get_logger(__name__)
# A request holds its connection and its upload, and for a moment a room for pixels and its descriptor for a worker.
_DESCRIPTORS_A_CONNECTION = 2
# Libraries, stores, logs, workers.
_RESERVED = 200
_SILENCE_SECONDS = 60.0
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def fit_connections(wanted: int) -> int:
    """Raise this process's limit of descriptors as far as it may go; returns how many connections fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = max((hard - _RESERVED) // _DESCRIPTORS_A_CONNECTION, 1)
    if most < wanted:
        _logger.warning("fewer connections than asked for", wanted=wanted, allowed=most, descriptors=hard)
    return min(wanted, most)


class QuietLoop:
    """An exception handler of an event loop that says once a minute that descriptors are used up, and not each time.

    An event loop that cannot accept a connection tries again at once, as often as its backlog is long.
    """

    def __init__(self) -> None:
        self._said_at = -_SILENCE_SECONDS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle what nobody else did."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _EXHAUSTED:
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if now - self._said_at >= _SILENCE_SECONDS:
            self._said_at = now
            _logger.error("no further connection can be accepted", error=str(error))
