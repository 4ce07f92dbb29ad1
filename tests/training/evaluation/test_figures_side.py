"""Figures of runs with a side network, and of those that pool frames: what is drawn, and what is left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from service.contract.views import ViewPlan, read_views
from tests.training.fine_tuned import FINE_TUNING
from tests.training.side import side_config
from tests.training.tiny import LABELS, RECIPE, write_tiny_data
from training.commands.menu import app
from training.config.model import Recipe
from training.data.annotations import VideoData, read_video_data
from training.errors import SettingError
from training.evaluation.embed import embed_complete_labels
from training.evaluation.evaluate import load_protocol_model
from training.evaluation.figures.draw import Drawn, draw_figures
from training.evaluation.figures.evidence import read_text_similarity
from training.evaluation.figures.study import FigureSettings
from training.evaluation.protocols import Protocol
from training.fitting.fit import FitResources, fit
from training.runs.run import load_model, open_run

SETTINGS = FigureSettings(num_videos=2, num_workers=1)
IN_ITS_PLACE = "attention.png: of a side network, activation.png is drawn in its place"
NO_LAMBDA = "lambda.png: a closed vocabulary is scored by logits, in no language"
NO_CHINESE = "lambda.png: the model has no Chinese branch, so that lambda is 1"
NO_ENGLISH = "the line of CLIP in activation.png: it reads English, and a class has no English text"
POOLED = "the weights of frames in attention.png: the model pools frames inside its tower"


def side_recipe(head: str) -> Recipe:
    return replace(RECIPE, name="tiny_tds", model=side_config(head=head))


def fit_run(recipe: Recipe, *, data: VideoData, folder: Path, backbone: Path, cache: Path) -> Path:
    fit(
        replace(recipe, fit=replace(recipe.fit, num_epochs=1)),
        data=data,
        resources=FitResources(run_dir=folder, cache_dir=cache, num_workers=1),
        backbone_dir=backbone,
        resume=False,
        begin=lambda _: lambda _: None,
    )
    return folder


@pytest.fixture(scope="module", params=["linear", "cosine"])
def run_dir(request: pytest.FixtureRequest, data: VideoData, backbone_dir: Path, frames_cache: Path,
            tmp_path_factory: pytest.TempPathFactory) -> Path:  # fmt: skip
    folder = tmp_path_factory.mktemp("side") / request.param
    recipe = side_recipe(request.param)
    return fit_run(recipe, data=data, folder=folder, backbone=backbone_dir, cache=frames_cache)


@pytest.fixture(scope="module")
def drawn(run_dir: Path, data: VideoData) -> Drawn:
    return draw_figures(open_run(run_dir), data=data, settings=SETTINGS, out=run_dir / "figures")


def test_activations_stand_in_the_place_of_attention(drawn: Drawn, run_dir: Path) -> None:
    assert [each.name for each in drawn.pictures] == ["activation.png", "tsne.png", "confusion.png", "curves.png"]
    assert drawn.left_out == (IN_ITS_PLACE, NO_LAMBDA if run_dir.name == "linear" else NO_CHINESE)
    names = ["activation.npz", "activation.png", "confusion.json", "confusion.png", "curves.json", "curves.png"]
    assert sorted(path.name for path in (run_dir / "figures").iterdir()) == [*names, "tsne.json", "tsne.png"]
    for picture in drawn.pictures:
        with Image.open(picture) as opened:
            assert 400 <= min(opened.size) <= max(opened.size) <= 4000


def test_drawn_evidence_adds_up_to_the_label_against_the_average(drawn: Drawn, run_dir: Path, data: VideoData) -> None:
    arrays, model = np.load(drawn.pictures[0].with_suffix(".npz")), load_model(run_dir)
    assert arrays["video"].tolist() == ["12.mp4", "13.mp4"]
    assert arrays["true_label"].tolist() == [LABELS[0][0], LABELS[1][0]]
    view = read_views(data.directory / "13.mp4", preprocessing=model.config.preprocessing,
                      sampling=model.config.sampling, plan=ViewPlan()).views[0]  # fmt: skip
    np.testing.assert_array_equal(arrays["frames"][1], view[:, 2])
    scores = model.encode_video(torch.from_numpy(view)[None])[0, 0].numpy(force=True)
    if run_dir.name == "cosine":
        scores = embed_complete_labels(model, data.labels).english @ scores
    whole = arrays["side"].mean(axis=(1, 2, 3)) + arrays["side_bias"]
    assert whole[1] == pytest.approx(scores[1] - scores.mean(), abs=1e-5)


def test_clip_is_drawn_on_the_centre_frames(drawn: Drawn, run_dir: Path, data: VideoData) -> None:
    arrays = np.load(drawn.pictures[0].with_suffix(".npz"))
    frozen = load_protocol_model(open_run(run_dir), protocol=Protocol("figures", "test", "frozen"))
    texts = torch.from_numpy(embed_complete_labels(frozen, data.labels).english)
    similarity = read_text_similarity(frozen.video, torch.from_numpy(arrays["frames"][0]), texts=texts)
    expected = similarity[0] - similarity.mean(dim=0)
    np.testing.assert_allclose(arrays["frozen"][0], expected, atol=1e-6)


def test_the_same_run_is_drawn_the_same_every_time(
    drawn: Drawn, run_dir: Path, data: VideoData, tmp_path: Path
) -> None:
    draw_figures(open_run(run_dir), data=data, settings=SETTINGS, out=tmp_path)
    for path in drawn.pictures[0].parent.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_split_on_which_no_lambda_is_chosen_may_be_shown(run_dir: Path, data: VideoData, tmp_path: Path) -> None:
    settings = replace(SETTINGS, split="val", num_videos=1)
    assert len(draw_figures(open_run(run_dir), data=data, settings=settings, out=tmp_path).pictures) == 4


def test_closed_vocabulary_without_english_leaves_clip_out(backbone_dir: Path, tmp_path: Path) -> None:
    folder = write_tiny_data(tmp_path / "data", num_train=6)
    rows = [f"{number},,{zh}" for number, (_, zh) in enumerate(LABELS)]
    (folder / "labels.csv").write_text("\n".join(["id,en,zh", *rows]) + "\n", encoding="utf-8")
    data, recipe = read_video_data(folder), side_recipe("linear")
    run = fit_run(recipe, data=data, folder=tmp_path / "run", backbone=backbone_dir, cache=tmp_path / "cache")
    drawn = draw_figures(open_run(run), data=data, settings=SETTINGS, out=tmp_path / "figures")
    assert drawn.left_out == (IN_ITS_PLACE, NO_ENGLISH, NO_LAMBDA)
    assert "frozen" not in np.load(tmp_path / "figures" / "activation.npz")


def test_labels_outside_a_closed_vocabulary_are_named(backbone_dir: Path, tmp_path: Path) -> None:
    folder = write_tiny_data(tmp_path / "data")
    table = folder / "annotations.csv"
    table.write_text(table.read_text().replace("2,train", "2,unused"))
    data, recipe = read_video_data(folder), side_recipe("linear")
    run = fit_run(recipe, data=data, folder=tmp_path / "run", backbone=backbone_dir, cache=tmp_path / "cache")
    with pytest.raises(SettingError, match=r"1 of 3 videos of split 'test' have labels that are none of the run's 2 "):
        draw_figures(open_run(run), data=data, settings=SETTINGS, out=tmp_path / "figures")


def test_command_says_on_stderr_what_is_left_out(run_dir: Path, data: VideoData, tmp_path: Path) -> None:
    arguments = ["figures", str(run_dir), "--data", str(data.directory), "--videos", "1", "--workers", "1"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0] == f"left out: {IN_ITS_PLACE}"
    names = ("activation.png", "tsne.png", "confusion.png", "curves.png")
    assert result.stdout.split()[-4:] == [str(tmp_path / name) for name in names]


def test_model_that_pools_frames_has_no_weights_of_them(
    data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path
) -> None:
    run = fit_run(FINE_TUNING, data=data, folder=tmp_path / "run", backbone=backbone_dir, cache=frames_cache)
    drawn = draw_figures(open_run(run), data=data, settings=SETTINGS, out=tmp_path / "figures")
    assert drawn.pictures[0].name == "attention.png"
    assert drawn.left_out == (POOLED, NO_CHINESE)
