import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import av
import pytest

from service.contract.decode import DecodeLimits
from service.contract.errors import (
    DeadlineExceededError,
    UndecodableVideoError,
    UnsupportedVideoError,
    VideoTooLargeError,
)
from service.contract.manifest import Preprocessing, Sampling
from service.contract.views import VideoViews, ViewPlan, ViewRules
from service.decoding.pool import DecodePool
from service.decoding.sandbox import SandboxLimits, SandboxReport
from tests.videos import Encoding, add_video_stream, read_number, stored_frame, write_audio, write_numbered_video

PREPROCESSING = Preprocessing(
    input_size=64,
    resize_rule="exact",
    resize_size=(64, 64),
    interpolation="bicubic",
    crop_rule="centre",
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)


RULES = ViewRules(PREPROCESSING, Sampling(rule="segment_centres", num_frames=4), DecodeLimits())


async def read(pool: DecodePool, path: Path, *, timeout_seconds: float = 30.0) -> VideoViews:
    return await pool.read_views(path, plan=ViewPlan(), timeout_seconds=timeout_seconds)


async def shows_the_right_frames(pool: DecodePool, folder: Path) -> bool:
    path = write_numbered_video(folder / "good.mp4", num_frames=20)
    views = await read(pool, path)
    return [read_number(frame) for frame in views.views[0]] == [2, 7, 12, 17]


def write_slow_video(folder: Path) -> Path:
    """Write one large picture a thousand times; its codec is of those that must be decoded whole to be counted."""
    encoding = Encoding("mpeg4", {"qscale": "31"}, size=(1920, 1080))
    path = folder / "slow.avi"
    with av.open(str(path), "w") as container:
        stream = add_video_stream(container, encoding)
        content = bytes((stream.encode(stored_frame(1, encoding)) + stream.encode(None))[0])
        for position in range(1000):
            packet = av.Packet(content)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, position, position, True
            container.mux(packet)
    return path


def worker_ids() -> list[int]:
    return [worker.pid for worker in multiprocessing.active_children() if worker.pid]


@pytest.fixture(scope="module")
def slow_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slow_video(tmp_path_factory.mktemp("slow"))


@pytest.fixture
async def pool() -> AsyncIterator[DecodePool]:
    decode_pool = DecodePool(RULES, num_workers=1)
    decode_pool.start()
    yield decode_pool
    decode_pool.close()


async def test_views_cross_the_process_boundary(pool: DecodePool, tmp_path: Path) -> None:
    assert await shows_the_right_frames(pool, tmp_path)


async def test_workers_are_guarded_by_the_kernel(pool: DecodePool) -> None:
    assert await pool.report() == SandboxReport(filters_system_calls=True, forbids_new_privileges=True)


@pytest.mark.parametrize(
    "name", ["a.mkv", "hevc.mp4", "vp8.webm", "vp9.webm", "av1.mp4", "mpeg4.avi", "mjpeg.avi", "gif.gif", "prores.mov"]
)
async def test_every_codec_works_inside_the_sandbox(pool: DecodePool, tmp_path: Path, name: str) -> None:
    encodings = {
        "hevc": Encoding("libx265", {"x265-params": "log-level=none"}),
        "vp8": Encoding("libvpx"),
        "vp9": Encoding("libvpx-vp9", {"cpu-used": "8"}),
        "av1": Encoding("libsvtav1", {"preset": "12"}),
        "mpeg4": Encoding("mpeg4"),
        "mjpeg": Encoding("mjpeg", pixel_format="yuvj420p"),
        "gif": Encoding("gif", pixel_format="rgb8"),
        "prores": Encoding("prores_ks", pixel_format="yuv422p10le"),
    }
    path = write_numbered_video(tmp_path / name, num_frames=20, encoding=encodings.get(Path(name).stem))
    views = await read(pool, path)
    assert [read_number(frame) for frame in views.views[0]] == [2, 7, 12, 17]


async def test_errors_cross_the_process_boundary_intact(pool: DecodePool, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"just text " * 100)
    with pytest.raises(UnsupportedVideoError, match="the bytes are not a readable video"):
        await read(pool, tmp_path / "text.mp4")
    with pytest.raises(UndecodableVideoError, match=r"no video stream \(its streams: audio\)"):
        await read(pool, write_audio(tmp_path / "sound.m4a"))
    assert await shows_the_right_frames(pool, tmp_path)


