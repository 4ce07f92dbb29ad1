import asyncio
import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest

from service.contract.decode import DecodeLimits
from service.contract.errors import (
    DeadlineExceededError,
    DecoderUnavailableError,
    UndecodableVideoError,
    UnsupportedVideoError,
    VideoTooLargeError,
)
from service.contract.views import ViewPlan
from service.decoding.pool import DecodePool
from tests.end_to_end.server import ROOT
from tests.service.decoding.asking import read
from tests.service.decoding.encoded import ENCODINGS, write_encoded
from tests.service.decoding.processes import nursery_ids, wait_until, worker_ids
from tests.service.decoding.rules import RULES
from tests.videos import Encoding, add_video_stream, cut, read_number, stored_frame, write_audio, write_numbered_video


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


@pytest.fixture(scope="module")
def slow_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slow_video(tmp_path_factory.mktemp("slow"))


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    decode_pool = DecodePool(RULES, num_workers=2)
    decode_pool.start()
    yield decode_pool
    decode_pool.close()


@pytest.mark.parametrize("plan", ["1x1", "4x3"])
async def test_views_cross_the_process_boundary_unchanged(pool: DecodePool, tmp_path: Path, plan: str) -> None:
    path = write_numbered_video(tmp_path / "good.mp4", num_frames=20)
    theirs, ours = await read(pool, path, plan=ViewPlan.parse(plan)), RULES.read(path, plan=ViewPlan.parse(plan))
    assert (theirs.info, theirs.degraded) == (ours.info, ours.degraded)
    for name in ("views", "indices", "time_seconds"):
        assert getattr(theirs, name).dtype == getattr(ours, name).dtype
        assert getattr(theirs, name).tolist() == getattr(ours, name).tolist()


async def test_windows_of_frames_cross_the_process_boundary(tmp_path: Path) -> None:
    rules = replace(RULES, sampling=RULES.sampling.model_copy(update={"num_local_frames": 3}))
    pool = DecodePool(rules, num_workers=1)
    pool.start()
    views = await read(pool, write_numbered_video(tmp_path / "good.mp4", num_frames=20))
    assert views.views.shape == (1, 4, 3, 64, 64, 3)
    assert [read_number(frame) for frame in views.views[0, 0]] == [1, 2, 3]
    pool.close()


async def test_damage_is_told(pool: DecodePool, tmp_path: Path) -> None:
    path = cut(write_numbered_video(tmp_path / "cut.mkv", num_frames=100), fraction=0.5)
    assert (await read(pool, path)).degraded == RULES.read(path, plan=ViewPlan()).degraded is not None


@pytest.mark.parametrize("name", ENCODINGS)
async def test_every_codec_works_inside_the_sandbox(pool: DecodePool, tmp_path: Path, name: str) -> None:
    views = await read(pool, write_encoded(tmp_path, name))
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


async def test_videos_are_decoded_side_by_side(pool: DecodePool, slow_video: Path, tmp_path: Path) -> None:
    slow = asyncio.create_task(read(pool, slow_video))
    await asyncio.sleep(0.05)
    assert await shows_the_right_frames(pool, tmp_path)
    assert not slow.done()
    slow.cancel()


