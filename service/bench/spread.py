"""How the times of one kind are distributed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Times in milliseconds; a percentile that falls between two of them is interpolated."""

    num: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """Summarise times in seconds, at least one."""
        p50, p90, p99, largest = (round(1000 * float(q), 3) for q in np.quantile(seconds, (0.5, 0.9, 0.99, 1.0)))
        return cls(len(seconds), round(1000 * float(np.mean(seconds)), 3), p50, p90, p99, largest)
