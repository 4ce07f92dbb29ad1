"""A bounded number of places that many clients share: whoever holds most of them does not get the last ones."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

# The share of the places that clients with less than their part of all are sure to find.
_KEPT_FREE = 4


class Places:
    """Counts who holds what; used from one event loop.

    Args:
        capacity: how many there are.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: Counter[str] = Counter()

    @property
    def num_taken(self) -> int:
        """Places that are taken."""
        return self._held.total()

    def count(self, client: str) -> int:
        """Places that a client holds."""
        return self._held[client]

    def find_refusal(self, client: str) -> str | None:
        """Say why a client gets no place now; None where it does."""
        num_taken, own = self.num_taken, self._held[client]
        if num_taken >= self._capacity:
            return f"all {self._capacity} places are taken"
        others = self._held.keys() - {client}
        is_scarce = self._capacity - num_taken <= self._capacity // _KEPT_FREE
        if others and is_scarce and own >= self._capacity / (len(others) + 1):
            return f"{own} of {self._capacity} places are taken by your requests alone, and others wait too"
        return None

    @contextmanager
    def take(self, client: str) -> Iterator[None]:
        """Hold a place for as long as the block runs."""
        self._held[client] += 1
        try:
            yield
        finally:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]
