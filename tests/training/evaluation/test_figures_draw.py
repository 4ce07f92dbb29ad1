"""All figures of a run: which files come, what they show, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from service.contract.errors import DuoActError
from service.contract.views import ViewPlan, read_views
from tests.training.tiny import LABELS, fit_tiny_run, write_tiny_backbone
from training.commands.menu import app
from training.data.annotations import VideoData
from training.evaluation.evaluate import Settings, evaluate
from training.evaluation.figures.attention import read_cls_attention
from training.evaluation.figures.draw import draw_figures
from training.evaluation.figures.study import FigureSettings
from training.evaluation.protocols import PROTOCOLS
from training.runs.curves import read_records
from training.runs.run import load_model, open_run

SETTINGS = FigureSettings(num_videos=2, num_workers=1)
PICTURES = ["attention.png", "tsne.png", "confusion.png", "curves.png", "lambda.png"]


@pytest.fixture(scope="module")
def run_dir(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "run"
    return fit_tiny_run(data, folder=folder, backbone=backbone_dir, cache=frames_cache)


@pytest.fixture(scope="module")
def drawn(run_dir: Path, data: VideoData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "new"
    figures = draw_figures(open_run(run_dir), data=data, settings=SETTINGS, out=out)
    assert ([each.name for each in figures.pictures], figures.left_out) == (PICTURES, ())
    return out


def test_every_picture_comes_with_its_data_and_nothing_is_left_over(drawn: Path) -> None:
    beside = ["attention.npz", "tsne.json", "confusion.json", "curves.json", "lambda.json"]
    assert sorted(path.name for path in drawn.iterdir()) == sorted(PICTURES + beside)
    for name in PICTURES:
        with Image.open(drawn / name) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) >= 400
            assert max(picture.size) <= 4000


def test_attention_is_that_of_the_first_video_of_each_label(drawn: Path, run_dir: Path, data: VideoData) -> None:
    arrays, config = np.load(drawn / "attention.npz"), load_model(run_dir).config
    assert arrays["video"].tolist() == ["12.mp4", "13.mp4"]
    assert arrays["true_label"].tolist() == [LABELS[0][0], LABELS[1][0]]
    view = read_views(data.directory / "13.mp4", preprocessing=config.preprocessing, sampling=config.sampling,
                      plan=ViewPlan()).views[0]  # fmt: skip
    np.testing.assert_array_equal(arrays["frames"][1], view)
    read = read_cls_attention(load_model(run_dir).video, torch.from_numpy(view)[None])
    np.testing.assert_allclose(arrays["adapted"][1], read.weights[0], atol=1e-6)
    np.testing.assert_allclose(arrays["adapted_patches"][1], read.patches[0], atol=1e-6)
    assert (arrays["frozen"].shape, arrays["adapted"].shape) == ((2, 4, 5), (2, 4, 12))
    for name in ("frozen", "adapted", "frame_weights"):
        np.testing.assert_allclose(arrays[name].sum(axis=-1), 1, atol=1e-5)


def test_confusion_and_lambda_are_those_of_the_evaluation(drawn: Path, run_dir: Path, data: VideoData) -> None:
    settings = Settings(num_workers=1)
    report = evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["open_vocabulary"], settings=settings)
    confusion, curve = (json.loads((drawn / f"{name}.json").read_text()) for name in ("confusion", "lambda"))
    assert (confusion["split"], confusion["num_videos"], confusion["top1"]) == ("test", 3, report.accuracies[-1].top1)
    assert report.fusion is not None
    assert confusion["lambda"] == curve["chosen"] == report.fusion.value
    assert (curve["split"], curve["how"]) == ("val", report.fusion.chosen)
    assert curve["lambda"] == [step / 20 for step in range(21)]


def test_tsne_and_curves_tell_of_every_video_and_step(drawn: Path, run_dir: Path) -> None:
    tsne = json.loads((drawn / "tsne.json").read_text())
    assert (tsne["videos"], tsne["label_ids"]) == (["12.mp4", "13.mp4", "14.mp4"], [0, 1, 2])
    assert list(tsne["projections"]) == ["without adapters (frozen CLIP)", "with adapters"]
    curves = json.loads((drawn / "curves.json").read_text())
    assert [each["loss"] for each in curves] == [each.loss for each in read_records(run_dir)]


def test_english_model_has_no_lambda_to_draw(data: VideoData, frames_cache: Path, tmp_path: Path) -> None:
    backbone = write_tiny_backbone(tmp_path / "backbone", chinese=False)
    run_dir = fit_tiny_run(data, folder=tmp_path / "run", backbone=backbone, cache=frames_cache)
    drawn = draw_figures(open_run(run_dir), data=data, settings=SETTINGS, out=tmp_path / "figures")
    assert [each.name for each in drawn.pictures] == PICTURES[:-1]
    assert drawn.left_out == ("lambda.png: the model has no Chinese branch, so that lambda is 1",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "dev"}, "split is 'dev', but .* has novel, test, train, val; choose one of these"),
        ({"select_on": "dev"}, "split is 'dev', but .* has novel, test, train, val; choose one of these"),
        ({"split": "val"}, "lambda would be chosen on split 'val', which is the one shown; choose another --select-on"),
        ({"num_videos": 4}, "videos is 4, each of another label, but split 'test' has 3 labels; give 1 to 3"),
        ({"num_videos": 0}, "videos is 0, each of another label, but split 'test' has 3 labels; give 1 to 3"),
    ],
)
def test_impossible_settings_are_refused(
    run_dir: Path, data: VideoData, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DuoActError, match=message):
        draw_figures(open_run(run_dir), data=data, settings=replace(SETTINGS, **changes), out=tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_command_draws_into_the_run_and_lists_the_pictures(run_dir: Path, data: VideoData) -> None:
    arguments = ["figures", str(run_dir), "--data", str(data.directory), "--videos", "1", "--workers", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.split()[-5:] == [str(run_dir / "figures" / name) for name in PICTURES]


def test_folder_that_is_no_run_is_one_clear_line(data: VideoData, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["figures", str(tmp_path), "--data", str(data.directory)])
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path} is not a run folder: it has no config.json\n"
