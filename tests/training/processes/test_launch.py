"""Fitting and evaluating shared by two processes on CPUs, which write a run once; also by the real launcher."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.server import ROOT
from tests.training.commands.test_menu import SMALL, call, fit_small
from tests.training.processes.forks import Outcome, call_in_processes
from tests.training.tiny import write_tiny_data
from training.data.annotations import VideoData, read_video_data
from training.data.splits import select_split
from training.runs.curves import read_records

Spread = Callable[..., Outcome]

pytestmark = pytest.mark.slow
WAIT_SECONDS = 240.0
# `accelerate launch` by the name that needs nothing of torchvision.
LAUNCHER = (
    *(Path(sys.executable).with_name("accelerate-launch"), "--multi_gpu", "--num_processes", 2, "--num_machines", 1),
    *("--main_process_port", 0, "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "training"),
)


def launch(*arguments: object) -> Outcome:
    """Run a command in two processes of the launcher that talk through gloo."""
    settings = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run([*map(str, (*LAUNCHER, *arguments))], cwd=ROOT, env={**os.environ, **settings}, check=False,
                          capture_output=True, text=True, timeout=WAIT_SECONDS)  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def fork(*arguments: object) -> Outcome:
    """Run a command in two processes that a launcher might have started; much sooner done."""
    codes, outputs, errors = zip(*call_in_processes(*arguments), strict=True)
    return Outcome(max(codes), "".join(outputs), "".join(errors))


@pytest.fixture(scope="module")
def odd_data(tmp_path_factory: pytest.TempPathFactory) -> VideoData:
    """Three videos to choose lambda on and three to report, which two processes cannot share evenly."""
    data = read_video_data(write_tiny_data(tmp_path_factory.mktemp("odd") / "data"))
    assert [len(select_split(data, split)) for split in ("val", "test")] == [3, 3]
    return data


@pytest.fixture(scope="module")
def run_dir(odd_data: VideoData, backbone_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    assert fit_small(odd_data, backbone_dir, out).exit_code == 0
    return out


def test_launched_fit_is_one_run_with_one_output(
    run_dir: Path, odd_data: VideoData, backbone_dir: Path, tmp_path: Path
) -> None:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    result = launch("fit", "dual_semantic", "--data", odd_data.directory, "--backbone", backbone_dir, "--out",
                    tmp_path / "run", "--workers", 1, *settings)  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("reparameterization") == 1
    alone, launched = ([each.loss for each in read_records(folder)] for folder in (run_dir, tmp_path / "run"))
    assert launched == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize(
    ("spread", "protocol", "written"),
    [
        (launch, "open_vocabulary", ("open_vocabulary.rankings.jsonl", "open_vocabulary.json")),
        (fork, "zero_shot", ("zero_shot/data.test.rankings.jsonl", "zero_shot/data.test.json", "zero_shot.json")),
    ],
)
def test_evaluation_of_two_processes_equals_that_of_one(
    run_dir: Path, odd_data: VideoData, tmp_path: Path, spread: Spread, protocol: str, written: tuple[str, ...]
) -> None:
    data = odd_data.directory if protocol == "open_vocabulary" else write_tiny_data(tmp_path / "data", num_train=2)
    one, two = (Path(shutil.copytree(run_dir, tmp_path / name)) for name in ("one", "two"))
    arguments = ("--protocol", protocol, "--data", data, "--workers", 1, "--views", "2x1")
    alone, shared = call("evaluate", one, *arguments), spread("evaluate", two, *arguments)
    assert (alone.exit_code, shared.exit_code) == (0, 0), shared.stderr
    assert shared.stdout.count("lambda: ") == alone.stdout.count("lambda: ") > 0
    assert read_features(two) == read_features(one)
    for name in written:
        assert strip(two / "evaluation" / name) == strip(one / "evaluation" / name)


def read_features(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "evaluation" / "features").iterdir()}


def strip(path: Path) -> object:
    """Read a file whole, but a report without the time and memory that it took."""
    if path.suffix != ".json":
        return path.read_bytes()
    return json.loads(path.read_text(encoding="utf-8"), object_hook=_without_cost)


def _without_cost(values: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if key not in ("seconds", "peak_memory_bytes")}


def test_broken_videos_of_all_processes_are_named(run_dir: Path, tmp_path: Path) -> None:
    folder = write_tiny_data(tmp_path / "data")
    for name in ("9.mp4", "10.mp4"):
        (folder / name).write_bytes(b"not a video")
    result = fork("evaluate", run_dir, "--protocol", "open_vocabulary", "--data", folder, "--workers", 1)
    assert result.exit_code == 1
    assert "2 videos do not decode: " in result.stderr
    assert all(f"{folder / name}: " in result.stderr for name in ("9.mp4", "10.mp4"))


def test_fewer_videos_than_processes_are_enough(run_dir: Path, tmp_path: Path) -> None:
    folder = write_tiny_data(tmp_path / "data")
    rows = (folder / "annotations.csv").read_text(encoding="utf-8").splitlines()
    (folder / "annotations.csv").write_text("\n".join([rows[0], rows[1], rows[13], ""]), encoding="utf-8")
    result = fork("evaluate", run_dir, "--protocol", "open_vocabulary", "--data", folder, "--lambda", 1, "--workers", 1)
    assert result.exit_code == 0, result.stderr
    report = json.loads((run_dir / "evaluation" / "open_vocabulary.json").read_text(encoding="utf-8"))
    assert (report["num_videos"], report["split"]) == (1, "test")
