"""Clients that are slow, silent, endless or strange, on real connections to a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import uvicorn

from service.http.limits import ConnectionLimits
from service.http.protocol import PatientProtocol
from service.http.requests import OwnHosts
from service.server import open_socket

LIMITS = ConnectionLimits(
    num_connections=20,
    header_seconds=0.6,
    header_bytes=8192,
    idle_seconds=0.6,
    grace_seconds=0.6,
    min_bytes_per_second=1000,
    drain_bytes=64 * 1024,
    drain_seconds=0.6,
)
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class Application:
    """Reads bodies or refuses them, and remembers what became of them."""

    is_slow: bool = False
    lengths: list[int] = field(default_factory=list)
    num_disconnected: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        if scope["type"] != "http":
            return
        status = 401 if scope["path"] == "/refused" else 200
        if status == 200 and not await self._read(receive):
            return
        body = b"answer"
        headers = [(b"content-length", b"6")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _read(self, receive: Any) -> bool:  # noqa: ANN401
        num_bytes = 0
        while True:
            if self.is_slow:
                await asyncio.sleep(0.3)
            message = await receive()
            if message["type"] == "http.disconnect":
                self.num_disconnected += 1
                return False
            num_bytes += len(message["body"])
            if not message["more_body"]:
                self.lengths.append(num_bytes)
                return True


@dataclass
class Client:
    """A connection, and all that comes back on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *chunks: bytes, pause_seconds: float = 0.0) -> None:
        for chunk in chunks:
            self.writer.write(chunk)
            await self.writer.drain()
            await asyncio.sleep(pause_seconds)

    async def hear(self, *, seconds: float = 5.0) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(seconds):
            return await self.reader.read()

    async def status(self) -> int:
        """The status of the next answer, whose body is read."""
        async with asyncio.timeout(5.0):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await self.reader.readexactly(int(length.partition(b":")[2]))
            return int(head.split(b" ", 2)[1])


@dataclass
class Server:
    """A server, its application, and the way to it."""

    app: Application
    port: int
    uvicorn: uvicorn.Server

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()


Serve = Callable[..., AbstractAsyncContextManager[Server]]


@asynccontextmanager
async def serving(app: Application | None = None, **options: Any) -> AsyncIterator[Server]:  # noqa: ANN401
    app = app or Application()
    protocol = partial(PatientProtocol, limits=LIMITS, **options)
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    listening = open_socket("127.0.0.1", 0)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield Server(app, listening.getsockname()[1], server)
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    parsed: dict[str, Any] = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {parsed['status']} ".encode())
    return parsed


async def test_requests_are_answered_one_after_another_on_one_connection(server: Server) -> None:
    async with server.client() as client:
        for _ in range(3):
            await client.send(GET)
            assert await client.status() == 200
        await client.send(GET + GET)
        assert [await client.status() for _ in range(2)] == [200, 200]
        body = b"x" * 300_000
        await client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n", body)
        assert await client.status() == 200
    assert server.app.lengths == [0, 0, 0, 0, 0, 300_000]


async def test_silent_connection_is_closed_without_a_word(server: Server) -> None:
    async with server.client() as client:
        assert await client.hear() == b""


@pytest.mark.parametrize("pause_seconds", [0.0, 0.05])
async def test_half_a_header_is_a_408_however_it_drips(server: Server, pause_seconds: float) -> None:
    async with server.client() as client:
        dripping = asyncio.create_task(
            client.send(*(bytes([byte]) for byte in GET[:-4] * 9), pause_seconds=pause_seconds)
        )
        found = problem(await client.hear())
        dripping.cancel()
    assert (found["status"], found["type"]) == (408, "urn:duoact:problem:request-timeout")
    assert "the header did not come in time" in found["detail"]


async def test_second_request_has_its_own_time(server: Server) -> None:
    async with server.client() as client:
        await client.send(GET)
        assert await client.status() == 200
        await asyncio.sleep(0.4)
        await client.send(GET[:10])
        await asyncio.sleep(0.4)
        await client.send(GET[10:])
        assert await client.status() == 200
        await client.send(GET[:10])
        assert problem(await client.hear())["status"] == 408


async def test_idle_connection_is_closed_after_its_answer(server: Server) -> None:
    async with server.client() as client:
        await client.send(GET)
        assert await client.status() == 200
        assert await client.hear() == b""


@pytest.mark.parametrize("drips", [False, True])
async def test_slow_body_is_a_408_and_its_application_is_let_go(server: Server, drips: bool) -> None:
    async with server.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n")
        dripping = asyncio.create_task(client.send(*([b"x"] * 200 if drips else []), pause_seconds=0.02))
        found = problem(await client.hear())
        dripping.cancel()
        assert (found["status"], server.app.lengths) == (408, [])
        assert "the body came too slowly" in found["detail"]
    await asyncio.sleep(0.05)
    assert (server.app.num_disconnected, len(server.uvicorn.server_state.tasks)) == (1, 0)


