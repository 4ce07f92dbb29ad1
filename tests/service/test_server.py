"""Where the server listens, and how its answers leave."""

import asyncio
import socket

import pytest

from service.server import open_socket, render_url


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_free_port_is_found_and_shown(host: str, url: str) -> None:
    with open_socket(host, 0) as listening:
        assert render_url(listening) == f"{url}{listening.getsockname()[1]}"


async def test_answers_wait_for_no_company() -> None:
    sends_at_once: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        sends_at_once.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(answer, sock=open_socket("127.0.0.1", 0)) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await sends_at_once == 1
        writer.close()
