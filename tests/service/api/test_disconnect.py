"""A client that goes away."""

import asyncio
from typing import Any

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message

from service.api.disconnect import until_disconnect
from tests.conftest import RunService
from tests.encoders import FakeEngine, FakeReader

BODY = (
    b'--edge\r\nContent-Disposition: form-data; name="labels"\r\n\r\nrun\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\npixels\r\n--edge--\r\n'
)
SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/recognize",
    "raw_path": b"/recognize",
    "query_string": b"",
    "scheme": "http",
    "server": ("service", 80),
    "headers": [(b"content-type", b"multipart/form-data; boundary=edge")],
}


async def call(app: ASGIApp, *messages: Message) -> list[Message]:
    """Call an application with messages, 50 ms between two of them; give what it sends."""
    waiting, sent = list(messages), []

    async def receive() -> Message:
        if len(waiting) < len(messages):
            await asyncio.sleep(0.05)
        return waiting.pop(0) if waiting else await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**SCOPE, "app": app}, receive, send)
    return sent


@pytest.mark.parametrize("body", [BODY[:40], BODY])
async def test_client_that_goes_away_takes_its_work_with_it(run_service: RunService, body: bytes) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=9))
    async with run_service(engine) as service:
        request = {"type": "http.request", "body": body, "more_body": body != BODY}
        assert await call(service.app, request, {"type": "http.disconnect"}) == []
        admission = service.app.state.gateway.admission
        assert (admission.num_uploading, admission.num_waiting, admission.num_working) == (0, 0, 0)
        metrics = (await service.client.get("/metrics")).text
    assert engine.reader.num_cancelled == len(engine.reader.names) == (body == BODY)
    assert 'duoact_request_duration_seconds_count{route="/recognize",status="499"} 1.0' in metrics


async def test_watcher_passes_over_what_is_left_of_the_body() -> None:
    waiting: list[Message] = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return waiting.pop(0)

    with pytest.raises(ClientDisconnect):
        await until_disconnect(asyncio.sleep(9), request=Request(SCOPE, receive))


async def test_work_that_fails_fails_for_the_caller() -> None:
    async def fail() -> None:
        raise KeyError("x")

    async def receive() -> Message:
        return await asyncio.Future()

    with pytest.raises(KeyError):
        await until_disconnect(fail(), request=Request(SCOPE, receive))


async def test_caller_that_is_cancelled_cancels_the_work() -> None:
    async def receive() -> Message:
        return await asyncio.Future()

    work = asyncio.ensure_future(asyncio.sleep(9))

    async def wait() -> None:
        await work

    caller = asyncio.ensure_future(until_disconnect(wait(), request=Request(SCOPE, receive)))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert work.cancelled()
