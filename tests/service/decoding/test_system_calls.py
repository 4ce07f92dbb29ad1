"""The lists of system calls suffice for every container and codec, measured on the machine that runs the tests."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.contract.errors import DuoActError, UndecodableVideoError, UnsupportedVideoError, VideoTooLargeError
from service.contract.views import VideoViews, ViewPlan, ViewRules
from service.decoding.pool import DecodePool
from service.decoding.system_calls import ALLOWED_CALLS, REFUSED_CALLS, RESTRICTED_CALLS
from tests.material import VIDEOS
from tests.service.decoding.asking import read
from tests.service.decoding.encoded import ENCODINGS, write_encoded
from tests.service.decoding.processes import wait_until, worker_ids
from tests.service.decoding.rules import RULES
from tests.videos import cut, read_number

# Arrays of 4 MiB and more get memory of another kind.
LARGE = replace(
    RULES, preprocessing=RULES.preprocessing.model_copy(update={"input_size": 512, "resize_size": (512, 512)})
)
UNFILTERED = "tests.service.decoding.entries.unfiltered"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    whole = [write_encoded(folder, name) for name in ENCODINGS]
    copies = [shutil.copy(path, folder / f"cut-{path.name}") for path in whole]
    return [*whole, *(cut(Path(path), fraction=0.7) for path in copies)]


@contextmanager
def started(rules: ViewRules, *, entry: str = "service.decoding.worker") -> Iterator[DecodePool]:
    pool = DecodePool(rules, num_workers=1, entry=entry)
    pool.start()
    wait_until(lambda: len(worker_ids()) == 2)
    yield pool
    pool.close()


async def try_to_read(pool: DecodePool, path: Path, plan: ViewPlan) -> VideoViews | DuoActError:
    try:
        return await read(pool, path, plan=plan, timeout_seconds=60.0)
    except DuoActError as error:
        return error


def read_here(rules: ViewRules, path: Path, plan: ViewPlan) -> VideoViews | Exception:
    try:
        return rules.read(path, plan=plan)
    except Exception as error:
        return error


def assert_agree(theirs: VideoViews | DuoActError, ours: VideoViews | Exception) -> None:
    if isinstance(ours, VideoViews):
        assert isinstance(theirs, VideoViews), theirs
        assert (theirs.info, theirs.degraded) == (ours.info, ours.degraded)
        for name in ("views", "indices", "time_seconds"):
            np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name), strict=True)
    elif isinstance(ours, UnsupportedVideoError | UndecodableVideoError | VideoTooLargeError):
        assert (type(theirs), str(theirs)) == (type(ours), str(ours))
    else:  # unforeseen here too
        assert str(theirs) == "the decoder failed on this video; send an undamaged video"


async def compare(paths: Sequence[Path], *, rules: ViewRules, plan: ViewPlan) -> None:
    """Read videos in a filtered worker and in this process; one that the filter ends would differ."""
    with started(rules) as pool:
        for path in paths:
            assert_agree(await try_to_read(pool, path, plan), read_here(rules, path, plan))
        assert set(pool.deaths.values()) == {0}


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_clips_are_what_they_are_called(clips: list[Path], name: str) -> None:
    views = RULES.read(next(path for path in clips if path.name == name), plan=ViewPlan())
    assert [read_number(frame) for frame in views.views[0]] == [2, 7, 12, 17]


async def test_a_filtered_worker_reads_every_clip_as_this_process_does(clips: list[Path]) -> None:
    await compare(clips, rules=RULES, plan=ViewPlan.parse("4x3"))


async def test_a_filtered_worker_reads_large_views(clips: list[Path]) -> None:
    await compare(clips[:2], rules=LARGE, plan=ViewPlan.parse("4x3"))


@pytest.mark.material
@pytest.mark.parametrize("folder", ["actions", "asl", "edge", "field", "other"])
async def test_a_filtered_worker_reads_every_real_video_as_this_process_does(folder: str) -> None:
    paths = sorted(path for path in (VIDEOS / folder).rglob("*.*") if path.is_file())
    assert paths
    await compare(paths, rules=RULES, plan=ViewPlan())


@contextmanager
def tracing(processes: Sequence[int], output: Path) -> Iterator[None]:
    """Note every system call of some processes."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    options = [f"--attach={process}" for process in processes]
    strace = subprocess.Popen(["strace", "-qq", "-f", "-o", str(output), *options], stderr=subprocess.PIPE, text=True)
    assert strace.stderr is not None
    try:
        wait_until(lambda: strace.poll() is not None or all(_is_traced(process) for process in processes))
        if strace.poll() is not None:
            pytest.skip(f"strace may not look at workers here: {strace.stderr.read()}")
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate()


def _is_traced(process: int) -> bool:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return re.search(r"^TracerPid:\t[1-9]", status, re.MULTILINE) is not None


async def test_the_lists_name_every_call_that_is_made(clips: list[Path], tmp_path: Path) -> None:
    videos = [path for path in VIDEOS.rglob("*.*") if path.is_file()] if VIDEOS.is_dir() else []
    for rules, paths in ((RULES, [*clips, *videos]), (LARGE, clips[:2])):
        output = tmp_path / str(rules.preprocessing.input_size)
        with started(rules, entry=UNFILTERED) as pool:
            with tracing(worker_ids(), output):
                for path in paths:
                    await try_to_read(pool, path, ViewPlan.parse("4x3"))
            assert set(pool.deaths.values()) == {0}
        calls = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)", output.read_text(encoding="utf-8"), re.MULTILINE))
        assert {"pread64", "write", "recvmsg", "close"} <= calls
        assert calls - {"strace"} <= {*ALLOWED_CALLS, *REFUSED_CALLS, *RESTRICTED_CALLS}
