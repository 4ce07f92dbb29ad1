"""Admission: how many requests upload, wait and work at once, in whose turn, and when it makes sense to come back."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from service.api.places import Places
from service.contract.errors import QueueFullError
from service.recognition.deadline import Deadline

# Weight of the newest request in the running mean of working times.
_NEWEST = 0.2


class Admission:
    """Counts requests; used from one event loop.

    A request uploads in one kind of place and waits or works in another, so that slow uploads keep nobody from work.
    It works only in one of the slots, which are given to clients by turns. It is refused before its upload where it
    could not work after it.

    Args:
        num_slots: requests that work at the same time.
        queue_length: more that may wait for a slot.
        num_uploads: uploads at the same time.
        num_per_client: requests of one client at the same time, 0 for any number.
    """

    def __init__(
        self,
        *,
        num_slots: int,
        queue_length: int,
        num_uploads: int,
        num_per_client: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._num_slots = num_slots
        self._uploads = Places(num_uploads)
        self._work = Places(num_slots + queue_length)
        self._slots = _Slots(num_slots)
        self._num_per_client = num_per_client
        self._clock = clock
        self._mean_seconds = 1.0

    @property
    def num_uploading(self) -> int:
        """Requests whose body arrives."""
        return self._uploads.num_taken

    @property
    def num_working(self) -> int:
        """Requests that hold a slot."""
        return self._slots.num_taken

    @property
    def num_waiting(self) -> int:
        """Requests that wait for a slot."""
        return self._work.num_taken - self._slots.num_taken

    @contextmanager
    def upload(self, client: str) -> Iterator[None]:
        """Let a client upload for as long as the block runs.

        Raises:
            QueueFullError: there is no place for the upload, or for the work that would follow.
        """
        own = self._uploads.count(client) + self._work.count(client)
        if self._num_per_client and own >= self._num_per_client:
            self._refuse(f"{own} are yours, which is the most that one client may have", what="requests")
        self._refuse(self._uploads.find_refusal(client), what="uploads")
        self._refuse(self._work.find_refusal(client), what="requests that work or wait")
        with self._uploads.take(client):
            yield

    @contextmanager
    def queue(self, client: str) -> Iterator[None]:
        """Let a request whose body is here wait and work for as long as the block runs.

        Raises:
            QueueFullError: every slot and every place in the queue is taken.
        """
        self._refuse(self._work.find_refusal(client), what="requests that work or wait")
        with self._work.take(client):
            yield

    async def take_slot(self, client: str, *, deadline: Deadline) -> AbstractContextManager[None]:
        """Wait for a slot; it is given back at the end of the block that the caller opens with it.

        Raises:
            DeadlineExceededError: no slot came free in time.
        """
        async with deadline.guard("the wait in the queue"):
            await self._slots.acquire(client)
        return self._working(client)

    @contextmanager
    def _working(self, client: str) -> Iterator[None]:
        began = self._clock()
        try:
            yield
        finally:
            self._slots.release(client)
            self._mean_seconds += _NEWEST * (self._clock() - began - self._mean_seconds)

    def _refuse(self, reason: str | None, *, what: str) -> None:
        if reason is not None:
            raise QueueFullError(
                f"{what}: {reason}; try again later",
                # Those that wait are worked off by all slots together.
                retry_after_seconds=self._mean_seconds * max(self.num_waiting, 1) / self._num_slots,
            )


class _Slots:
    """Slots that go to the client with the fewest of them, and among equals to the one that waits longest."""

    def __init__(self, num_slots: int) -> None:
        self._num_free = num_slots
        self._held: Counter[str] = Counter()
        # Clients in the order in which their turn comes.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def num_taken(self) -> int:
        return self._held.total()

    async def acquire(self, client: str) -> None:
        if self._num_free and not self._waiting:
            self._num_free -= 1
            self._held[client] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(client)  # it had just been given
            else:
                self._forget(client, turn)
            raise

    def release(self, client: str) -> None:
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]
        self._num_free += 1
        self._give()

    def _give(self) -> None:
        while self._waiting:
            client = min(self._waiting, key=lambda each: self._held[each])
            turns = self._waiting.pop(client)
            turn = turns.popleft()
            if turns:
                self._waiting[client] = turns  # behind the others
            # One that was cancelled a moment ago has not been able to leave yet.
            if not turn.done():
                self._num_free -= 1
                self._held[client] += 1
                turn.set_result(None)
                return

    def _forget(self, client: str, turn: "asyncio.Future[None]") -> None:
        turns = self._waiting.get(client, deque())
        if turn in turns:
            turns.remove(turn)
        if not turns:
            self._waiting.pop(client, None)
