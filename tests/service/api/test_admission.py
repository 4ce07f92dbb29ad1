"""Who gets in, who waits, and who is told to come back when."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi import Request

from service.api.admission import Admission
from service.api.clients import name_client
from service.contract.errors import DeadlineExceededError, QueueFullError
from service.recognition.deadline import Deadline
from tests.conftest import RunService
from tests.encoders import FakeEngine, FakeReader


def deadline(seconds: float = 5.0) -> Deadline:
    return Deadline(0.0, seconds, clock=lambda: 0.0)


def admit(num_slots: int, queue_length: int, num_uploads: int = 9, **options: Any) -> Admission:  # noqa: ANN401
    return Admission(num_slots=num_slots, queue_length=queue_length, num_uploads=num_uploads, **options)


def test_requests_beyond_slots_and_queue_are_refused_until_one_leaves() -> None:
    admission = admit(2, 1)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(admission.queue("a"))
        with pytest.raises(QueueFullError, match="work or wait: all 3 places are taken; try again later"):
            stack.enter_context(admission.queue("a"))
        # Its body would come for nothing.
        with pytest.raises(QueueFullError, match="work or wait: all 3 places are taken"):
            stack.enter_context(admission.upload("a"))
    with admission.queue("a"), admission.upload("a"):
        assert (admission.num_waiting, admission.num_uploading) == (1, 1)


def test_uploads_keep_nobody_from_work_and_have_their_own_bound() -> None:
    admission = admit(1, 0, num_uploads=8)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(admission.upload("slow"))
        with pytest.raises(QueueFullError, match="uploads: all 8 places are taken"):
            stack.enter_context(admission.upload("other"))
        stack.enter_context(admission.queue("quick"))


def test_last_places_are_not_for_those_who_hold_most() -> None:
    admission = admit(4, 4)
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(admission.queue("many"))
        stack.enter_context(admission.queue("few"))
        with pytest.raises(QueueFullError, match="6 of 8 places are taken by your requests alone, and others wait too"):
            stack.enter_context(admission.queue("many"))
        stack.enter_context(admission.queue("few"))


def test_client_that_is_alone_has_all_places() -> None:
    admission = admit(4, 4)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(admission.queue("proxy"))


async def test_retry_after_grows_with_the_work_that_waits() -> None:
    ticks = iter([0.0, 11.0])
    admission = admit(1, 2, clock=lambda: next(ticks))
    with admission.queue("a"), await admission.take_slot("a", deadline=deadline()):
        pass
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(admission.queue("a"))
        with pytest.raises(QueueFullError) as refusal:
            stack.enter_context(admission.queue("a"))
    # The running mean moved from 1 s by a fifth of the way to 11 s; three requests wait for one slot.
    assert refusal.value.retry_after_seconds == pytest.approx(9.0)


async def test_only_so_many_work_at_once() -> None:
    admission = admit(2, 9)
    most = 0

    async def work() -> None:
        nonlocal most
        with await admission.take_slot("a", deadline=deadline()):
            most = max(most, admission.num_working)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(work() for _ in range(6)))
    assert (most, admission.num_working) == (2, 0)


async def test_slots_go_to_clients_by_turns() -> None:
    admission = admit(1, 9)
    order: list[str] = []

    async def work(client: str) -> None:
        with await admission.take_slot(client, deadline=deadline()):
            order.append(client)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(work(client) for client in ("a", "a", "a", "a", "b", "c", "b")))
    assert "".join(order) == "aabcaba"


@pytest.mark.parametrize("is_given", [False, True])
async def test_client_that_goes_while_it_waits_takes_no_slot_with_it(is_given: bool) -> None:
    admission = admit(1, 9)
    holding = await admission.take_slot("a", deadline=deadline())
    with holding:
        leaving = asyncio.create_task(admission.take_slot("b", deadline=deadline()))
        await asyncio.sleep(0)
        if not is_given:
            leaving.cancel()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert admission.num_working == 0
    with await admission.take_slot("c", deadline=deadline()):
        assert admission.num_working == 1


async def test_wait_for_a_slot_ends_at_the_deadline() -> None:
    admission = admit(1, 1)
    with (
        await admission.take_slot("a", deadline=deadline()),
        pytest.raises(DeadlineExceededError, match="wait in the queue"),
    ):
        await admission.take_slot("a", deadline=deadline(0.01))


async def test_slow_upload_is_a_408_of_the_client(run_service: RunService) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"--edge\r\n"
        await asyncio.sleep(9)

    async with run_service(deadline_seconds=0.1) as service:
        headers = {"content-type": "multipart/form-data; boundary=edge"}
        response = await service.client.post("/recognize", content=drip(), headers=headers)
    assert (response.status_code, response.json()["type"]) == (408, "urn:duoact:problem:upload-too-slow")
    assert "the upload did not end within 0.1 s" in response.json()["detail"]


@pytest.mark.parametrize(
    ("first", "second", "are_one"),
    [
        (("192.0.2.1", None), ("192.0.2.1", None), True),
        (("192.0.2.1", None), ("192.0.2.2", None), False),
        (("2001:db8::1", None), ("2001:db8::ffff:2", None), True),
        (("2001:db8::1", None), ("2001:db8:0:1::1", None), False),
        (("::ffff:192.0.2.1", None), ("::ffff:192.0.2.2", None), False),
        (("192.0.2.1", "Bearer one"), ("192.0.2.2", "Bearer one"), True),
        (("192.0.2.1", "Bearer one"), ("192.0.2.1", "Bearer two"), False),
    ],
)
def test_client_is_its_key_or_its_address(
    first: tuple[str, str | None], second: tuple[str, str | None], are_one: bool
) -> None:
    names = []
    for host, key in (first, second):
        headers = [] if key is None else [(b"authorization", key.encode())]
        names.append(name_client(Request({"type": "http", "client": (host, 1), "headers": headers})))
        assert key is None or "one" not in names[-1]
    assert (names[0] == names[1]) is are_one


async def test_full_service_answers_429_at_once_and_serves_those_it_took(run_service: RunService) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.3))
    async with run_service(engine, max_concurrent_requests=1, max_queue_length=1) as service:
        files, data = {"video": ("a", b"pixels")}, {"labels": json.dumps(["moving left"])}
        posts = [service.client.post("/recognize", files=files, data=data) for _ in range(4)]
        responses = await asyncio.gather(*posts)
    assert sorted(response.status_code for response in responses) == [200, 200, 429, 429]
    refused = [response for response in responses if response.status_code == 429]
    assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
