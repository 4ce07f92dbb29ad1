"""The server puts concurrent requests into shared executions, which its metrics show, and lets none of them starve."""

import asyncio
import time

import numpy as np
import pytest

from service.contract.manifest import Bundle
from service.encoders.base import Encoders
from tests.tiny_graphs import golden_vectors
from tests.triton.conftest import StartServer
from tests.triton.encoders import asking
from tests.triton.repositories import write_repository
from tests.triton.server import TritonServer

FRAMES = golden_vectors()["frames"][:1]
# A backend that gains from batches: an execution takes this long, however many views it has.
EXECUTION_SECONDS = 0.05
NUM_CALLS = 160


@pytest.fixture(scope="module")
def server(start_server: StartServer, tiny: Bundle, tmp_path_factory: pytest.TempPathFactory) -> TritonServer:
    folder = tmp_path_factory.mktemp("repository") / "tiny"
    repository = write_repository(tiny, folder, delay_seconds=EXECUTION_SECONDS)
    return start_server(repository, f"--cache-config=local,size={1 << 24}")


async def time_calls(encoders: Encoders, *, num_calls: int, concurrency: int) -> list[float]:
    """Seconds that each call took, so many of them at a time."""
    slots = asyncio.Semaphore(concurrency)

    async def call() -> float:
        async with slots:
            started_at = time.monotonic()
            await encoders.video.encode_video(FRAMES)
            return time.monotonic() - started_at

    return await asyncio.gather(*(call() for _ in range(num_calls)))


async def measure_batching(server: TritonServer, encoders: Encoders) -> tuple[float, float, float]:
    """Views of an execution at concurrency 16, throughput as a multiple of that at 1, and p99 / p50."""
    names = ("nv_inference_count", "nv_inference_exec_count")
    alone = await time_calls(encoders, num_calls=8, concurrency=1)
    before = [server.read_metric(f"{name}_total", model="video_encoder") for name in names]
    started_at = time.monotonic()
    seconds = await time_calls(encoders, num_calls=NUM_CALLS, concurrency=16)
    throughput = NUM_CALLS / (time.monotonic() - started_at)
    after = [server.read_metric(f"{name}_total", model="video_encoder") for name in names]
    num_views, num_executions = (new - old for new, old in zip(after, before, strict=True))
    assert num_views == NUM_CALLS
    quantiles = np.quantile(seconds, (0.5, 0.99))
    return num_views / num_executions, throughput / (len(alone) / sum(alone)), quantiles[1] / quantiles[0]


async def test_concurrent_requests_share_executions_and_none_starves(server: TritonServer, tiny: Bundle) -> None:
    with asking(server, tiny) as encoders:
        # A machine that stands still for a moment spoils one measurement, not three.
        for attempt in range(3):
            num_views, gain, spread = await measure_batching(server, encoders)
            if (num_views > 3 and gain > 1.5 and spread < 4) or attempt == 2:
                break
    assert num_views > 3
    assert gain > 1.5
    assert spread < 4


async def test_requests_of_different_size_get_their_own_rows(server: TritonServer, tiny: Bundle) -> None:
    views = np.random.default_rng(0).integers(0, 256, (10, 4, 8, 8, 3), dtype=np.uint8)
    pieces = np.split(views, [1, 3, 6])
    with asking(server, tiny) as encoders:
        together = await encoders.video.encode_video(views)
        apart = await asyncio.gather(*(encoders.video.encode_video(piece) for piece in pieces))
    np.testing.assert_allclose(np.concatenate(apart), together, atol=1e-6)


async def test_answers_to_texts_are_kept_and_to_videos_are_not(server: TritonServer, tiny: Bundle) -> None:
    with asking(server, tiny) as encoders:
        for _ in range(2):
            await encoders.english.encode_texts(["running", "jumping left"], template="{}")
            await encoders.video.encode_video(FRAMES)
    hits = {
        model: server.read_metric("nv_cache_num_hits_per_model_total", model=model)
        for model in ("text_encoder_en", "video_encoder")
    }
    assert hits == {"text_encoder_en": 1.0, "video_encoder": 0.0}
