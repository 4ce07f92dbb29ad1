"""The whole service with a real Triton behind it: answers of the embedded engine, and a server that dies under load."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.contract.manifest import Bundle
from tests.end_to_end.server import run_server
from tests.material import VIDEOS
from tests.triton.conftest import StartServer
from tests.triton.server import TritonServer
from training.data.motion_shapes import VideoFormat, draw_scene, motion_shapes_labels, render_video

LABELS = json.dumps([{"en": label.en, "zh": label.zh} for label in motion_shapes_labels()])
MAX_DIFFERENCE = 1e-3
# Rendered clips, and at most as many real ones; and deaths of the server that a service lives through. More of them
# prove more, and take longer.
NUM_CLIPS = int(os.environ.get("TESTS_TRITON_CLIPS", "8"))
NUM_DEATHS = int(os.environ.get("TESTS_TRITON_DEATHS", "2"))
RECOVERY_SECONDS = 3.0
Answer = dict[str, Any]


@pytest.fixture(scope="module")
def server(start_server: StartServer, demo: Bundle) -> TritonServer:
    return start_server(demo.directory)


@pytest.fixture(scope="module")
def gateway(server: TritonServer, demo: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    log = tmp_path_factory.mktemp("gateway") / "log"
    with run_server(demo.directory, log=log, settings={"DUOACT_TRITON": server.address}) as client:
        yield client


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Rendered clips, and real ones where they lie beside the checkout."""
    folder, rng, labels = tmp_path_factory.mktemp("clips"), np.random.default_rng(7), motion_shapes_labels()
    for number in range(NUM_CLIPS):
        # A stride that has no factor in common with the number of labels reaches all of them.
        scene = draw_scene(labels[number * 13 % len(labels)], rng=rng)
        render_video(scene, path=folder / f"{number:04}.mp4", video_format=VideoFormat())
    real = sorted(path for path in VIDEOS.glob("*/*") if path.is_file())[:NUM_CLIPS]
    return [*sorted(folder.iterdir()), *real]


def ask(client: httpx.Client, content: bytes) -> httpx.Response:
    return client.post("/recognize", files={"video": content}, data={"labels": LABELS, "top_k": "96"})


def scores(answer: Answer) -> dict[str, float]:
    return {each["label"]["en"]: each["score"] for each in answer["predictions"]}


def test_answers_are_those_of_the_embedded_engine(
    gateway: httpx.Client, demo: Bundle, clips: list[Path], tmp_path: Path
) -> None:
    exact = {"DUOACT_ENCODER_PRECISION": "f32", "DUOACT_ENCODER_THREADS": "1"}
    with run_server(demo.directory, log=tmp_path / "log", settings=exact) as embedded:
        pairs = [[ask(client, clip.read_bytes()) for client in (gateway, embedded)] for clip in clips]
    for found, expected in pairs:
        assert found.status_code == expected.status_code
        if found.status_code == httpx.codes.OK:
            assert scores(found.json()) == pytest.approx(scores(expected.json()), abs=MAX_DIFFERENCE)


def test_server_that_dies_costs_503_and_comes_back(
    gateway: httpx.Client, server: TritonServer, clips: list[Path]
) -> None:
    responses = asyncio.run(_live_through_deaths(str(gateway.base_url), server, clips[0].read_bytes()))
    statuses = {response.status_code for response in responses}
    assert statuses == {200, 503}
    for response in responses:
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert response.headers["retry-after"] == "5"
            assert response.json()["type"] == "urn:duoact:problem:encoder-unavailable"


async def _live_through_deaths(url: str, server: TritonServer, content: bytes) -> list[httpx.Response]:
    """Ask without a pause while the server is killed and started again, and check how soon the service is back."""
    responses: list[httpx.Response] = []
    is_over = asyncio.Event()
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:

        async def load(name: int) -> None:
            for number in range(1_000_000):
                if is_over.is_set():
                    return
                # A box that players skip makes every upload a video that no cache knows.
                unique = content + b"\x00\x00\x00\x10free" + f"{name}-{number:06}".encode()
                responses.append(await client.post("/recognize", files={"video": unique}, data={"labels": LABELS}))
                await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(load(name)) for name in range(3)]
        for _ in range(NUM_DEATHS):
            await asyncio.sleep(1.0)
            await asyncio.to_thread(server.kill)
            async with asyncio.timeout(2.0):
                while (await client.get("/readyz")).status_code == httpx.codes.OK:
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(server.start)
            started_at = time.monotonic()
            while (await client.get("/readyz")).status_code != httpx.codes.OK:
                assert time.monotonic() - started_at < RECOVERY_SECONDS
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        is_over.set()
        await asyncio.gather(*tasks)
    return responses
