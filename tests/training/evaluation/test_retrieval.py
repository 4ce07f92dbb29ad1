"""Retrieval: figures of small tables, and a run measured with captions in each language."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.contract.scoring import LabelBank
from service.contract.views import ViewPlan
from tests.training.tiny import LABELS, MODEL, RECIPE, write_tiny_backbone
from training.data.annotations import VideoData
from training.data.captions import CaptionedVideos
from training.errors import DataError
from training.evaluation.retrieval import RankFigures, evaluate_retrieval, render_retrieval, score_captions
from training.fitting.fit import FitResources, fit
from training.runs.run import open_run


def start(data: VideoData, *, folder: Path, backbone: Path, cache: Path) -> Path:
    fit(
        replace(RECIPE, fit=replace(RECIPE.fit, num_epochs=1)),
        data=data,
        resources=FitResources(run_dir=folder, cache_dir=cache, num_workers=1),
        backbone_dir=backbone,
        resume=False,
        begin=lambda _: lambda _: None,
    )
    return folder


def caption(data: VideoData, *, language: int) -> CaptionedVideos:
    """Give two videos the texts of three labels, the first video two of them."""
    videos = (data.directory / "0.mp4", data.directory / "2.mp4")
    texts = tuple(label[language] for label in LABELS)
    return CaptionedVideos("pairs", videos, texts, np.array([0, 0, 1]), "zh" if language else "en")


@pytest.mark.parametrize(
    ("ranks", "figures"),
    [
        ([1, 1, 1], (1.0, 1.0, 1.0, 1.0)),
        ([1, 5, 6, 11], (0.25, 0.5, 0.75, 5.5)),
        ([10, 11, 100], (0.0, 0.0, 1 / 3, 11.0)),
    ],
)
def test_figures_are_shares_of_ranks_and_their_median(ranks: list[int], figures: tuple[float, ...]) -> None:
    assert RankFigures.of(np.array(ranks)) == RankFigures(*figures)


def test_captions_score_as_labels_do() -> None:
    axes = np.eye(3, dtype=np.float32)
    features = np.repeat(axes[:2, None, None], 4, axis=2)
    english = LabelBank(english=axes, words=axes, word_counts=np.ones(3, np.int64))
    np.testing.assert_allclose(score_captions(features, english, config=MODEL), np.eye(2, 3), atol=1e-6)
    chinese = LabelBank(chinese=axes[::-1].copy())
    np.testing.assert_allclose(score_captions(features, chinese, config=MODEL), np.eye(2, 3)[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("language", [0, 1])
def test_run_is_measured_in_the_language_of_the_captions(
    data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path, language: int
) -> None:
    run_dir = start(data, folder=tmp_path / "run", backbone=backbone_dir, cache=frames_cache)
    captioned = caption(data, language=language)
    report = evaluate_retrieval(open_run(run_dir), captioned=captioned, model="run", plan=ViewPlan(), num_workers=1)
    written = json.loads((run_dir / "evaluation" / "retrieval" / "pairs.json").read_text(encoding="utf-8"))
    assert {key: written[key] for key in ("data", "language", "model", "num_videos", "num_captions", "views")} == {
        "data": "pairs", "language": captioned.language, "model": "run", "num_videos": 2, "num_captions": 3,
        "views": "1x1",
    }  # fmt: skip
    assert written["text_to_video"]["recall_at_5"] == written["video_to_text"]["recall_at_10"] == 1.0
    assert (run_dir / "evaluation" / "retrieval" / "pairs.md").read_text(encoding="utf-8") == render_retrieval(report)


def test_chinese_captions_need_a_chinese_branch(data: VideoData, frames_cache: Path, tmp_path: Path) -> None:
    backbone = write_tiny_backbone(tmp_path / "backbone", chinese=False)
    run_dir = start(data, folder=tmp_path / "run", backbone=backbone, cache=frames_cache)
    with pytest.raises(DataError, match="captions of pairs are Chinese, and this model reads English alone; translate"):
        evaluate_retrieval(
            open_run(run_dir), captioned=caption(data, language=1), model="vanilla", plan=ViewPlan(), num_workers=1
        )
