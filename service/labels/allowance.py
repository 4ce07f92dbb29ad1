"""What one request may spend on something optional, however often it asks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Allowance:
    """Seconds that are used up by what is done under it."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.remaining_seconds = seconds
        self._clock = clock

    @contextmanager
    def spend(self) -> Iterator[None]:
        """Count the time of the block."""
        began = self._clock()
        try:
            yield
        finally:
            self.remaining_seconds = max(self.remaining_seconds - (self._clock() - began), 0.0)
