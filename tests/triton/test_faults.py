"""A real server that dies, hangs, drains, is full, or serves something else: clear errors, and recovery at once."""

import asyncio
import shutil
import signal
import time
from collections.abc import Awaitable
from pathlib import Path

import numpy as np
import pytest

from service.contract.errors import DeadlineExceededError, DuoActError, EncoderUnavailableError
from service.contract.manifest import Bundle, open_bundle
from service.encoders.base import Encoders
from service.encoders.time_limit import TimeLimit
from service.encoders.triton.connection import TlsFiles
from tests.tiny_graphs import golden_vectors, write_tiny_classifier
from tests.triton.certificates import write_certificate
from tests.triton.conftest import StartServer
from tests.triton.encoders import asking
from tests.triton.repositories import write_repository
from tests.triton.server import TritonServer
from training.export.triton import Deployment

FRAMES = golden_vectors()["frames"]
# What may pass between the moment a server is ready and the first answer through the old channel.
RECOVERY_SECONDS = 1.0


@pytest.fixture(scope="module")
def server(start_server: StartServer, tiny: Bundle, tmp_path_factory: pytest.TempPathFactory) -> TritonServer:
    return start_server(write_repository(tiny, tmp_path_factory.mktemp("repository") / "tiny"))


@pytest.fixture(scope="module")
def slow_server(start_server: StartServer, tiny: Bundle, tmp_path_factory: pytest.TempPathFactory) -> TritonServer:
    """A server of executions of half a second each, and of places for four waiting requests."""
    folder = tmp_path_factory.mktemp("repository") / "slow"
    deployment = Deployment(queue_length=4, queue_seconds=60.0, max_views=2)
    return start_server(write_repository(tiny, folder, deployment=deployment, delay_seconds=0.5))