async def test_cancelling_the_caller_ends_the_work(pool: DecodePool, slow_video: Path, tmp_path: Path) -> None:
    num_abandoned = pool.deaths["abandoned"]
    reading = asyncio.create_task(read(pool, slow_video))
    await asyncio.sleep(0.1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    wait_until(lambda: pool.deaths["abandoned"] == num_abandoned + 1)
    assert await shows_the_right_frames(pool, tmp_path)


async def test_a_video_that_nobody_waits_for_any_longer_is_not_begun(slow_video: Path, tmp_path: Path) -> None:
    pool = DecodePool(RULES, num_workers=1)
    pool.start()
    first = asyncio.create_task(read(pool, slow_video))
    await asyncio.sleep(0.05)
    with pytest.raises(DeadlineExceededError, match="or try again when the service is less busy"):
        await read(pool, slow_video, timeout_seconds=0.05)
    first.cancel()
    assert await shows_the_right_frames(pool, tmp_path)
    wait_until(lambda: pool.deaths["abandoned"] == 1)
    pool.close()


async def test_workers_are_renewed_after_their_share_of_videos(tmp_path: Path) -> None:
    pool = DecodePool(RULES, num_workers=1, num_videos_per_worker=1)
    pool.start()
    assert [await shows_the_right_frames(pool, tmp_path) for _ in range(3)] == [True] * 3
    wait_until(lambda: pool.deaths["renewed"] == 3)
    pool.close()


async def test_used_up_descriptors_are_not_the_video_s_fault(pool: DecodePool, tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "good.mp4", num_frames=20)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with path.open("rb") as file:
        resource.setrlimit(resource.RLIMIT_NOFILE, (file.fileno() + 1, hard))
        try:
            with pytest.raises(DecoderUnavailableError, match="no video can be decoded now: Too many open files; try"):
                await pool.read_views(file.fileno(), video_id="good", plan=ViewPlan(), timeout_seconds=30.0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert await shows_the_right_frames(pool, tmp_path)


async def test_a_file_may_be_closed_as_soon_as_nobody_waits(pool: DecodePool, slow_video: Path, tmp_path: Path) -> None:
    for _ in range(5):
        file = slow_video.open("rb")
        reading = asyncio.create_task(
            pool.read_views(file.fileno(), video_id="slow", plan=ViewPlan(), timeout_seconds=30.0)
        )
        await asyncio.sleep(0)
        reading.cancel()
        file.close()
        with pytest.raises(asyncio.CancelledError):
            await reading
        # Another file takes the number of the descriptor.
        assert await shows_the_right_frames(pool, tmp_path)


async def test_an_unforeseen_failure_counts_as_an_undecodable_video(
    pool: DecodePool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(UndecodableVideoError, match="the decoder failed on this video; send an undamaged video"):
        await pool.read_views(folder, video_id="folder", plan=ViewPlan(), timeout_seconds=30.0)
    os.close(folder)
    assert "IsADirectoryError at " in caplog.text
    assert "held_file.py" in caplog.text


async def test_a_pool_is_alive_between_start_and_close() -> None:
    before = set(nursery_ids())
    pool = DecodePool(RULES, num_workers=1)
    assert pool.guards is None
    with pytest.raises(RuntimeError, match=r"the decode pool is not started; call start\(\) first"):
        await pool.check()
    pool.start()
    assert pool.start() is pool.guards is not None
    await pool.check()
    pool.close()
    pool.close()
    assert pool.guards is None
    assert set(nursery_ids()) == before


async def test_a_gateway_without_descriptors_loses_no_worker(
    pool: DecodePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=20)
    with monkeypatch.context() as patch:
        patch.setattr("os.memfd_create", refuse)
        for _ in range(4):
            with pytest.raises(DecoderUnavailableError, match="no video can be decoded now: Too many open files; try"):
                await read(pool, path)
    assert await shows_the_right_frames(pool, tmp_path)


def test_another_system_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(DecoderUnavailableError, match="videos are decoded on Linux alone; this is darwin"):
        DecodePool(RULES).start()


async def test_closing_ends_what_is_read_and_what_waits(slow_video: Path) -> None:
    before = set(worker_ids())
    pool = DecodePool(RULES, num_workers=1)
    pool.start()
    reading = [asyncio.create_task(read(pool, slow_video)) for _ in range(3)]
    await asyncio.sleep(0.1)
    await asyncio.to_thread(pool.close)
    for task in reading:
        with pytest.raises(DecoderUnavailableError, match="no video can be decoded: decoding stops; try again later"):
            await task
    assert set(worker_ids()) == before


GATEWAY = """
import signal, sys
from service.decoding.pool import DecodePool
from tests.end_to_end.server import ROOT
from tests.service.decoding.processes import nursery_ids, worker_ids
from tests.service.decoding.rules import RULES

DecodePool(RULES, num_workers=1).start()
print(*nursery_ids(), *worker_ids(), flush=True)
signal.pause()
"""


def test_a_gateway_that_is_killed_takes_its_workers_along() -> None:
    with subprocess.Popen([sys.executable, "-c", GATEWAY], cwd=ROOT, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        theirs = [Path("/proc") / each for each in gateway.stdout.readline().split()]
        assert len(theirs) >= 2
        assert all(each.exists() for each in theirs)
        gateway.kill()
    wait_until(lambda: not any(each.exists() for each in theirs))
