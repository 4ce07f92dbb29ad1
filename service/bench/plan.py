"""What is measured and how often, and the error for what cannot be measured."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from service.contract.views import ViewPlan

Advance = Callable[[], None]
# Told the name of a part of the measurement and its number of steps; gives what is called after each step.
Announce = Callable[[str, int], Advance]

# Fewer requests for each that runs at the same time would measure the beginning and the end of a round, not its middle.
_MIN_REQUESTS_PER_SLOT = 4


class BenchError(Exception):
    """A measurement cannot be made: an impossible number, an unusable video, a service that does not answer."""


@dataclass(frozen=True)
class BenchPlan:
    """How much is measured.

    Args:
        num_requests: requests of each latency; and of each concurrency, all rounds together, if that is not too few.
        num_warm_up: requests that come first and are not counted.
        concurrencies: how many requests run at the same time.
        batch_sizes: views that the video encoder is given at once.
        num_labels: labels that are embedded, cold and warm.
        num_rounds: what is compared takes turns, so often, so that a slow moment of the machine meets all of it.
        views: clips x crops of a request.

    Raises:
        BenchError: a number is not positive, or is given twice; the message names it.
    """

    num_requests: int = 60
    num_warm_up: int = 5
    concurrencies: tuple[int, ...] = (1, 2, 4, 8)
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8)
    num_labels: int = 400
    num_rounds: int = 3
    views: ViewPlan = field(default_factory=ViewPlan)

    def __post_init__(self) -> None:
        for name in ("num_requests", "num_warm_up", "num_labels", "num_rounds"):
            _check_positive(name.replace("_", "-"), getattr(self, name))
        for name, values in (("concurrency", self.concurrencies), ("batch-sizes", self.batch_sizes)):
            if not values or len(set(values)) != len(values):
                raise BenchError(
                    f"--{name} is {','.join(map(str, values))!r}; give different whole numbers, such as 1,2,4"
                )
            for value in values:
                _check_positive(name, value)

    def num_requests_per_round(self, concurrency: int) -> int:
        """Requests in one round of a concurrency."""
        return max(math.ceil(self.num_requests / self.num_rounds), _MIN_REQUESTS_PER_SLOT * concurrency)


def parse_numbers(text: str, *, option: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas.

    Raises:
        BenchError: something else stands there; the message names the option and the text.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise BenchError(f"--{option} is {text!r}; give whole numbers separated by commas, such as 1,2,4") from error


def _check_positive(option: str, value: int) -> None:
    if value < 1:
        raise BenchError(f"--{option} is {value}; give at least 1")