async def outcomes(*calls: Awaitable[object]) -> list[str]:
    """How calls ended, all made at once."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [type(each).__name__ if isinstance(each, DuoActError) else "answer" for each in results]


async def start_again(server: TritonServer, encoders: Encoders, *, limit_seconds: float = RECOVERY_SECONDS) -> None:
    """Start a server that has ended; soon after it is ready it gives answers through the old channel."""
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(limit_seconds):
        while await outcomes(encoders.check()) != ["answer"]:
            await asyncio.sleep(0.02)


async def test_killed_server_is_unavailable_at_once_and_back_at_once(server: TritonServer, tiny: Bundle) -> None:
    with asking(server, tiny) as encoders:
        await encoders.check()
        server.kill()
        started_at = time.monotonic()
        with pytest.raises(EncoderUnavailableError, match="Triton cannot be reached for video_encoder"):
            await encoders.video.encode_video(FRAMES)
        assert time.monotonic() - started_at < RECOVERY_SECONDS
        await start_again(server, encoders)


async def test_stopped_server_costs_the_deadline_and_no_more(server: TritonServer, tiny: Bundle) -> None:
    with asking(server, tiny) as encoders:
        await encoders.check()
        with server.stopped():
            started_at = time.monotonic()
            with pytest.raises(DeadlineExceededError, match="while video_encoder was waited for"):
                await encoders.video.encode_video(FRAMES, limit=TimeLimit.after(0.5))
            assert time.monotonic() - started_at < 1.0
        await encoders.check()


async def test_call_that_is_killed_under_way_ends_at_once(slow_server: TritonServer, tiny: Bundle) -> None:
    with asking(slow_server, tiny) as encoders:
        call = asyncio.create_task(encoders.video.encode_video(FRAMES))
        await asyncio.sleep(0.2)
        slow_server.kill()
        with pytest.raises(EncoderUnavailableError, match=r"Triton cannot be reached|connection to Triton broke"):
            await asyncio.wait_for(call, RECOVERY_SECONDS)
        await start_again(slow_server, encoders, limit_seconds=10.0)


async def test_full_queue_refuses_at_once(slow_server: TritonServer, tiny: Bundle) -> None:
    with asking(slow_server, tiny) as encoders:
        found = await outcomes(*(encoders.video.encode_video(FRAMES) for _ in range(12)))
    assert set(found) == {"answer", "QueueFullError"}


async def test_queue_of_texts_is_bounded_too(slow_server: TritonServer, tiny: Bundle) -> None:
    with asking(slow_server, tiny) as encoders:
        found = await outcomes(*(encoders.english.encode_texts(["running"], template="{}") for _ in range(12)))
    assert set(found) == {"answer", "QueueFullError"}


async def test_work_that_nobody_waits_for_is_dropped(slow_server: TritonServer, tiny: Bundle) -> None:
    executions = slow_server.read_metric("nv_inference_exec_count_total", model="video_encoder")
    with asking(slow_server, tiny) as encoders:
        calls = [asyncio.create_task(encoders.video.encode_video(FRAMES)) for _ in range(3)]
        await asyncio.sleep(0.2)
        for call in calls[1:]:
            call.cancel()
        await calls[0]
        await encoders.video.encode_video(FRAMES)
    ran = slow_server.read_metric("nv_inference_exec_count_total", model="video_encoder") - executions
    # One of the two that were given up may have been on its way to the model already.
    assert ran in (2, 3)


async def test_draining_server_finishes_what_it_has(slow_server: TritonServer, tiny: Bundle) -> None:
    with asking(slow_server, tiny) as encoders:
        call = asyncio.create_task(encoders.video.encode_video(FRAMES))
        await asyncio.sleep(0.2)
        slow_server.send(signal.SIGTERM)
        async with asyncio.timeout(5.0):
            while await asyncio.to_thread(slow_server.is_ready):
                await asyncio.sleep(0.01)
        with pytest.raises(EncoderUnavailableError, match=r"shutting down|cannot be reached|not ready"):
            await encoders.video.encode_video(FRAMES)
        np.testing.assert_allclose(await call, golden_vectors()["frame_features"], atol=1e-5)
        assert await asyncio.to_thread(slow_server.wait) == 0
        await start_again(slow_server, encoders, limit_seconds=10.0)


async def test_unloaded_model_is_named(server: TritonServer, tiny: Bundle) -> None:
    await asyncio.to_thread(server.unload, "text_encoder_zh")
    with asking(server, tiny) as encoders:
        with pytest.raises(EncoderUnavailableError, match="text_encoder_zh version 1 is not ready on Triton, which it"):
            await encoders.check()
        with pytest.raises(
            EncoderUnavailableError, match="text_encoder_zh is not ready on Triton; wait for it, or load it there"
        ):
            await encoders.chinese.encode_texts(["跑"], template="{}")  # type: ignore[union-attr]
    await asyncio.to_thread(server.load, "text_encoder_zh")


async def test_other_bundle_than_the_servers_is_shown_with_both_sides(server: TritonServer, tmp_path: Path) -> None:
    classifier = open_bundle(write_tiny_classifier(tmp_path / "classifier"))
    expected = (
        r"video_encoder on Triton has the inputs frames UINT8 \[-1, 4, 8, 8, 3\], "
        r"the bundle has frames UINT8 \[-1, 4, 5, 8, 8, 3\]; give both the same bundle"
    )
    with asking(server, classifier) as encoders:
        with pytest.raises(EncoderUnavailableError, match=expected):
            await encoders.check()
        with pytest.raises(
            EncoderUnavailableError, match="Triton refuses what the bundle prescribes for video_encoder"
        ):
            await encoders.video.encode_video(np.zeros((1, 4, 5, 8, 8, 3), dtype=np.uint8))


async def test_half_copied_version_is_not_ready(start_server: StartServer, tiny: Bundle, tmp_path: Path) -> None:
    repository = write_repository(tiny, tmp_path / "half")
    path = repository / "video_encoder" / "1" / "model.onnx"
    path.write_bytes(path.read_bytes()[:100])
    expected = "video_encoder version 1 is not ready on Triton, which itself is not ready; load the model there"
    with asking(start_server(repository), tiny) as encoders, pytest.raises(EncoderUnavailableError, match=expected):
        await encoders.check()


async def test_model_is_replaced_under_traffic_without_a_failure(
    start_server: StartServer, tiny: Bundle, tmp_path: Path
) -> None:
    repository = write_repository(tiny, tmp_path / "versions")
    server = start_server(repository)
    is_over = asyncio.Event()
    with asking(server, tiny) as pinned, asking(server, tiny, model_version="") as following:

        async def ask() -> list[str]:
            found = []
            while not is_over.is_set():
                found += await outcomes(pinned.video.encode_video(FRAMES), following.video.encode_video(FRAMES))
            return found

        asking_tasks = [asyncio.create_task(ask()) for _ in range(4)]
        await asyncio.sleep(0.3)
        versions = repository / "video_encoder"
        await asyncio.to_thread(shutil.copytree, versions / "1", versions / "2")
        await asyncio.to_thread(server.load, "video_encoder")
        await asyncio.sleep(0.3)
        is_over.set()
        found = [each for task in asking_tasks for each in await task]
        with asking(server, tiny, model_version="2") as newest:
            await newest.video.encode_video(FRAMES)
    assert set(found) == {"answer"}
    assert len(found) >= 200


async def test_certificates_are_checked(start_server: StartServer, tiny: Bundle, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path / "server")
    other, _ = write_certificate(tmp_path / "other")
    flags = ("--grpc-use-ssl=true", f"--grpc-server-cert={certificate}", f"--grpc-server-key={key}")
    server = start_server(write_repository(tiny, tmp_path / "tls"), *flags)
    with asking(server, tiny, tls=TlsFiles(root_certificates=certificate)) as encoders:
        await encoders.check()
    for tls, message in (
        (TlsFiles(root_certificates=other), "certificate or ours is not accepted"),
        (None, "cannot be reached"),
    ):
        with asking(server, tiny, tls=tls) as encoders, pytest.raises(EncoderUnavailableError, match=message):
            await encoders.check()


async def test_forbidden_use_is_said_to_be_that(start_server: StartServer, tiny: Bundle, tmp_path: Path) -> None:
    server = start_server(
        write_repository(tiny, tmp_path / "locked"), "--grpc-restricted-protocol=inference:key=secret"
    )
    with (
        asking(server, tiny) as encoders,
        pytest.raises(EncoderUnavailableError, match="does not let this service use"),
    ):
        await encoders.video.encode_video(FRAMES)
