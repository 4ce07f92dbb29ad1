"""Processes are killed and stopped at every point; each video is answered, rightly, and the pool goes on."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from service.contract.errors import (
    DeadlineExceededError,
    DecoderUnavailableError,
    UndecodableVideoError,
)
from service.contract.views import VideoViews
from service.decoding.pool import DecodePool
from tests.service.decoding.asking import attack, is_sound
from tests.service.decoding.entries import hostile
from tests.service.decoding.processes import computing_seconds, nursery_ids, wait_until, worker_ids
from tests.service.decoding.rules import RULES


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    decode_pool = DecodePool(RULES, num_workers=2, entry=hostile.__name__)
    decode_pool.start()
    wait_until(lambda: len(worker_ids()) == 3)
    yield decode_pool
    decode_pool.close()


def start_attack(pool: DecodePool, name: str, *, folder: Path) -> "asyncio.Task[VideoViews]":
    return asyncio.create_task(attack(pool, name, folder=folder))


async def find_busy() -> int:
    """Wait for the worker that computes for ever; no other computes for so long."""
    while True:
        for worker in worker_ids():
            if computing_seconds(worker) > 0.2:
                return worker
        await asyncio.sleep(0.005)


async def test_idle_workers_that_are_killed_are_replaced(pool: DecodePool, good_video: Path) -> None:
    before = worker_ids()
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not set(before) & set(worker_ids()))
    assert await is_sound(pool, good_video)
    wait_until(lambda: len(worker_ids()) == 3)
    wait_until(lambda: pool.deaths["killed"] == 3)


async def test_a_worker_that_is_gone_unnoticed_is_passed_over(pool: DecodePool, good_video: Path) -> None:
    """Where the nursery stands still, nobody tells."""
    os.kill(nursery_ids()[0], signal.SIGSTOP)
    for worker in worker_ids()[:2]:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(worker_ids()) == 1)
    started_at = time.monotonic()
    assert await is_sound(pool, good_video)
    assert time.monotonic() - started_at < 5
    os.kill(nursery_ids()[0], signal.SIGCONT)
    wait_until(lambda: pool.deaths["killed"] == 2)


async def test_a_clip_of_known_frames_is_read_whatever_users_ask(pool: DecodePool, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    spinning = [start_attack(pool, "spin", folder=folder) for folder in folders]
    await find_busy()
    await pool.check()
    assert not any(each.done() for each in spinning)
    for each in spinning:
        each.cancel()
    await asyncio.gather(*spinning, return_exceptions=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
async def test_a_video_whose_worker_is_ended_from_outside_goes_to_another(
    pool: DecodePool, tmp_path: Path, number: signal.Signals
) -> None:
    reading = start_attack(pool, "spin once", folder=tmp_path)
    os.kill(await find_busy(), number)
    with pytest.raises(UndecodableVideoError, match="DONE: 'answered by another worker'"):
        await reading
    assert pool.deaths["killed"] == 1


async def test_a_video_that_is_twice_interrupted_is_not_at_fault(
    pool: DecodePool, good_video: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        reading = start_attack(pool, "spin", folder=tmp_path)
        for _ in range(2):
            busy = await find_busy()
            os.kill(busy, signal.SIGKILL)
            wait_until(lambda busy=busy: busy not in worker_ids())  # type: ignore[misc]
        with pytest.raises(DecoderUnavailableError, match="decoding workers were ended from outside while they read"):
            await reading
    assert await is_sound(pool, good_video)
    await pool.check()


async def test_a_video_that_crashes_the_decoder_is_not_tried_a_third_time(
    pool: DecodePool, good_video: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(UndecodableVideoError, match="the decoder died on this video; send an undamaged video"):
            await attack(pool, "abort", folder=tmp_path)
    with pytest.raises(UndecodableVideoError, match="died on this video 2 times and does not try it again; send an un"):
        await attack(pool, "abort", folder=tmp_path)
    assert pool.deaths["crashed"] == 2
    assert await is_sound(pool, good_video)


async def test_a_crash_may_be_the_fault_of_the_video_before(pool: DecodePool, good_video: Path, tmp_path: Path) -> None:
    for _ in range(3):
        assert await is_sound(pool, good_video)
        with pytest.raises(UndecodableVideoError, match="DONE: 'answered by another worker'"):
            await attack(pool, "abort once", folder=tmp_path)
    assert pool.deaths["crashed"] == 3


async def test_a_crash_of_a_fresh_worker_is_the_video_s_own(pool: DecodePool, tmp_path: Path) -> None:
    with pytest.raises(UndecodableVideoError, match="the decoder died on this video; send an undamaged video"):
        await attack(pool, "abort once", folder=tmp_path)
    assert pool.deaths["crashed"] == 1


async def test_a_stopped_worker_is_no_longer_waited_for_than_the_deadline(pool: DecodePool, tmp_path: Path) -> None:
    """Where the nursery stands still too, nobody sees that a worker does."""
    os.kill(nursery_ids()[0], signal.SIGSTOP)
    reading = asyncio.create_task(attack(pool, "spin", folder=tmp_path, timeout_seconds=0.5))
    os.kill(await find_busy(), signal.SIGSTOP)
    with pytest.raises(DeadlineExceededError, match=r"decoding took longer than 0\.5 seconds"):
        await reading
    os.kill(nursery_ids()[0], signal.SIGCONT)
    wait_until(lambda: pool.deaths["abandoned"] == 1)


async def test_a_nursery_of_which_nothing_comes_is_replaced(
    pool: DecodePool, good_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.decoding.keeper._PATIENCE_SECONDS", 0.5)
    before = nursery_ids()
    os.kill(before[0], signal.SIGSTOP)
    for worker in worker_ids():
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not worker_ids())
    assert await is_sound(pool, good_video)
    assert nursery_ids() != before
    await pool.check()


async def test_a_nursery_that_is_killed_is_replaced_and_no_video_lost(
    pool: DecodePool, good_video: Path, tmp_path: Path
) -> None:
    reading = start_attack(pool, "spin once", folder=tmp_path)
    await find_busy()
    os.kill(nursery_ids()[0], signal.SIGKILL)
    with pytest.raises(UndecodableVideoError, match="DONE: 'answered by another worker'"):
        await reading
    await pool.check()
    assert await is_sound(pool, good_video)


async def test_a_nursery_that_is_killed_while_it_starts_is_replaced(pool: DecodePool, good_video: Path) -> None:
    for _ in range(2):
        before = nursery_ids()
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda before=before: nursery_ids() not in ([], before))  # type: ignore[misc]
    assert await is_sound(pool, good_video)


@pytest.mark.parametrize("victim", ["worker", "nursery"])
async def test_every_video_is_answered_rightly_while_processes_are_killed(
    pool: DecodePool, good_video: Path, victim: str
) -> None:
    chance = random.Random(victim)
    num_kills, is_over = 8, asyncio.Event()

    async def ask() -> list[bool | Exception]:
        answers: list[bool | Exception] = []
        while not is_over.is_set():
            try:
                answers.append(await is_sound(pool, good_video))
            except DecoderUnavailableError as error:
                answers.append(error)
        return answers

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    for _ in range(num_kills):
        while len(workers := worker_ids()) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(chance.uniform(0.02, 0.12))
        with suppress(ProcessLookupError):
            os.kill(chance.choice(nursery_ids() if victim == "nursery" else workers), signal.SIGKILL)
    is_over.set()
    started_at = time.monotonic()
    answers = [answer for task in asking for answer in await task]
    assert await is_sound(pool, good_video)
    assert time.monotonic() - started_at < 5
    assert False not in answers
    assert len(answers) > num_kills
    # Only a video that was interrupted twice may have gone without; a nursery takes two videos along.
    assert sum(isinstance(answer, Exception) for answer in answers) <= num_kills
