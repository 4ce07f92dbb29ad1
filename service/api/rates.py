"""How often a client may ask: a bucket of tokens each, which time fills and requests empty."""

import time
from collections import OrderedDict
from collections.abc import Callable

from service.contract.errors import QueueFullError

# A client may ask at once for what it would in so many seconds.
_BURST_SECONDS = 10.0
_SECONDS = 60.0
# Beyond so many clients those that asked longest ago are forgotten, and begin with a full bucket.
_NUM_CLIENTS = 10_000


class Rates:
    """Counts requests by client; used from one event loop.

    Args:
        per_minute: requests that a client may make in a minute, 0 for any number.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_minute / _SECONDS
        self._capacity = max(self._per_second * _BURST_SECONDS, 1.0)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count a request.

        Raises:
            QueueFullError: the client asks more often than it may.
        """
        if not self._per_second:
            return
        now = self._clock()
        tokens, at = self._buckets.pop(client, (self._capacity, now))
        tokens = min(tokens + (now - at) * self._per_second, self._capacity)
        is_allowed = tokens >= 1.0
        self._buckets[client] = (tokens - is_allowed, now)
        if len(self._buckets) > _NUM_CLIENTS:
            self._buckets.popitem(last=False)
        if not is_allowed:
            raise QueueFullError(
                f"more than {self._per_second * _SECONDS:g} requests a minute were made; make fewer",
                retry_after_seconds=(1.0 - tokens) / self._per_second,
            )
