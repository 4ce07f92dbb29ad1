"""Threads for what a request's labels cost: reading them, scoring them, and writing the answer that ranks them.

They are no longer than the slots for work, so whoever has a slot finds a thread; and a slot is not free before its
thread is, or requests that are given up would go on behind those that are counted.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from service.contract.scoring import Steps

Result = TypeVar("Result")


class ScoringPool:
    """A bounded number of threads; used from one event loop."""

    def __init__(self, *, num_threads: int) -> None:
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="scoring")

    def close(self) -> None:
        """Take no more work, and wait for what runs."""
        self._threads.shutdown(cancel_futures=True)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run work in a thread; once begun it is finished, whoever goes away."""
        return await _outlast(self._threads.submit(work), give_up=lambda: None)

    async def run_steps(self, steps: Steps[Result]) -> Result:
        """Run arithmetic in a thread; cancelling the caller ends it between two steps."""
        given_up = threading.Event()
        return await _outlast(self._threads.submit(partial(_take_steps, steps, given_up)), give_up=given_up.set)


def _take_steps(steps: Steps[Result], given_up: threading.Event) -> Result:
    while True:
        if given_up.is_set():
            steps.close()
            raise asyncio.CancelledError
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


async def _outlast(working: Future[Result], *, give_up: Callable[[], None]) -> Result:
    """Wait for work, also after being cancelled: then for its end, and not for its result."""
    waiting = asyncio.wrap_future(working)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        give_up()
        # What has not begun never will.
        working.cancel()
        while not waiting.done():
            # A deadline and a client that goes away may both cancel.
            with suppress(asyncio.CancelledError):
                await asyncio.wait([waiting])
        raise
