"""The small parts: spread, memory, the video, and the report on disk."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from service.bench.memory import PeakMemory, read_service_memory
from service.bench.plan import BenchError
from service.bench.report import check_writable, write_report
from service.bench.spread import Spread
from service.bench.video import make_test_video, write_test_video
from service.contract.decode import decode_frames


def test_percentiles_between_two_times_are_interpolated() -> None:
    seconds = [number / 1000 for number in range(101)]
    assert Spread.of(seconds) == Spread(num=101, mean_ms=50.0, p50_ms=50.0, p90_ms=90.0, p99_ms=99.0, max_ms=100.0)


def test_single_time_is_every_percentile() -> None:
    assert Spread.of([0.002]) == Spread(num=1, mean_ms=2.0, p50_ms=2.0, p90_ms=2.0, p99_ms=2.0, max_ms=2.0)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from /proc")
def test_peak_memory_counts_processes_below_this_one() -> None:
    before = read_service_memory()
    hold = "import sys; x = bytearray(50_000_000); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        during = read_service_memory()
        child.communicate()
    assert before is not None
    assert during is not None
    assert during.decoding_bytes - before.decoding_bytes > 50_000_000
    assert during.service_bytes >= before.service_bytes > 10_000_000


def write_process(directory: Path, *, parent: int, peak: str) -> None:
    directory.mkdir()
    (directory / "stat").write_text(f"{directory.name} (a (b) c) S {parent} 1 1")
    (directory / "status").write_text(f"Name:\tx\n{peak}Threads:\t1\n")


def test_children_of_children_count_and_those_that_ended_or_belong_to_others_do_not(tmp_path: Path) -> None:
    own = os.getpid()
    write_process(tmp_path / str(own), parent=1, peak="VmHWM:\t  30 kB\n")
    write_process(tmp_path / "4000001", parent=own, peak="VmHWM:\t  5 kB\n")
    write_process(tmp_path / "4000002", parent=4000001, peak="VmHWM:\t  7 kB\n")
    write_process(tmp_path / "4000003", parent=own, peak="")
    write_process(tmp_path / "4000004", parent=1, peak="VmHWM:\t  900 kB\n")
    (tmp_path / "4000005").mkdir()
    assert read_service_memory(tmp_path) == PeakMemory(service_bytes=30 * 1024, decoding_bytes=12 * 1024)


def test_memory_is_unknown_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert read_service_memory(tmp_path) is None


def test_test_video_is_ten_seconds_that_never_change(tmp_path: Path) -> None:
    made = make_test_video(tmp_path / "made.mp4")
    write_test_video(tmp_path / "again.mp4")
    decoded = decode_frames(made, select=lambda count: np.array([0, count - 1]), transform=lambda frame: frame)
    assert made.read_bytes() == (tmp_path / "again.mp4").read_bytes()
    assert (decoded.info.num_frames, decoded.info.duration_seconds, decoded.degraded) == (250, 10.0, None)
    assert decoded.frames.shape == (2, 240, 320, 3)
    assert [bool(frame[120, 32, 0] > 200) for frame in decoded.frames] == [True, False]


def test_report_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    check_writable(path)
    write_report(path, text="new")
    assert ([each.name for each in tmp_path.iterdir()], path.read_text()) == (["report.json"], "new")


def test_report_is_not_written_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_writable(None)
    write_report(None, text="new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nowhere/report.json", "."])
def test_place_where_no_report_can_be_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BenchError) as raised:
        check_writable(tmp_path / name)
    assert str(raised.value) == (
        f"--out is {str(tmp_path / name)!r}; give a file in a folder that exists and can be written to"
    )