async def test_body_at_the_rate_that_is_asked_for_arrives(server: Server) -> None:
    async with server.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n")
        await client.send(*[b"x" * 150] * 20, pause_seconds=0.1)
        assert await client.status() == 200
    assert server.app.lengths == [3000]


async def test_slow_application_is_not_blamed_on_its_client() -> None:
    async with serving(Application(is_slow=True)) as server, server.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n")
        sending = asyncio.create_task(client.send(*[b"x" * 90_000] * 10))
        assert await client.status() == 200
        await sending
        assert server.app.lengths == [900_000]


async def test_client_that_waits_to_be_asked_is_not_slow() -> None:
    async with serving(Application(is_slow=True)) as server, server.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"body")
        assert await client.status() == 200


async def test_refused_body_is_drained_a_little_and_then_cut_after_the_answer(server: Server) -> None:
    num_sent = 0

    async def pour(client: Client) -> None:
        nonlocal num_sent
        while True:
            await client.send(bytes(16_384))
            num_sent += 16_384

    async with server.client() as client:
        await client.send(b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n")
        pouring = asyncio.create_task(pour(client))
        assert await client.status() == 401
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(5.0):
                await pouring
    # What the kernel holds on both sides comes on top of what is drained.
    assert num_sent < 8_000_000


async def test_refused_body_that_is_short_costs_no_connection(server: Server) -> None:
    async with server.client() as client:
        for _ in range(2):
            await client.send(
                b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n", bytes(20_000)
            )
            assert await client.status() == 401
        await client.send(GET)
        assert await client.status() == 200
        assert await client.hear() == b"", "idle, it is closed"


async def test_refused_body_that_never_ends_is_not_waited_for(server: Server) -> None:
    async with server.client() as client:
        await client.send(b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n")
        assert await client.status() == 401
        assert await client.hear() == b""


@pytest.mark.parametrize(
    ("request_bytes", "status", "detail"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431, "the header has"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 90_000, 431, "the header has more than 8192 bytes"),
        (b"GET /" + b"y" * 90_000, 431, "the header has more than 8192 bytes"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "a Content-Length and a Transfer-Encoding",
        ),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505, "HTTP/9.9 is not spoken here"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "not well-formed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "not well-formed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "not well-formed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "not well-formed"),
    ],
)  # fmt: skip
async def test_strange_request_is_refused_unread(
    server: Server, request_bytes: bytes, status: int, detail: str
) -> None:
    async with server.client() as client:
        await client.send(request_bytes)
        found = problem(await client.hear())
    assert found["status"] == status
    assert detail in found["detail"]
    assert server.app.lengths == []


@pytest.mark.parametrize(
    ("host", "is_taken"),
    [
        (b"localhost", True), (b"localhost:8000", True), (b"LOCALHOST.", True), (b"page.localhost", True),
        (b"127.0.0.1:8000", True), (b"127.1.2.3", True), (b"[::1]:8000", True), (b"evil.example", False),
        (b"evil.example:8000", False), (b"localhost.evil.example", False), (b"192.0.2.1", False),
        (b"[2001:db8::1]", False), (b"localhost@evil", False), (b"", False), (b"127.0.0.1.evil.example", False),
        (b"duoact.example:443", True),
    ],
)  # fmt: skip
async def test_name_of_another_site_is_refused_where_no_key_is_asked_for(host: bytes, is_taken: bool) -> None:
    async with serving(check_host=OwnHosts(frozenset({"duoact.example"}))) as server, server.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
        answer = await client.hear()
    assert answer.startswith(b"HTTP/1.1 200 " if is_taken else b"HTTP/1.1 421 ")


async def test_connections_have_a_bound(server: Server) -> None:
    async with asyncio.TaskGroup() as tasks:
        answers = [tasks.create_task(_hold(server, seconds=0.3)) for _ in range(25)]
    statuses = [each.result()[:12] for each in answers]
    assert statuses.count(b"HTTP/1.1 503") == 5
    async with server.client() as client:
        await client.send(GET)
        assert await client.status() == 200


async def _hold(server: Server, *, seconds: float) -> bytes:
    async with server.client() as client:
        try:
            return await client.hear(seconds=seconds)
        except TimeoutError:
            return b""


async def test_stopping_server_waits_for_nobody_that_is_silent() -> None:
    async with serving() as server:
        clients = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(5)]
        clients[0][1].write(GET[:5])
        clients[1][1].write(b"GET / HTTP/9.9\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.1)
        server.uvicorn.should_exit = True
        started = asyncio.get_running_loop().time()
        while server.uvicorn.server_state.connections:
            await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() - started < 3.0
        for _, writer in clients:
            writer.close()
