"""Readiness: a known input recently gave the known answer through the real path, and nothing is shutting down."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from service.contract.errors import DuoActError, EncoderUnavailableError, QueueFullError

_logger = structlog.get_logger(__name__)
# An answer counts as recent for so many periods.
_RECENT_PERIODS = 3
# While the encoder is away it is asked this often, so that its return is noticed at once.
_RETRY_SECONDS = 0.5


class Readiness:
    """Watches the canary and the decode pool.

    Args:
        check: raises where the encoders do not give the known answer.
        pool_alive: whether the decode pool takes videos.
        restart_pool: replaces a decode pool that broke down, which no request would do while the service is unready.
        period_seconds: time between two replays of the canary, and the time that one may take.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        *,
        pool_alive: Callable[[], bool],
        restart_pool: Callable[[], None],
        period_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._pool_alive = pool_alive
        self._restart_pool = restart_pool
        self._period_seconds = period_seconds
        self._clock = clock
        self._succeeded_at: float | None = None
        self._problem: str | None = None
        self._doubted = asyncio.Event()
        self.draining = False

    async def replay(self) -> None:
        """Replay the canary once and remember how it went."""
        try:
            async with asyncio.timeout(self._period_seconds):
                await self._check()
        except QueueFullError as error:
            # Busy is not broken: what the last replays found still holds, until it is too old.
            _logger.warning("canary not replayed", error=str(error))
        except (DuoActError, TimeoutError) as error:
            problem = str(error) or f"no answer within {self._period_seconds:g} s"
            # An outage is one line in the log, not one each time the encoder is asked again.
            if problem != self._problem:
                _logger.error("canary failed", error=problem)
            self._problem = problem
        else:
            self._problem = None
            self._succeeded_at = self._clock()

    def doubt(self) -> None:
        """Note that a request found the encoder away, so that the canary is replayed without delay."""
        if self._problem is None:
            self._doubted.set()

    async def watch(self) -> None:
        """Replay the canary, and replace a broken decode pool, for ever."""
        while True:
            await self._pause()
            if not self._pool_alive():
                _logger.error("decode pool broke down, starting a new one")
                await asyncio.to_thread(self._restart_pool)
            await self.replay()

    async def _pause(self) -> None:
        """Wait for the next replay's time; a doubt shortens it."""
        seconds = self._period_seconds if self._problem is None else min(_RETRY_SECONDS, self._period_seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._doubted.wait()
        self._doubted.clear()

    def missing(self) -> tuple[str, ...]:
        """What keeps the service from being ready, in sentences; nothing where it is ready."""
        return (*self._encoder_problems(), *self._other_problems())

    def require_encoder(self) -> None:
        """Refuse to answer with an encoder that is known to be wrong.

        Raises:
            EncoderUnavailableError: says what the canary found.
        """
        if problems := self._encoder_problems():
            raise EncoderUnavailableError("; ".join(problems) + "; try again later")

    def _encoder_problems(self) -> tuple[str, ...]:
        if self._problem is not None:
            return (f"encoder: {self._problem}",)
        if self._succeeded_at is None:
            return ("encoder: the canary has not been replayed yet",)
        age_seconds = self._clock() - self._succeeded_at
        if age_seconds > _RECENT_PERIODS * self._period_seconds:
            return (f"encoder: the canary last succeeded {age_seconds:.0f} s ago",)
        return ()

    def _other_problems(self) -> tuple[str, ...]:
        pool = () if self._pool_alive() else ("decoding: no worker takes videos",)
        return (*pool, *(("shutting down",) if self.draining else ()))
