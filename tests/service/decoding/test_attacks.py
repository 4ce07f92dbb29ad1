"""What a worker that was taken over can do: nothing. Each attack runs as code inside a real worker of a real pool."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.contract.errors import DeadlineExceededError, UndecodableVideoError
from service.decoding.pool import DecodePool
from service.decoding.sandbox import NOBODY
from tests.service.decoding.asking import attack, is_sound, read
from tests.service.decoding.entries import hostile
from tests.service.decoding.entries.hostile import CALLS, CRAFTED
from tests.service.decoding.processes import nursery_ids, read_status, wait_until, worker_ids
from tests.service.decoding.rules import RULES

# Libraries go on where these are refused; everything else is the worker's end.
REFUSED = {
    "open a file": "EPERM",
    "open a file for writing": "EPERM",
    "open the gateway's environment": "EPERM",
    "open the gateway's memory": "EPERM",
    "open its own environment": "EPERM",
    "list the processes": "EPERM",
    "look at a file": "EPERM",
    "read a link": "EPERM",
    "change the gateway's limits": "EPERM",
    "read the gateway's limits": "EPERM",
    "raise its own limit of files": "ValueError",
    "steer a device": "EPERM",
    "change a descriptor": "EPERM",
    "copy a descriptor": "EPERM",
    "take much memory": "MemoryError",
}
ALLOWED = {"look at the clock"}
OTHERS = {"spin", "spin once", "abort once"}
FATAL = sorted(CALLS.keys() - REFUSED.keys() - ALLOWED - OTHERS)
ESCAPE = Path("/tmp/sandbox-escape")


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    decode_pool = DecodePool(RULES, num_workers=1, entry=hostile.__name__)
    decode_pool.start()
    yield decode_pool
    decode_pool.close()


async def is_unharmed(pool: DecodePool, good_video: Path) -> bool:
    return await is_sound(pool, good_video) and not ESCAPE.exists()


@pytest.mark.parametrize(("name", "answer"), REFUSED.items())
async def test_a_call_is_refused(pool: DecodePool, good_video: Path, tmp_path: Path, name: str, answer: str) -> None:
    with pytest.raises(UndecodableVideoError, match=f"^refused with {answer}$"):
        await attack(pool, name, folder=tmp_path)
    assert await is_unharmed(pool, good_video)


@pytest.mark.parametrize("name", FATAL)
async def test_a_call_is_the_worker_s_end(
    pool: DecodePool, good_video: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    num_crashes = pool.deaths["crashed"]
    with pytest.raises(UndecodableVideoError, match=r"^the decoder died on this video; send an undamaged video$"):
        await attack(pool, name, folder=tmp_path)
    assert await is_unharmed(pool, good_video)
    wait_until(lambda: pool.deaths["crashed"] > num_crashes)
    endings = {"read where nothing is": "ended by SIGSEGV", "leave": "ended with code 0"}
    assert endings.get(name, "ended by SIGSYS") in caplog.text


async def test_an_attack_that_only_looks_at_itself_comes_through(pool: DecodePool, tmp_path: Path) -> None:
    with pytest.raises(UndecodableVideoError, match=r"^DONE: True$"):
        await attack(pool, "look at the clock", folder=tmp_path)


@pytest.mark.parametrize("name", sorted(CRAFTED.keys() - {"the next answer too"}))
async def test_a_crafted_answer_is_thrown_away(pool: DecodePool, good_video: Path, tmp_path: Path, name: str) -> None:
    num_malformed = pool.deaths["malformed"]
    if name == "no end of answers":
        # The first of them is a good one; the others are the worker's end before the next video.
        views = await attack(pool, name, folder=tmp_path)
        assert not views.views.any()
    else:
        with pytest.raises(UndecodableVideoError, match=r"^the decoder (failed|died) on this video; send an und"):
            await attack(pool, name, folder=tmp_path)
    assert await is_unharmed(pool, good_video)
    wait_until(lambda: pool.deaths["malformed"] > num_malformed)


async def test_an_answer_that_nobody_asked_for_is_not_the_next_video_s(
    pool: DecodePool, good_video: Path, tmp_path: Path
) -> None:
    assert (await attack(pool, "the next answer too", folder=tmp_path)).info.codec == "h264"
    assert (await read(pool, good_video)).info.codec == "h264"
    assert await is_unharmed(pool, good_video)


async def test_pixels_cannot_change_after_the_answer(pool: DecodePool, good_video: Path) -> None:
    views = (await read(pool, good_video)).views
    assert views.flags.owndata
    assert views.flags.writeable
    assert not any("memfd" in str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    np.testing.assert_array_equal(views, (await read(pool, good_video)).views)


async def test_a_worker_that_computes_for_ever_is_cut_off(pool: DecodePool, good_video: Path, tmp_path: Path) -> None:
    with pytest.raises(DeadlineExceededError, match=r"decoding took longer than 0\.2 seconds"):
        await attack(pool, "spin", folder=tmp_path, timeout_seconds=0.2)
    assert await is_unharmed(pool, good_video)
    wait_until(lambda: pool.deaths["abandoned"] > 0)


async def test_a_worker_has_nothing_of_the_gateway_s(pool: DecodePool, good_video: Path) -> None:
    assert await is_unharmed(pool, good_video)
    wait_until(lambda: [read_status(worker).get("Seccomp") for worker in worker_ids()] == ["2", "2"])
    for worker in worker_ids():
        status = read_status(worker)
        assert (status["Threads"], status["NoNewPrivs"]) == ("1", "1")
        assert set(status["Uid"].split()) == {str(NOBODY if os.geteuid() == 0 else os.geteuid())}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into workers, which is as it should be")
async def test_a_worker_inherits_nothing(pool: DecodePool, good_video: Path) -> None:
    assert await is_unharmed(pool, good_video)
    wait_until(lambda: [read_status(worker).get("Seccomp") for worker in worker_ids()] == ["2", "2"])
    # The one that answered lets go of its video a moment later.
    wait_until(lambda: all(len(list(Path(f"/proc/{worker}/fd").iterdir())) <= 4 for worker in worker_ids()))
    for process in (*nursery_ids()[-1:], *worker_ids()):
        assert Path(f"/proc/{process}/environ").read_bytes() == b"OPENBLAS_NUM_THREADS=1\0"
    for worker in worker_ids():
        folder = Path(f"/proc/{worker}")
        descriptors = {entry.name: str(entry.readlink()) for entry in (folder / "fd").iterdir()}
        assert {descriptors.pop(name) for name in "012"} == {os.devnull}
        assert re.fullmatch(r"3: socket:\[\d+\]", "; ".join(": ".join(each) for each in descriptors.items()))
        assert (folder / "cwd").readlink() == Path("/")
        assert set(read_status(worker)["CapEff"]) == {"0"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every process")
async def test_others_of_the_user_cannot_look_into_a_worker(pool: DecodePool, good_video: Path) -> None:
    assert await is_unharmed(pool, good_video)
    for process in (*nursery_ids()[-1:], *worker_ids()):
        with pytest.raises(PermissionError):
            Path(f"/proc/{process}/environ").read_bytes()


async def test_a_worker_s_limits_are_small(pool: DecodePool, good_video: Path) -> None:
    assert await is_unharmed(pool, good_video)
    text = Path(f"/proc/{worker_ids()[0]}/limits").read_text(encoding="ascii")
    limits = {line[:25].strip(): line[26:60].split() for line in text.splitlines()}
    assert limits["Max open files"] == ["16", "16"]
    assert limits["Max processes"] == ["0", "0"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max address space"][0] != "unlimited"
