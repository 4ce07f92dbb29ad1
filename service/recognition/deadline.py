"""One deadline and one stopwatch a request, carried from upload to encoder."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from service.contract.errors import DeadlineExceededError
from service.encoders.time_limit import TimeLimit

Clock = Callable[[], float]


@dataclass(frozen=True)
class Deadline:
    """A moment on a monotonic clock, and how long after the start it lies."""

    started_at: float
    limit_seconds: float
    clock: Clock = time.monotonic

    def lowered_to(self, limit_seconds: float | None) -> "Deadline":
        """The same start with a shorter limit; a longer one, or None, changes nothing."""
        if limit_seconds is None or not limit_seconds < self.limit_seconds:
            return self
        return replace(self, limit_seconds=limit_seconds)

    @property
    def remaining_seconds(self) -> float:
        """Time left, never negative."""
        return max(self.started_at + self.limit_seconds - self.clock(), 0.0)

    @property
    def time_limit(self) -> TimeLimit:
        """The same moment, for engine calls."""
        return TimeLimit.after(self.remaining_seconds)

    @asynccontextmanager
    async def guard(self, stage: str) -> AsyncIterator[None]:
        """Cancel what runs inside when the time is up.

        Raises:
            DeadlineExceededError: names the stage and the limit.
        """
        try:
            async with asyncio.timeout(self.remaining_seconds):
                yield
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"the deadline of {self.limit_seconds:g} s passed during {stage}; "
                "send a shorter video or fewer labels, or try again when the service is less busy"
            ) from error


class Stopwatch:
    """Seconds spent in each stage of a request; stages follow one another, and what lies between counts to the next.

    So the stages add up to the time from the start to the end of the last one, and nothing stays unexplained.
    """

    def __init__(self, *, started_at: float, clock: Clock = time.monotonic) -> None:
        self._started_at = started_at
        self._counted_until = started_at
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time from the end of the stage before to the end of the block."""
        try:
            yield
        finally:
            now = self._clock()
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._counted_until
            self._counted_until = now

    @property
    def total_seconds(self) -> float:
        """Time since the start."""
        return self._clock() - self._started_at
