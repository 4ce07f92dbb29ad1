"""Evaluating a run: report, rankings, choice of lambda, and what the bundle's manifest says of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.contract.labels import Label
from service.contract.manifest import Lambda
from service.contract.views import ViewPlan
from tests.training.tiny import LABELS, RECIPE, write_tiny_backbone
from training.checkpoint import load_model
from training.data.annotations import VideoData
from training.errors import SettingError
from training.evaluation.embed import embed_complete_labels, embed_split
from training.evaluation.evaluate import Settings, evaluate
from training.evaluation.protocols import PROTOCOLS, Protocol, Reading, score_split
from training.evaluation.report import render_markdown
from training.fit import Workplace, fit
from training.provenance import choose_fusion, describe_provenance

SETTINGS = Settings(num_workers=1)


def start(data: VideoData, *, folder: Path, backbone: Path, cache: Path) -> Path:
    fit(
        replace(RECIPE, fit=replace(RECIPE.fit, num_epochs=1)),
        data=data,
        workplace=Workplace(run_dir=folder, cache_dir=cache, num_workers=1),
        backbone_dir=backbone,
        resume=False,
        begin=lambda _: lambda _: None,
    )
    return folder


@pytest.fixture
def run_dir(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path) -> Path:
    return start(data, folder=tmp_path / "run", backbone=backbone_dir, cache=frames_cache)


def test_report_states_its_circumstances(run_dir: Path, data: VideoData) -> None:
    report = evaluate(run_dir, data=data, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)
    written = json.loads((run_dir / "evaluation" / "open_vocabulary.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(report.to_json()))
    assert {key: written[key] for key in ("data", "split", "num_videos", "num_labels", "views", "num_frames")} == {
        "data": "data", "split": "test", "num_videos": 3, "num_labels": 3, "views": "1x1", "num_frames": 4,
    }  # fmt: skip
    assert [each["reading"] for each in written["accuracies"]] == [
        "English", "Chinese", "Chinese, frames averaged", "fused",
    ]  # fmt: skip
    assert written["fusion"]["chosen"].startswith("best top-1")
    assert (run_dir / "evaluation" / "open_vocabulary.md").read_text(encoding="utf-8") == render_markdown(report)


def test_rankings_are_those_of_the_scores(run_dir: Path, data: VideoData, tmp_path: Path) -> None:
    settings = replace(SETTINGS, fusion_lambda=0.3)
    evaluate(run_dir, data=data, protocol=PROTOCOLS["novel_compositions"], settings=settings)
    lines = (run_dir / "evaluation" / "novel_compositions.rankings.jsonl").read_text(encoding="utf-8").splitlines()
    model = load_model(run_dir)
    embedded = embed_split(model, data=data, split="novel", plan=ViewPlan(), cache_dir=tmp_path, num_workers=1)
    bank = embed_complete_labels(model, data.labels)
    scores = score_split(embedded, bank, config=model.config, reading=Reading("fused", 0.3, True))
    for line, own, label in zip(map(json.loads, lines), scores.per_video, LABELS, strict=True):
        order = np.argsort(-own.probability).tolist()
        assert line["label"] == {"en": label[0], "zh": label[1]}
        assert [each["label"]["en"] for each in line["predictions"]] == [LABELS[index][0] for index in order]
        assert [each["rank"] for each in line["predictions"]] == [1, 2, 3]
        for key in ("score", "probability", "similarity_en", "similarity_zh"):
            found = [each[key] for each in line["predictions"]]
            assert found == pytest.approx(getattr(own, key)[order].tolist(), abs=1e-6)


def test_frozen_baseline_has_no_adapters_and_averages_frames(run_dir: Path, data: VideoData) -> None:
    report = evaluate(run_dir, data=data, protocol=PROTOCOLS["frozen_baseline"], settings=SETTINGS)
    assert (report.model, report.aggregation) == ("frozen", "mean")
    english, *_ = report.accuracies
    assert english.top5 == 1.0


def test_english_model_is_reported_in_english_alone(data: VideoData, frames_cache: Path, tmp_path: Path) -> None:
    backbone = write_tiny_backbone(tmp_path / "backbone", chinese=False)
    run_dir = start(data, folder=tmp_path / "run", backbone=backbone, cache=frames_cache)
    report = evaluate(run_dir, data=data, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)
    assert [each.reading for each in report.accuracies] == ["English"]
    assert report.fusion == Lambda(value=1.0, chosen="no Chinese branch")
    assert choose_fusion(run_dir, has_chinese=False) == report.fusion


def test_lambda_is_never_chosen_on_the_reported_split(run_dir: Path, data: VideoData) -> None:
    protocol = Protocol("validation", "val")
    with pytest.raises(SettingError, match="lambda would be chosen on split 'val', which is the one reported"):
        evaluate(run_dir, data=data, protocol=protocol, settings=SETTINGS)


def test_lambda_outside_its_range_is_refused(run_dir: Path, data: VideoData) -> None:
    with pytest.raises(SettingError, match=r"lambda is 1.5; it must be between 0 \(Chinese\) and 1 \(English\)"):
        evaluate(run_dir, data=data, protocol=PROTOCOLS["open_vocabulary"], settings=Settings(fusion_lambda=1.5))


def test_manifest_tells_of_recipe_data_and_figures(run_dir: Path, data: VideoData) -> None:
    report = evaluate(run_dir, data=data, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)
    provenance = describe_provenance(run_dir)
    assert provenance.recipe == "tiny"
    assert provenance.config["fit"]["num_epochs"] == 1
    assert provenance.training_data["num_videos"] == {"novel": 3, "test": 3, "train": 9, "val": 3}
    first = provenance.metrics[0]
    assert (first.name, first.protocol) == ("top1 (English)", "open_vocabulary: split test, 3 videos, 1x1 views")
    assert first.value == report.accuracies[0].top1
    assert choose_fusion(run_dir, has_chinese=True) == report.fusion


def test_fusion_of_a_run_that_was_not_evaluated_is_one_half(run_dir: Path) -> None:
    assert choose_fusion(run_dir, has_chinese=True) == Lambda(value=0.5, chosen="not tuned")


def test_lambda_of_the_frozen_model_is_not_that_of_the_run(run_dir: Path, data: VideoData) -> None:
    evaluate(run_dir, data=data, protocol=PROTOCOLS["frozen_baseline"], settings=replace(SETTINGS, fusion_lambda=0.1))
    assert choose_fusion(run_dir, has_chinese=True).chosen == "not tuned"
    assert [Label(*texts) for texts in LABELS] == list(data.labels)
