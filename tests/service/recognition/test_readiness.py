"""Readiness tells the truth: what is wrong, hangs or is gone, and what is merely busy; nothing ends the watching."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from structlog.testing import capture_logs

from service.contract.errors import EncoderSilentError, EncoderUnavailableError, QueueFullError
from service.recognition.guarded import guard_encoders
from service.recognition.probe import Probe
from service.recognition.readiness import Readiness
from tests.encoders import FakeEngine

VIEWS = np.zeros((1, 4, 8, 8, 3), np.uint8)


class Canary:
    """A known question whose answer a test sets."""

    def __init__(self, *, period_seconds: float = 10.0) -> None:
        self.error: BaseException | None = None
        self.delay_seconds = 0.0
        self.now = 0.0
        self.num_asked = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.probe = Probe("encoder", self.ask, period_seconds=period_seconds, clock=lambda: self.now)
        self.readiness = Readiness([self.probe], period_seconds=period_seconds, clock=lambda: self.now)

    async def ask(self) -> None:
        self.num_asked += 1
        self.meanwhile()
        await asyncio.sleep(self.delay_seconds)
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def watched(canary: Canary) -> AsyncIterator[Readiness]:
    await canary.readiness.start()
    try:
        yield canary.readiness
    finally:
        await canary.readiness.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_service_is_not_ready_before_the_first_replay() -> None:
    canary = Canary()
    assert canary.readiness.missing() == ("encoder: not asked yet",)
    await canary.readiness.replay()
    assert canary.readiness.missing() == ()
    canary.probe.require()


async def test_old_success_is_no_success() -> None:
    canary = Canary()
    await canary.readiness.replay()
    canary.now = 31.0
    assert canary.readiness.missing() == ("encoder: last worked 31 s ago",)


async def test_known_problem_is_what_work_is_refused_with() -> None:
    canary = Canary()
    canary.error = EncoderUnavailableError("away")
    await canary.readiness.replay()
    with pytest.raises(EncoderUnavailableError, match="encoder: away; try again later"):
        canary.probe.require()


async def test_full_queue_is_no_problem_until_the_last_success_is_old() -> None:
    canary = Canary()
    await canary.readiness.replay()
    canary.error = QueueFullError("full", 1.0)
    await canary.readiness.replay()
    assert canary.readiness.missing() == ()
    canary.now = 31.0
    await canary.readiness.replay()
    assert canary.readiness.missing() == ("encoder: last worked 31 s ago",)


@pytest.mark.parametrize("hangs", [True, False])
async def test_silence_is_a_problem_unless_others_were_answered_meanwhile(hangs: bool) -> None:
    canary = Canary(period_seconds=0.02)
    await canary.readiness.replay()
    canary.delay_seconds = 9.0
    if not hangs:

        def answer_others() -> None:
            canary.now += 0.01
            canary.probe.note_work()

        canary.meanwhile = answer_others
    await canary.readiness.replay()
    assert canary.readiness.missing() == (("encoder: no answer within 0.02 s",) if hangs else ())


@pytest.mark.parametrize("is_busy", [True, False])
async def test_engine_that_is_silent_in_time_is_told_apart_too(is_busy: bool) -> None:
    canary = Canary()
    await canary.readiness.replay()
    canary.error = EncoderSilentError("Triton did not answer")

    def answer_others() -> None:
        canary.now += 1.0
        if is_busy:
            canary.probe.note_work()

    canary.meanwhile = answer_others
    await canary.readiness.replay()
    assert canary.readiness.missing() == (() if is_busy else ("encoder: no answer within 10 s",))


async def test_wrong_answer_counts_however_many_others_were_answered() -> None:
    canary = Canary()
    await canary.readiness.replay()
    canary.error = EncoderUnavailableError("wrong")
    canary.meanwhile = canary.probe.note_work
    await canary.readiness.replay()
    assert canary.readiness.missing() == ("encoder: wrong",)


async def test_work_alone_makes_nothing_ready() -> None:
    canary = Canary()
    canary.probe.note_work()
    assert canary.readiness.missing() == ("encoder: not asked yet",)


async def test_doubt_brings_the_next_replay_forward_and_return_is_noticed_soon() -> None:
    canary = Canary(period_seconds=60.0)
    async with watched(canary) as readiness:
        canary.error = EncoderUnavailableError("away")
        readiness.doubt()
        await until(lambda: readiness.missing() == ("encoder: away",))
        canary.error = None
        await until(lambda: not readiness.missing())


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("surprise"), OSError("no descriptors"), MemoryError(), KeyError(1)]
)
async def test_watching_goes_on_whatever_it_meets(error: Exception) -> None:
    canary = Canary(period_seconds=0.01)
    async with watched(canary) as readiness:
        canary.error = error
        with capture_logs() as logs:
            await until(lambda: bool(readiness.missing()))
            num_asked = canary.num_asked
            await until(lambda: canary.num_asked > num_asked + 2)
        problem = f"encoder: failed in an unforeseen way ({type(error).__name__}); the log says more"
        assert readiness.missing() == (problem,)
        assert [each["event"] for each in logs].count("probe failed in an unforeseen way") == 1
        assert readiness.find_death() is None
        canary.error = None
        await until(lambda: not readiness.missing())


async def test_watcher_that_ended_or_hangs_is_the_death_of_the_service() -> None:
    canary = Canary(period_seconds=0.01)
    assert canary.readiness.find_death() is None
    async with watched(canary) as readiness:
        assert readiness.find_death() is None
        canary.now = 0.05
        canary.delay_seconds = 9.0
        assert readiness.find_death() == "the watcher of readiness has hung for 0 s"
    canary = Canary(period_seconds=0.01)
    async with watched(canary) as readiness:
        # What no `except Exception` takes.
        canary.error = asyncio.CancelledError()
        await until(lambda: readiness.find_death() is not None)
        assert readiness.find_death() == "the watcher of readiness has ended"


async def test_encoder_that_is_known_to_be_wrong_is_not_asked() -> None:
    engine, canary = FakeEngine(), Canary()
    encoders = guard_encoders(engine.encoders(), probe=canary.probe)
    assert encoders.chinese is not None
    await canary.readiness.replay()
    canary.now = 25.0
    await encoders.video.encode_video(VIEWS)
    canary.now = 40.0
    assert canary.readiness.missing() == (), "its answer 15 s ago shows that it lives"
    canary.error = EncoderUnavailableError("wrong")
    await canary.readiness.replay()
    for call in (
        encoders.video.encode_video(VIEWS),
        encoders.english.encode_texts(["run"], template="{}"),
        encoders.chinese.encode_texts(["跑"], template="{}"),
    ):
        with pytest.raises(EncoderUnavailableError, match="encoder: wrong; try again later"):
            await call
    assert (engine.video.num_calls, engine.english.batches) == (1, [])
