"""The time that an engine call may take, handed down to every call that it makes."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class TimeLimit:
    """A moment on the monotonic clock after which nobody waits for an answer any more; a later one is larger."""

    ends_at: float

    @classmethod
    def after(cls, seconds: float) -> "TimeLimit":
        """The limit that lies so many seconds ahead."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining_seconds(self) -> float:
        """Time left, never negative."""
        return max(self.ends_at - time.monotonic(), 0.0)


def latest(first: TimeLimit | None, second: TimeLimit | None) -> TimeLimit | None:
    """The limit of work that two wait for, of whom either may wait without one."""
    return None if first is None or second is None else max(first, second)
