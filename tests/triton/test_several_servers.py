"""Several servers behind one name: calls go to all of them, and to those that are left."""

import asyncio
import time
from pathlib import Path

from service.contract.manifest import Bundle
from service.encoders.triton.engine import TritonOptions, load_triton_encoders
from tests.tiny_graphs import golden_vectors
from tests.triton.conftest import StartServer
from tests.triton.encoders import asking
from tests.triton.repositories import write_repository

FRAMES = golden_vectors()["frames"][:1]


async def test_calls_are_shared_and_outlive_a_server(start_server: StartServer, tiny: Bundle, tmp_path: Path) -> None:
    repository = write_repository(tiny, tmp_path / "tiny")
    servers = [start_server(repository) for _ in range(2)]
    # What a name with two addresses resolves to.
    address = "ipv4:" + ",".join(server.address for server in servers)
    encoders = load_triton_encoders(tiny, options=TritonOptions(address))
    # The channel is usable once one server is reached; the other is soon after.
    await encoders.check()
    await asyncio.sleep(0.5)
    before = [server.read_metric("nv_inference_count_total", model="video_encoder") for server in servers]
    for _ in range(20):
        await encoders.video.encode_video(FRAMES)
    after = [server.read_metric("nv_inference_count_total", model="video_encoder") for server in servers]
    assert [new - old for new, old in zip(after, before, strict=True)] == [10, 10]
    servers[0].kill()
    await asyncio.sleep(0.5)
    for _ in range(20):
        await encoders.video.encode_video(FRAMES)
    encoders.close()


async def test_server_that_asks_for_new_connections_fails_no_call(
    start_server: StartServer, tiny: Bundle, tmp_path: Path
) -> None:
    ages = ("--grpc-max-connection-age=300", "--grpc-max-connection-age-grace=5000")
    server = start_server(write_repository(tiny, tmp_path / "tiny"), *ages)
    with asking(server, tiny) as encoders:
        await encoders.check()
        ends_at = time.monotonic() + 3.0
        while time.monotonic() < ends_at:
            await asyncio.gather(*(encoders.video.encode_video(FRAMES) for _ in range(4)))