async def test_limits_of_the_rules_hold_in_a_worker(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=20)
    pool = DecodePool(replace(RULES, limits=DecodeLimits(max_frames=5)), num_workers=1)
    pool.start()
    with pytest.raises(VideoTooLargeError, match="the video has more than 5 frames"):
        await read(pool, path)
    pool.close()


async def test_a_video_that_takes_too_long_is_ended(pool: DecodePool, slow_video: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(
        DeadlineExceededError, match=r"decoding took longer than 0.3 seconds; send a shorter or smaller"
    ):
        await read(pool, slow_video, timeout_seconds=0.3)
    assert time.monotonic() - started < 3
    assert await shows_the_right_frames(pool, tmp_path)


async def test_a_worker_that_dies_costs_only_its_own_video(pool: DecodePool, slow_video: Path, tmp_path: Path) -> None:
    await pool.report()
    reading = asyncio.create_task(read(pool, slow_video))
    await asyncio.sleep(0.3)
    for worker_id in worker_ids():
        os.kill(worker_id, signal.SIGKILL)
    with pytest.raises(UndecodableVideoError, match="the decoder died on this video; send an undamaged video"):
        await reading
    assert await shows_the_right_frames(pool, tmp_path)
    assert pool.keep_alive()


async def test_a_pool_that_broke_down_is_started_anew(pool: DecodePool, tmp_path: Path) -> None:
    await pool.report()
    for worker_id in worker_ids():
        os.kill(worker_id, signal.SIGKILL)
    assert await shows_the_right_frames(pool, tmp_path)
    for worker_id in worker_ids():
        os.kill(worker_id, signal.SIGKILL)
    await asyncio.sleep(0.5)
    assert not pool.keep_alive()
    assert await shows_the_right_frames(pool, tmp_path)
    assert pool.keep_alive()


async def test_videos_are_decoded_side_by_side(slow_video: Path, tmp_path: Path) -> None:
    pool = DecodePool(RULES, num_workers=2)
    pool.start()
    await asyncio.gather(pool.report(), pool.report())
    slow = asyncio.create_task(read(pool, slow_video))
    assert await shows_the_right_frames(pool, tmp_path)
    assert not slow.done()
    await slow
    pool.close()


async def test_cancelling_the_caller_ends_the_work(pool: DecodePool, slow_video: Path, tmp_path: Path) -> None:
    await pool.report()
    before = worker_ids()
    reading = asyncio.create_task(read(pool, slow_video))
    await asyncio.sleep(0.3)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await shows_the_right_frames(pool, tmp_path)
    assert worker_ids() != before


async def test_a_video_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "large.mp4", num_frames=8, encoding=Encoding(size=(3840, 2160)))
    pool = DecodePool(RULES, num_workers=1, sandbox=SandboxLimits(memory_bytes=100 * 1024**2))
    pool.start()
    with pytest.raises(UndecodableVideoError):
        await read(pool, path)
    assert await shows_the_right_frames(pool, tmp_path)
    pool.close()


async def test_workers_are_renewed_after_their_share_of_videos(tmp_path: Path) -> None:
    pool = DecodePool(RULES, num_workers=1, num_videos_per_worker=1)
    pool.start()
    assert [await shows_the_right_frames(pool, tmp_path) for _ in range(3)] == [True] * 3
    pool.close()


async def test_a_missing_file_is_not_the_video_s_fault(pool: DecodePool, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.mp4"):
        await read(pool, tmp_path / "missing.mp4")


async def test_an_unforeseen_failure_counts_as_an_undecodable_video(
    pool: DecodePool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UndecodableVideoError, match="the decoder failed on this video; send an undamaged video"):
        await read(pool, tmp_path)
    assert "IsADirectoryError" in caplog.text


async def test_a_pool_is_alive_between_start_and_close(tmp_path: Path) -> None:
    pool = DecodePool(RULES, num_workers=1)
    assert not pool.keep_alive()
    with pytest.raises(RuntimeError, match=r"the decode pool is not started; call start\(\) first"):
        await read(pool, tmp_path / "clip.mp4")
    pool.start()
    assert pool.keep_alive()
    pool.close()
    pool.close()
    assert not pool.keep_alive()
    assert worker_ids() == []
