"""Whether something that may fail is worth asking: after a failure it rests, then one caller tries it again."""

import time
from collections.abc import Callable


class Circuit:
    """Remembers the last failure of something optional, so that not every request pays for finding out again."""

    def __init__(self, *, rest_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._asked_again_at: float | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the last attempt went well."""
        return self._asked_again_at is None

    def allows(self) -> bool:
        """Whether to try now; after a rest this is true for one caller alone, until that one has failed or not."""
        if self._asked_again_at is None:
            return True
        if self._clock() < self._asked_again_at:
            return False
        self._asked_again_at = self._clock() + self._rest_seconds
        return True

    def fail(self) -> None:
        """Begin a rest."""
        self._asked_again_at = self._clock() + self._rest_seconds

    def succeed(self) -> None:
        """End the rest."""
        self._asked_again_at = None
