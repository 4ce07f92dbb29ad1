"""What a pool says of the guards that hold, and what becomes of one whose workers cannot be guarded."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.contract.errors import DecoderUnavailableError, UndecodableVideoError
from service.decoding.pool import DecodePool
from service.decoding.sandbox import SandboxLimits, SandboxReport
from tests.end_to_end.server import ROOT
from tests.service.decoding.asking import read
from tests.service.decoding.processes import nursery_ids
from tests.service.decoding.rules import RULES
from tests.videos import Encoding, read_number, write_numbered_video

# What these do to their process must not happen in this one, so none is imported here.
STILLBORN, THREADED, UNFILTERED, UNLOCKED = (
    f"tests.service.decoding.entries.{name}" for name in ("stillborn", "threaded", "unfiltered", "unlocked")
)
IS_ROOT = os.geteuid() == 0


@contextmanager
def starting(entry: str) -> Iterator[tuple[DecodePool, SandboxReport]]:
    pool = DecodePool(RULES, num_workers=1, entry=entry)
    report = pool.start()
    yield pool, report
    pool.close()


async def is_read(pool: DecodePool, folder: Path) -> bool:
    path = write_numbered_video(folder / "good.mp4", num_frames=20)
    views = await read(pool, path)
    return [read_number(frame) for frame in views.views[0]] == [2, 7, 12, 17]


async def test_every_guard_holds(tmp_path: Path) -> None:
    with starting("service.decoding.worker") as (pool, report):
        assert report == SandboxReport(
            filters_system_calls=True,
            landlock_version=report.landlock_version,
            forbids_new_privileges=True,
            forbids_dumps=True,
            runs_as_nobody=IS_ROOT,
            problems=report.problems,
        )
        assert bool(report.landlock_version) is not bool(report.problems)
        assert await is_read(pool, tmp_path)


@pytest.mark.skipif(not IS_ROOT, reason="nobody else may ask for real time")
def test_a_worker_never_runs_in_real_time() -> None:
    script = (
        "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))\n"
        "from service.decoding.pool import DecodePool\n"
        "from tests.service.decoding.processes import worker_ids\n"
        "from tests.service.decoding.rules import RULES\n"
        "pool = DecodePool(RULES, num_workers=1); pool.start()\n"
        "print(*{os.sched_getscheduler(worker) for worker in worker_ids()}); pool.close()"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.split() == [str(os.SCHED_OTHER)]


async def test_without_libseccomp_videos_are_read_and_the_report_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with starting(UNFILTERED) as (pool, report):
        assert not report.filters_system_calls
        assert report.problems[0].startswith("no filter of system calls: import of pyseccomp halted")
        assert report.problems[0].endswith("; install libseccomp")
        assert report.forbids_new_privileges
        assert "videos are decoded WITHOUT some guards: no filter of system calls" in caplog.text
        assert await is_read(pool, tmp_path)


async def test_without_landlock_and_users_videos_are_read_and_the_report_says_so(tmp_path: Path) -> None:
    with starting(UNLOCKED) as (pool, report):
        assert report.landlock_version == 0
        assert not report.runs_as_nobody
        as_root = ["workers run as root: [Errno 1] Operation not permitted; allow root to change its user, or start "]
        expected = [*(as_root if IS_ROOT else []), "no Landlock: Operation not permitted; use Linux 5.13 or later"]
        assert all(said.startswith(text) for said, text in zip(report.problems, expected, strict=True))
        assert await is_read(pool, tmp_path)


@pytest.mark.parametrize("entry", [STILLBORN, THREADED, "tests.no_such_module"])
def test_a_pool_whose_workers_cannot_live_does_not_start(entry: str, capfd: pytest.CaptureFixture[str]) -> None:
    pool = DecodePool(RULES, num_workers=1, entry=entry)
    with pytest.raises(DecoderUnavailableError, match="no video can be decoded: no decoding worker can be started"):
        pool.start()
    assert pool.guards is None
    assert nursery_ids() == []
    reasons = {STILLBORN: "no folder to stand in", THREADED: "2 threads run where workers are forked"}
    assert reasons.get(entry, "No module named 'tests.no_such_module'") in capfd.readouterr().err


async def test_a_video_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "large.mp4", num_frames=8, encoding=Encoding(size=(3840, 2160)))
    pool = DecodePool(RULES, num_workers=1, limits=SandboxLimits(memory_bytes=100 * 1024**2))
    pool.start()
    with pytest.raises(UndecodableVideoError):
        await read(pool, path)
    assert await is_read(pool, tmp_path)
    pool.close()
