"""Readiness: all that answers need gave the known answers recently, and nothing is shutting down."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from service.recognition.probe import Probe

# While something is away it is asked this often, so that its return is noticed at once.
_RETRY_SECONDS = 0.5
# A round waits for a period and asks for another; a watcher that takes longer than this hangs.
_PERIODS_A_ROUND = 3


class Readiness:
    """Replays probes for as long as the service runs.

    Args:
        probes: what is watched.
        period_seconds: time between two rounds.
    """

    def __init__(
        self, probes: Sequence[Probe], *, period_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._probes = tuple(probes)
        self._period_seconds = period_seconds
        self._clock = clock
        self._doubted = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._round_began_at = clock()
        self.draining = False

    async def start(self) -> None:
        """Replay all probes once, and go on in the background."""
        await self.replay()
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Watch no longer."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def replay(self) -> None:
        """Replay all probes, side by side."""
        self._round_began_at = self._clock()
        await asyncio.gather(*(probe.replay() for probe in self._probes))

    def doubt(self) -> None:
        """Note that a request found something away, so that the probes are replayed without delay."""
        if not self._has_failed:
            self._doubted.set()

    def missing(self) -> tuple[str, ...]:
        """What keeps the service from being ready, in sentences; nothing where it is ready."""
        found = (probe.missing() for probe in self._probes)
        return (*(each for each in found if each is not None), *(("shutting down",) if self.draining else ()))

    def find_death(self) -> str | None:
        """Why this process should be replaced: nobody watches any more; None while somebody does."""
        if self._watching is None:
            return None
        if self._watching.done():
            return "the watcher of readiness has ended"
        age_seconds = self._clock() - self._round_began_at
        if age_seconds > _PERIODS_A_ROUND * self._period_seconds:
            return f"the watcher of readiness has hung for {age_seconds:.0f} s"
        return None

    @property
    def _has_failed(self) -> bool:
        return any(probe.has_failed for probe in self._probes)

    async def _watch(self) -> None:
        while True:
            await self._pause()
            await self.replay()

    async def _pause(self) -> None:
        """Wait for the next round's time; a doubt shortens it."""
        seconds = min(_RETRY_SECONDS, self._period_seconds) if self._has_failed else self._period_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._doubted.wait()
        self._doubted.clear()
