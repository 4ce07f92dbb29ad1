"""Threads that score: how many there are, and that nobody who leaves keeps one."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from service.contract.scoring import Steps
from service.recognition.scoring_pool import ScoringPool


@pytest.fixture
async def pool() -> AsyncIterator[ScoringPool]:
    pool = ScoringPool(num_threads=1)
    yield pool
    pool.close()


class Counted:
    """Steps that take a while and count themselves."""

    def __init__(self) -> None:
        self.num_done = 0
        self.is_closed = False

    def run(self, num_steps: int = 1000) -> Steps[str]:
        try:
            for _ in range(num_steps):
                time.sleep(0.01)
                self.num_done += 1
                yield
        finally:
            self.is_closed = True
        return "done"


async def test_steps_are_run_to_their_result(pool: ScoringPool) -> None:
    assert await pool.run_steps(Counted().run(3)) == "done"


async def test_error_of_the_work_is_the_callers(pool: ScoringPool) -> None:
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)


async def test_whoever_goes_away_ends_the_steps_and_leaves_no_thread_busy(pool: ScoringPool) -> None:
    steps = Counted()
    working = asyncio.create_task(pool.run_steps(steps.run()))
    await asyncio.sleep(0.05)
    working.cancel()
    await asyncio.wait([working])
    assert working.cancelled()
    assert steps.is_closed
    assert steps.num_done < 100
    assert await pool.run(lambda: "free") == "free"


async def test_work_that_waits_for_a_thread_is_never_begun_when_nobody_waits_for_it(pool: ScoringPool) -> None:
    release, second = threading.Event(), Counted()
    first = asyncio.create_task(pool.run(release.wait))
    waiting = asyncio.create_task(pool.run_steps(second.run()))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=1.0)
    assert waiting.cancelled()
    release.set()
    await first
    assert second.num_done == 0


async def test_caller_outlasts_its_thread_however_often_it_is_cancelled(pool: ScoringPool) -> None:
    release = threading.Event()
    working = asyncio.create_task(pool.run(release.wait))
    await asyncio.sleep(0.02)
    for _ in range(3):
        working.cancel()
        await asyncio.sleep(0.01)
    assert not working.done()
    release.set()
    await asyncio.wait([working])
    assert working.cancelled()


async def test_event_loop_goes_on_meanwhile(pool: ScoringPool) -> None:
    working = asyncio.create_task(pool.run_steps(Counted().run(20)))
    num_turns = 0
    while not working.done():
        await asyncio.sleep(0.005)
        num_turns += 1
    assert num_turns > 10
