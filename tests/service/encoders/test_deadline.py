"""The time that a request leaves is known to the calls that it makes, and to no others."""

import asyncio

from service.encoders.deadline import limit_calls, remaining_seconds


def test_time_is_unlimited_outside() -> None:
    with limit_calls(5.0):
        left = remaining_seconds()
    assert left is not None
    assert 4.0 < left <= 5.0
    assert remaining_seconds() is None


def test_time_is_never_negative() -> None:
    with limit_calls(-1.0):
        assert remaining_seconds() == 0.0


async def test_each_task_has_its_own_limit() -> None:
    async def ask(seconds: float) -> float | None:
        with limit_calls(seconds):
            await asyncio.sleep(0)
            return remaining_seconds()

    first, second = await asyncio.gather(ask(1.0), ask(100.0))
    assert first is not None
    assert second is not None
    assert first < 2.0 < 90.0 < second
