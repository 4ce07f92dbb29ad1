"""`duoact-train ablate` as a command."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from training.commands.menu import app
from training.data.annotations import VideoData

SMALL = ("num_frames=4", "num_global_prompts=2", "beta_width=4", "num_epochs=1", "batch_size=4")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["ablate", *map(str, arguments)], env={"COLUMNS": "200"})


def ablate(data: VideoData, backbone: Path, out: Path, *extra: object) -> Result:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return call("frames", "--data", data.directory, "--backbone", backbone, "--out", out, "--workers", 1,
                "--only", "frames_4", "--seeds", "0", *settings, *extra)  # fmt: skip


def test_table_is_run_and_reported(data: VideoData, backbone_dir: Path, tmp_path: Path) -> None:
    result = ablate(data, backbone_dir, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1/1 frames_4, seed 0: top-1" in result.output
    assert f"report: {tmp_path / 'out' / 'report'}.md, .json and .png" in result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert [each["seeds"] for each in report["variants"]] == [[0], [], [], []]
    assert report["circumstances"]["recipe"].startswith("dual_semantic with num_frames=4, num_global_prompts=2")


def test_failed_run_fails_the_command(data: VideoData, backbone_dir: Path, tmp_path: Path) -> None:
    result = ablate(data, backbone_dir, tmp_path / "out", "--set", "train_split=nowhere")
    assert result.exit_code == 1
    assert "frames_4, seed 0: FAILED, DataError: split is 'nowhere'" in result.output
    assert "1 runs failed; repeat the command to try them again" in result.output


def test_list_shows_variants_without_data() -> None:
    result = call("beta", "--list")
    assert result.exit_code == 0
    assert "72.8 / 93.5" in result.output
    assert "transformer" in result.output


@pytest.mark.parametrize("seeds", ["", "0,0", "1,two", "-1"])
def test_seeds_are_different_whole_numbers(data: VideoData, backbone_dir: Path, tmp_path: Path, seeds: str) -> None:
    result = call("frames", "--data", data.directory, "--backbone", backbone_dir, "--out", tmp_path / "out",
                  f"--seeds={seeds}")  # fmt: skip
    assert result.exit_code == 1
    assert f"--seeds is {seeds!r}; write different whole numbers from 0 on, like 0,1,2" in result.stderr
