"""One thing that must work, asked again and again by a question whose answer is known."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from service.contract.errors import DuoActError, EncoderSilentError, EncoderUnavailableError, QueueFullError

_logger = structlog.get_logger(__name__)
# An answer counts as recent for so many periods.
_RECENT_PERIODS = 3


class Probe:
    """Remembers whether a thing works; used from one event loop.

    Args:
        name: what the thing is called in logs and in what readiness says.
        ask: asks the known question; raises where the answer is another one.
        period_seconds: the time that one answer may take; answers of the last three periods are recent.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[None]],
        *,
        period_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._ask = ask
        self._period_seconds = period_seconds
        self._clock = clock
        self._worked_at: float | None = None
        self._problem: str | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the last answer was wrong."""
        return self._problem is not None

    async def replay(self) -> None:
        """Ask once and remember how it went, whatever that is."""
        asked_at = self._clock()
        try:
            async with asyncio.timeout(self._period_seconds):
                await self._ask()
        except QueueFullError as error:
            # Busy is not broken: what was found before still holds, until it is too old.
            _logger.warning("probe not answered", probe=self.name, error=str(error))
        except (TimeoutError, EncoderSilentError):
            self._note_silence(since=asked_at)
        except DuoActError as error:
            self._note_problem(str(error))
        except Exception as error:
            # A watcher that dies of what it did not foresee would leave the service unready for ever.
            if self._problem is None:
                _logger.exception("probe failed in an unforeseen way", probe=self.name)
            self._note_problem(f"failed in an unforeseen way ({type(error).__name__}); the log says more")
        else:
            self._problem = None
            self._worked_at = self._clock()

    def note_work(self) -> None:
        """Note that it just did what a user asked, which a known question may have had to wait for.

        A wrong answer to the known question still counts.
        """
        if self._worked_at is not None:
            self._worked_at = self._clock()

    def require(self) -> None:
        """Refuse to work with a thing that is known to be wrong.

        Raises:
            EncoderUnavailableError: says what the known question found.
        """
        if self._problem is not None:
            raise EncoderUnavailableError(f"{self.name}: {self._problem}; try again later")

    def missing(self) -> str | None:
        """What is wrong, in a sentence; None where all is well."""
        if self._problem is not None:
            return f"{self.name}: {self._problem}"
        if self._worked_at is None:
            return f"{self.name}: not asked yet"
        age_seconds = self._clock() - self._worked_at
        if age_seconds > _RECENT_PERIODS * self._period_seconds:
            return f"{self.name}: last worked {age_seconds:.0f} s ago"
        return None

    def _note_silence(self, *, since: float) -> None:
        """Tell one that is busy, and so answered others in the meantime, from one that hangs."""
        if self._worked_at is not None and self._worked_at > since:
            _logger.warning("probe not answered", probe=self.name, error="busy with other work")
            return
        self._note_problem(f"no answer within {self._period_seconds:g} s")

    def _note_problem(self, problem: str) -> None:
        # An outage is one line in the log, not one each time the thing is asked again.
        if problem != self._problem:
            _logger.error("probe failed", probe=self.name, error=problem)
        self._problem = problem
