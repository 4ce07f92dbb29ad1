"""Videos asked for several times at once: decoded and encoded once, and each who asks keeps its own deadline."""

import asyncio
import json
import os
from pathlib import Path

import httpx
import numpy as np
import pytest
from jaxtyping import Float32

from service.contract.errors import DeadlineExceededError, DecoderUnavailableError, UndecodableVideoError
from service.contract.views import VideoViews, ViewPlan
from service.encoders.time_limit import TimeLimit
from service.recognition.questions import StoredVideo
from service.recognition.video_cache import VideoKey
from service.recognition.video_flights import VideoFlights
from tests.conftest import RunService, Service
from tests.encoders import FakeEngine, FakeReader, FakeVideoEncoder

LABELS = json.dumps([{"en": "moving left", "zh": "向左移动"}, {"en": "running", "zh": "跑"}])


async def ask(service: Service, *, video: bytes = b"pixels", **fields: str) -> httpx.Response:
    files = {"video": ("clip.mp4", video, "video/mp4")}
    return await service.client.post("/recognize", files=files, data={"labels": LABELS, **fields})


async def test_video_asked_four_times_at_once_is_decoded_once(run_service: RunService) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.1), video=FakeVideoEncoder(delay_seconds=0.1))
    async with run_service(engine) as service:
        answers = [answer.json() for answer in await asyncio.gather(*(ask(service) for _ in range(4)))]
    assert (len(engine.reader.names), engine.video.num_calls) == (1, 1)
    assert all(answer["predictions"] == answers[0]["predictions"] for answer in answers)
    assert all(answer["timings_ms"]["decode"] > 50 < answer["timings_ms"]["encode"] for answer in answers)


async def test_other_views_and_other_videos_are_other_work(run_service: RunService) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.05))
    async with run_service(engine) as service:
        await asyncio.gather(ask(service), ask(service, views="2x1"), ask(service, video=b"others"))
    assert len(engine.reader.names) == 3


async def test_whoever_asks_for_thumbnails_has_them_from_the_same_work(run_service: RunService) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.1))
    async with run_service(engine) as service:
        plain, explained = await asyncio.gather(ask(service), ask(service, explain="true"))
        again = await ask(service, explain="true")
    assert len(engine.reader.names) == 1
    assert "thumbnail" not in plain.json()["frames"][0]
    assert explained.json()["frames"] == again.json()["frames"]
    assert explained.json()["frames"][0]["thumbnail"].startswith("data:image/jpeg")


@pytest.mark.parametrize("leaver", [0, 1])
async def test_work_goes_on_for_the_others_when_one_goes_away(run_service: RunService, leaver: int) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.15))
    async with run_service(engine) as service:
        asking = [asyncio.create_task(ask(service)) for _ in range(2)]
        await asyncio.sleep(0.05)
        asking[leaver].cancel()
        assert (await asking[1 - leaver]).status_code == 200
    assert (len(engine.reader.names), engine.reader.num_cancelled) == (1, 0)


async def test_work_ends_when_nobody_waits_and_begins_anew_for_the_next(run_service: RunService) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.15))
    async with run_service(engine) as service:
        asking = [asyncio.create_task(ask(service)) for _ in range(2)]
        await asyncio.sleep(0.05)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        await asyncio.sleep(0)
        assert engine.reader.num_cancelled == 1
        assert (await ask(service)).status_code == 200
    assert len(engine.reader.names) == 2


@pytest.mark.parametrize("hasty_first", [True, False])
async def test_each_keeps_its_own_deadline(run_service: RunService, hasty_first: bool) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.4))
    async with run_service(engine) as service:
        deadlines = ("0.2", "9") if hasty_first else ("9", "0.2")
        first, second = await asyncio.gather(*(ask(service, deadline_seconds=each) for each in deadlines))
    statuses = (first.status_code, second.status_code)
    assert statuses == ((504, 200) if hasty_first else (200, 504))
    assert len(engine.reader.names) == 1


async def test_work_that_ran_out_of_the_time_of_another_is_begun_again(run_service: RunService) -> None:
    # As a decode pool that is told the time of the first.
    class Hasty(FakeReader):
        async def read_views(self, video: int, *, video_id: str, plan: ViewPlan, timeout_seconds: float) -> VideoViews:
            reading = super().read_views(video, video_id=video_id, plan=plan, timeout_seconds=timeout_seconds)
            try:
                return await asyncio.wait_for(reading, min(timeout_seconds - 0.05, 5.0))
            except TimeoutError as error:
                raise DeadlineExceededError("decoding took too long") from error

    engine = FakeEngine(reader=Hasty(delay_seconds=0.3))
    async with run_service(engine) as service:
        answers = await asyncio.gather(ask(service, deadline_seconds="0.3"), ask(service, deadline_seconds="9"))
    assert [answer.status_code for answer in answers] == [504, 200]
    assert len(engine.reader.names) == 2


async def test_failure_is_that_of_all_who_wait_and_is_tried_again(run_service: RunService) -> None:
    reader = FakeReader(delay_seconds=0.05, error=UndecodableVideoError("damaged"))
    async with run_service(FakeEngine(reader=reader)) as service:
        statuses = [answer.status_code for answer in await asyncio.gather(*(ask(service) for _ in range(3)))]
        reader.error = None
        assert (await ask(service)).status_code == 200
    assert statuses == [422, 422, 422]
    assert len(reader.names) == 2


async def test_video_stays_open_while_others_wait_for_it(tmp_path: Path) -> None:
    path, seen, num_open = tmp_path / "clip", [], count_open()
    path.write_bytes(b"pixels")

    async def read(video: StoredVideo, plan: ViewPlan, limit: TimeLimit) -> VideoViews:
        await asyncio.sleep(0.05)
        seen.append(os.pread(video.descriptor, 99, 0))
        raise UndecodableVideoError(f"{plan} within {limit}")

    flights, key = VideoFlights(read=read, encode=encode_nothing), VideoKey("v", ViewPlan(), "b")
    with path.open("rb") as file:
        first = flights.board(key, StoredVideo(file.fileno(), "v"), limit=TimeLimit(1.0))
        first.__enter__()
        with flights.board(key, StoredVideo(-1, "v"), limit=TimeLimit(2.0)) as flight:
            first.__exit__(None, None, None)
            file.close()
            with pytest.raises(UndecodableVideoError, match="1x1"):
                await asyncio.shield(flight.features)
    assert seen == [b"pixels"]
    assert flight.limit == TimeLimit(2.0)
    await asyncio.sleep(0)
    assert count_open() == num_open


async def test_video_that_cannot_be_held_open_is_refused() -> None:
    flights = VideoFlights(read=read_nothing, encode=encode_nothing)
    board = flights.board(VideoKey("v", ViewPlan(), "b"), StoredVideo(-1, "v"), limit=TimeLimit(1.0))
    with pytest.raises(DecoderUnavailableError, match="the video cannot be held open: Bad file descriptor"), board:
        pass


def count_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def read_nothing(video: StoredVideo, plan: ViewPlan, limit: TimeLimit) -> VideoViews:
    raise NotImplementedError(f"{video} {plan} {limit}")


async def encode_nothing(views: VideoViews, limit: TimeLimit) -> Float32[np.ndarray, "V K D"]:
    raise NotImplementedError(f"{views} {limit}")
