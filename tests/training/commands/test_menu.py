"""`duoact-train` as a command: results where they belong, and one clear line for every mistake."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.contract.manifest import open_bundle
from tests.training.tiny import write_tiny_data
from training.commands.menu import app
from training.data.annotations import VideoData

SMALL = ("num_frames=4", "num_global_prompts=2", "beta_width=4", "num_epochs=1", "batch_size=4")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def fit_small(data: VideoData, backbone: Path, out: Path, *extra: object) -> Result:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return call("fit", "dual_semantic", "--data", data.directory, "--backbone", backbone, "--out", out,
                "--workers", 1, *settings, *extra)  # fmt: skip


@pytest.fixture(scope="session")
def run_dir(data: VideoData, backbone_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    result = fit_small(data, backbone_dir, out)
    assert result.exit_code == 0, result.output
    assert "reparameterization" in result.output
    return out


def test_info_prints_the_figures_as_json() -> None:
    card = json.loads(call("info", "dual_semantic", "--json").stdout)
    assert card["trainable_parameters"] == 54_231_168
    assert card["frozen_parameters"] == 251_691_008
    assert card["gmacs_per_view"] == 148.546
    assert card["groups"]["reparameterization"] == {"trainable": 18_623_616, "frozen": 0}


@pytest.mark.parametrize(
    ("arguments", "trainable", "gmacs"),
    [
        (["dual_semantic", "--set", "beta=none"], 35_607_552, 145.673),
        (["dual_semantic", "--frames", "16"], 54_311_040, 303.432),
        (["dual_semantic", "--set", "num_global_prompts=5"], 54_203_520, None),
        (["vanilla"], 0, 140.508),
        (["vanilla", "--backbone", "ViT-L-14", "--frames", "1"], 0, 81.013),
    ],
)
def test_info_follows_its_options(arguments: list[str], trainable: int, gmacs: float | None) -> None:
    card = json.loads(call("info", *arguments, "--json").stdout)
    assert card["trainable_parameters"] == trainable
    assert gmacs in (None, card["gmacs_per_view"])


def test_info_prints_a_table() -> None:
    output = call("info", "dual_semantic", "--set", "beta_width=112").output
    assert "temporal_prompts" in output
    assert "GMACs a view" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "tsm"], "method is 'tsm'; known are dual_semantic, vanilla"),
        (["info", "vanilla", "--backbone", "RN50"], "architecture is 'RN50', but only open_clip's ViT CLIPs"),
        (["info", "vanilla", "--frames", "0"], "num_frames is 0; a clip of method 'vanilla' has at least 1 of them"),
        (["info", "dual_semantic", "--set", "colour=red"], "--set does not know colour; allowed are aggregation, beta"),
        (["fit", "deom", "--data", "x", "--out", "y"], "recipe is 'deom'; known are demo"),
        (["fit", "demo", "--data", "x", "--out", "y"], "x lacks labels.csv and annotations.csv"),
        (["evaluate", "x", "--protocol", "p", "--data", "y"], "protocol is 'p'; known are open_vocabulary"),
        (["evaluate", "x", "--protocol", "novel_compositions", "--views", "7", "--data", "y"], "views is '7'"),
        (["evaluate", "x", "--protocol", "base_to_novel", "--data", "y", "--data", "z"], "has one data folder and its"),
        (
            ["evaluate", "x", "--protocol", "base_to_novel", "--data", "y", "--split", "val"],
            "only zero_shot takes others",
        ),
        (
            ["evaluate", "x", "--protocol", "frozen_baseline", "--vanilla", "--data", "y"],
            "--vanilla changes what is meas",
        ),
        (
            ["retrieve", "x", "--data", "y"],
            "y has neither captions.json nor captions.csv; name a caption file with --c",
        ),
        (["export", "x", "--out", "y"], "x is not a run folder: it has no config.json"),
        (["verify", "x"], "x is not a bundle"),
        (["ablate", "heads"], "table is 'heads'; known are components"),
        (
            ["ablate", "beta", "--data", "x"],
            "a table needs --data, --backbone and --out; --list shows its variants without them",
        ),
        (["ablate", "beta", "--data", "x", "--backbone", "y", "--out", "z"], "x lacks labels.csv and annotations.csv"),
    ],
)
def test_mistake_is_one_clear_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_taken_run_is_refused_and_can_be_resumed(run_dir: Path, data: VideoData, backbone_dir: Path) -> None:
    assert "holds a run; continue it with --resume" in fit_small(data, backbone_dir, run_dir).stderr
    assert fit_small(data, backbone_dir, run_dir, "--resume").exit_code == 0


def test_evaluate_prints_the_report(run_dir: Path, data: VideoData) -> None:
    result = call("evaluate", run_dir, "--protocol", "open_vocabulary", "--data", data.directory, "--workers", 1,
                  "--lambda", 0.4)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "lambda: 0.4 (given)" in result.output
    assert (run_dir / "evaluation" / "open_vocabulary.rankings.jsonl").is_file()


def test_zero_shot_takes_other_data_and_the_lambda_of_the_run(run_dir: Path, tmp_path: Path) -> None:
    other = write_tiny_data(tmp_path / "other", num_train=3)
    result = call("evaluate", run_dir, "--protocol", "zero_shot", "--data", other, "--split", "val", "--split", "test",
                  "--workers", 1)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "videos of other, val (3 labels): 3" in result.output
    assert "lambda: 0." in result.output
    result = call("evaluate", run_dir, "--protocol", "zero_shot", "--data", other, "--vanilla", "--workers", 1,
                  "--lambda", 1)  # fmt: skip
    assert "lambda: 1.0 (given)" in result.output
    assert (run_dir / "evaluation" / "vanilla_zero_shot.json").is_file()


def test_retrieve_prints_both_directions(run_dir: Path, data: VideoData, tmp_path: Path) -> None:
    captions = tmp_path / "captions.csv"
    captions.write_text("video,caption\n0.mp4,circle moving left\n1,waving\n", encoding="utf-8")
    result = call("retrieve", run_dir, "--data", data.directory, "--captions", captions, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "text to video" in result.output
    assert (run_dir / "evaluation" / "retrieval" / "captions.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("graph_format", ["onnx", "torchscript"])
def test_exported_bundle_verifies(run_dir: Path, tmp_path: Path, graph_format: str) -> None:
    result = call("export", run_dir, "--out", tmp_path / "bundle", "--format", graph_format, "--name", "small")
    assert result.exit_code == 0, result.output
    manifest = open_bundle(tmp_path / "bundle").manifest
    assert (manifest.name, manifest.label_sets) == ("small", ("data",))
    assert manifest.provenance.recipe == "dual_semantic"
    result = call("verify", tmp_path / "bundle", "--run", run_dir)
    assert result.exit_code == 0, result.output
    assert "video_encoder" in result.output
