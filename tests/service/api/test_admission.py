"""Who gets in, who waits, and who is told to come back when."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from service.api.admission import Admission
from service.contract.errors import DeadlineExceededError, QueueFullError
from service.recognition.deadline import Deadline
from tests.conftest import RunService
from tests.encoders import FakeEngine, FakeReader


def deadline(seconds: float = 5.0) -> Deadline:
    return Deadline(0.0, seconds, clock=lambda: 0.0)


async def test_requests_beyond_slots_and_queue_are_refused_until_one_leaves() -> None:
    admission = Admission(num_slots=2, queue_length=1)
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(admission.admit())
        with pytest.raises(QueueFullError, match="3 requests are working or waiting; at most 3 are allowed"):
            await stack.enter_async_context(admission.admit())
    async with admission.admit():
        assert admission.num_waiting == 1


async def test_retry_after_grows_with_the_work_that_waits() -> None:
    ticks = iter([0.0, 11.0])
    admission = Admission(num_slots=1, queue_length=2, clock=lambda: next(ticks))
    with await admission.take_slot(deadline=deadline()):
        pass
    async with admission.admit(), admission.admit(), admission.admit():
        with pytest.raises(QueueFullError) as refusal:
            await admission.admit().__aenter__()
    # The running mean moved from 1 s by a fifth of the way to 11 s; three requests wait for one slot.
    assert refusal.value.retry_after_seconds == pytest.approx(9.0)


async def test_only_so_many_work_at_once() -> None:
    admission = Admission(num_slots=2, queue_length=0)
    most = 0

    async def work() -> None:
        nonlocal most
        with await admission.take_slot(deadline=deadline()):
            most = max(most, admission.num_working)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(work() for _ in range(6)))
    assert (most, admission.num_working) == (2, 0)


async def test_wait_for_a_slot_ends_at_the_deadline() -> None:
    admission = Admission(num_slots=1, queue_length=1)
    with (
        await admission.take_slot(deadline=deadline()),
        pytest.raises(DeadlineExceededError, match="wait in the queue"),
    ):
        await admission.take_slot(deadline=deadline(0.01))


async def test_full_service_answers_429_at_once_and_serves_those_it_took(run_service: RunService) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.3))
    async with run_service(engine, max_concurrent_requests=1, max_queue_length=1) as service:
        files, data = {"video": ("a", b"pixels")}, {"labels": json.dumps(["moving left"])}
        posts = [service.client.post("/recognize", files=files, data=data) for _ in range(4)]
        responses = await asyncio.gather(*posts)
    assert sorted(response.status_code for response in responses) == [200, 200, 429, 429]
    refused = [response for response in responses if response.status_code == 429]
    assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
