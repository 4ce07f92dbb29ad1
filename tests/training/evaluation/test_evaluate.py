"""Evaluating a run: report, rankings, choice of lambda, and what the bundle's manifest says of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.contract.labels import Label
from service.contract.manifest import Lambda
from service.contract.views import ViewPlan
from tests.training.tiny import LABELS, fit_tiny_run, write_tiny_backbone
from training.data.annotations import VideoData
from training.errors import DataError, RunError, SettingError
from training.evaluation.embed import embed_complete_labels, embed_split
from training.evaluation.evaluate import Settings, evaluate
from training.evaluation.protocols import (
    PROTOCOLS,
    LambdaPoint,
    Protocol,
    Reading,
    best_lambda,
    score_split,
    sweep_lambda,
)
from training.evaluation.report import render_markdown
from training.export.provenance import choose_fusion, describe_provenance
from training.runs.run import load_model, open_run

SETTINGS = Settings(num_workers=1)


@pytest.fixture
def run_dir(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path) -> Path:
    return fit_tiny_run(data, folder=tmp_path / "run", backbone=backbone_dir, cache=frames_cache)


def test_report_states_its_circumstances(run_dir: Path, data: VideoData) -> None:
    report = evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)
    written = json.loads((run_dir / "evaluation" / "open_vocabulary.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(report.to_json()))
    assert {key: written[key] for key in ("data", "split", "num_videos", "num_labels", "views", "num_frames")} == {
        "data": "data", "split": "test", "num_videos": 3, "num_labels": 3, "views": "1x1", "num_frames": 4,
    }  # fmt: skip
    assert [each["reading"] for each in written["accuracies"]] == [
        "English", "Chinese", "Chinese, frames averaged", "fused",
    ]  # fmt: skip
    assert written["fusion"]["chosen"].startswith("best top-1")
    assert [each["fusion_lambda"] for each in written["lambda_curve"]] == [step / 20 for step in range(21)]
    assert (run_dir / "evaluation" / "open_vocabulary.md").read_text(encoding="utf-8") == render_markdown(report)


def test_report_tells_the_official_split_and_its_cost(run_dir: Path, data: VideoData) -> None:
    own = replace(data, split_number=2)
    report = evaluate(open_run(run_dir), data=own, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)
    assert report.split_number == 2
    assert report.seconds > 0
    assert report.peak_memory_bytes > 50 * 1024**2  # Python with torch takes more.
    assert "- split number: 2\n" in render_markdown(report)
    assert "split number" not in render_markdown(replace(report, split_number=None))


def test_rankings_are_those_of_the_scores(run_dir: Path, data: VideoData, tmp_path: Path) -> None:
    settings = replace(SETTINGS, fusion_lambda=0.3)
    evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["novel_compositions"], settings=settings)
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
    report = evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["frozen_baseline"], settings=SETTINGS)
    assert (report.model, report.aggregation) == ("frozen", "mean")
    english, *_ = report.accuracies
    assert english.top5 == 1.0


def test_english_model_is_reported_in_english_alone(data: VideoData, frames_cache: Path, tmp_path: Path) -> None:
    backbone = write_tiny_backbone(tmp_path / "backbone", chinese=False)
    run_dir = fit_tiny_run(data, folder=tmp_path / "run", backbone=backbone, cache=frames_cache)
    report = evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)
    assert [each.reading for each in report.accuracies] == ["English"]
    assert report.fusion == Lambda(value=1.0, chosen="no Chinese branch")
    assert choose_fusion(open_run(run_dir), has_chinese=False) == report.fusion


def test_lambda_is_never_chosen_on_the_reported_split(run_dir: Path, data: VideoData) -> None:
    protocol = Protocol("validation", "val")
    with pytest.raises(SettingError, match="lambda would be chosen on split 'val', which is the one reported"):
        evaluate(open_run(run_dir), data=data, protocol=protocol, settings=SETTINGS)


def test_chosen_lambda_is_the_best_of_the_curve_that_is_kept(run_dir: Path, data: VideoData, tmp_path: Path) -> None:
    report = evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)
    model, bank = load_model(run_dir), embed_complete_labels(load_model(run_dir), data.labels)
    embedded = embed_split(model, data=data, split="val", plan=ViewPlan(), cache_dir=tmp_path, num_workers=1)
    top1 = sweep_lambda(embedded, bank, config=model.config)
    assert report.lambda_curve == tuple(LambdaPoint(value, share) for value, share in top1.items())
    assert report.fusion == best_lambda(top1, split="val")


def test_given_lambda_has_no_curve(run_dir: Path, data: VideoData) -> None:
    settings = replace(SETTINGS, fusion_lambda=0.3)
    report = evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["open_vocabulary"], settings=settings)
    assert (report.fusion, report.lambda_curve) == (Lambda(value=0.3, chosen="given"), ())


def test_lambda_needs_videos_to_be_chosen_on(run_dir: Path, data: VideoData) -> None:
    unvalidated = replace(data, annotations=tuple(each for each in data.annotations if each.split != "val"))
    message = (
        r"lambda would be chosen on split 'val', of which .* has no video; it has novel, test, train: name one with "
        "--select-on, or give --lambda"
    )
    with pytest.raises(SettingError, match=message):
        evaluate(open_run(run_dir), data=unvalidated, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)


def test_reported_split_needs_videos(run_dir: Path, data: VideoData) -> None:
    untested = replace(data, annotations=tuple(each for each in data.annotations if each.split != "test"))
    with pytest.raises(DataError, match=r"split is 'test', but .* has novel, train, val; choose one of these"):
        evaluate(open_run(run_dir), data=untested, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)


def test_label_without_chinese_text_is_named(run_dir: Path, data: VideoData) -> None:
    english = replace(data, labels=(*data.labels[:2], Label("waving")))
    with pytest.raises(DataError, match="evaluation needs English and Chinese text for every label; waving lack it"):
        evaluate(open_run(run_dir), data=english, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)


def test_frames_of_a_clip_are_those_the_run_was_fitted_with(run_dir: Path, data: VideoData) -> None:
    path = run_dir / "config.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"num_frames": 4', '"num_frames": 8'), encoding="utf-8")
    with pytest.raises(
        RunError, match=r"does not fit the model. of another shape: .*temporal_embedding.* is \(4, 16\)"
    ):
        evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)


def test_multi_view_evaluation_averages_twelve_views(run_dir: Path, data: VideoData) -> None:
    run, settings = open_run(run_dir), replace(SETTINGS, plan=ViewPlan(4, 3), fusion_lambda=0.5)
    reports = [evaluate(run, data=data, protocol=PROTOCOLS["open_vocabulary"], settings=settings) for _ in range(2)]
    assert reports[0].views == "4x3"
    assert reports[0].accuracies == reports[1].accuracies
    [features] = (np.load(path) for path in (run_dir / "evaluation" / "features").glob("*.npy"))
    assert features.shape == (3, 12, 4, 16)


def test_lambda_outside_its_range_is_refused(run_dir: Path, data: VideoData) -> None:
    settings = Settings(fusion_lambda=1.5)
    with pytest.raises(SettingError, match=r"lambda is 1.5; it must be between 0 \(Chinese\) and 1 \(English\)"):
        evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["open_vocabulary"], settings=settings)


def test_manifest_tells_of_recipe_data_and_figures(run_dir: Path, data: VideoData) -> None:
    report = evaluate(open_run(run_dir), data=data, protocol=PROTOCOLS["open_vocabulary"], settings=SETTINGS)
    provenance = describe_provenance(open_run(run_dir))
    assert provenance.recipe == "tiny"
    assert provenance.config["fit"]["num_epochs"] == 1
    assert provenance.training_data["num_videos"] == {"novel": 3, "test": 3, "train": 9, "val": 3}
    first = provenance.metrics[0]
    assert (first.name, first.protocol) == ("top1 (English)", "open_vocabulary: split test, 3 videos, 1x1 views")
    assert first.value == report.accuracies[0].top1
    assert choose_fusion(open_run(run_dir), has_chinese=True) == report.fusion


def test_manifest_leaves_names_of_drawn_videos_to_the_run(
    data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path
) -> None:
    run_dir = fit_tiny_run(data, folder=tmp_path / "run", backbone=backbone_dir, cache=frames_cache, num_shots=2)
    provenance = describe_provenance(open_run(run_dir))
    assert set(provenance.training_data) == {"name", "digest", "num_labels", "num_videos"}
    assert provenance.config["num_shots"] == 2
    assert len(json.loads((run_dir / "data.json").read_text(encoding="utf-8"))["training_videos"]) == 6


def test_fusion_of_a_run_that_was_not_evaluated_is_one_half(run_dir: Path) -> None:
    assert choose_fusion(open_run(run_dir), has_chinese=True) == Lambda(value=0.5, chosen="not tuned")


def test_lambda_of_the_frozen_model_is_not_that_of_the_run(run_dir: Path, data: VideoData) -> None:
    evaluate(
        open_run(run_dir),
        data=data,
        protocol=PROTOCOLS["frozen_baseline"],
        settings=replace(SETTINGS, fusion_lambda=0.1),
    )
    assert choose_fusion(open_run(run_dir), has_chinese=True).chosen == "not tuned"
    assert [Label(*texts) for texts in LABELS] == list(data.labels)
