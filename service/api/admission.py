"""Admission: how many requests work at once, how many may wait, and when it makes sense to come back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

from service.contract.errors import QueueFullError
from service.recognition.deadline import Deadline

# Weight of the newest request in the running mean of working times.
_NEWEST = 0.2


class Admission:
    """Counts requests; used from one event loop.

    A request is admitted before its body is read, works only in one of the slots, and is refused when all slots and all
    places in the queue are taken.
    """

    def __init__(self, *, num_slots: int, queue_length: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._num_slots = num_slots
        self._queue_length = queue_length
        self._slots = asyncio.Semaphore(num_slots)
        self._clock = clock
        self._mean_seconds = 1.0
        self.num_admitted = 0
        self.num_working = 0

    @property
    def num_waiting(self) -> int:
        """Requests that are admitted but do not work: still uploading, or in the queue."""
        return self.num_admitted - self.num_working

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Admit a request for as long as the block runs.

        Raises:
            QueueFullError: every slot and every place in the queue is taken.
        """
        capacity = self._num_slots + self._queue_length
        if self.num_admitted >= capacity:
            raise QueueFullError(
                f"{self.num_admitted} requests are working or waiting; at most {capacity} are allowed: try again later",
                retry_after_seconds=self._mean_seconds * max(self.num_waiting, 1) / self._num_slots,
            )
        self.num_admitted += 1
        try:
            yield
        finally:
            self.num_admitted -= 1

    async def take_slot(self, *, deadline: Deadline) -> AbstractContextManager[None]:
        """Wait for a slot; it is given back at the end of the block that the caller opens with it.

        Raises:
            DeadlineExceededError: no slot came free in time.
        """
        async with deadline.guard("the wait in the queue"):
            await self._slots.acquire()
        return self._work()

    @contextmanager
    def _work(self) -> Iterator[None]:
        began = self._clock()
        self.num_working += 1
        try:
            yield
        finally:
            self.num_working -= 1
            self._slots.release()
            self._mean_seconds += _NEWEST * (self._clock() - began - self._mean_seconds)
