"""Runs of a closed vocabulary: scored by their logits over all classes, and never asked for labels outside them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.contract.classes import score_classes
from service.contract.labels import Label
from service.contract.views import ViewPlan
from tests.training.side import side_config
from tests.training.tiny import LABELS, RECIPE
from training.data.annotations import Annotation, VideoData
from training.data.captions import CaptionedVideos
from training.errors import SettingError
from training.evaluation.classes import find_class_ids
from training.evaluation.composite import evaluate_protocol, evaluate_transfer
from training.evaluation.embed import embed_split
from training.evaluation.evaluate import Settings, evaluate
from training.evaluation.protocols import PROTOCOLS, Accuracy
from training.evaluation.report import render_markdown
from training.evaluation.retrieval import evaluate_retrieval
from training.evaluation.summary import Summary
from training.export.provenance import choose_fusion, describe_provenance
from training.fitting.fit import FitResources, fit
from training.runs.run import load_model, open_run

SETTINGS = Settings(num_workers=1)
OPEN = PROTOCOLS["open_vocabulary"]
ADVICE = r"train it with the cosine head \(--set head=cosine\), which takes any label"


def fit_classifier(data: VideoData, *, folder: Path, backbone: Path, cache: Path) -> Path:
    fit(
        replace(RECIPE, model=side_config(head="linear"), fit=replace(RECIPE.fit, num_epochs=1)),
        data=data,
        resources=FitResources(run_dir=folder, cache_dir=cache, num_workers=1),
        backbone_dir=backbone,
        resume=False,
        begin=lambda _: lambda _: None,
    )
    return folder


@pytest.fixture(scope="module")
def run_dir(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closed") / "run"
    return fit_classifier(data, folder=folder, backbone=backbone_dir, cache=frames_cache)


def is_base_or_novel(each: Annotation) -> bool:
    """Leave "waving" to the novel split, and the other two labels to the rest."""
    return (each.label_id == 2) == (each.split == "novel")


@pytest.fixture(scope="module")
def halves(data: VideoData) -> VideoData:
    return replace(data, annotations=tuple(filter(is_base_or_novel, data.annotations)))


@pytest.fixture(scope="module")
def base_run(
    halves: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run that learned two of the three labels."""
    folder = tmp_path_factory.mktemp("base") / "run"
    return fit_classifier(halves, folder=folder, backbone=backbone_dir, cache=frames_cache)


def test_report_has_one_reading_and_no_lambda(run_dir: Path, data: VideoData) -> None:
    report = evaluate(open_run(run_dir), data=data, protocol=OPEN, settings=SETTINGS)
    [accuracy] = report.accuracies
    assert accuracy == Accuracy("classes", None, accuracy.top1, 1.0, accuracy.pairs)
    assert (report.vocabulary, report.num_labels, report.fusion, report.lambda_curve) == ("closed", 3, None, ())
    written = json.loads((run_dir / "evaluation" / "open_vocabulary.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(report.to_json()))


def test_report_for_people_speaks_of_classes_and_not_of_texts(run_dir: Path, data: VideoData) -> None:
    lines = render_markdown(evaluate(open_run(run_dir), data=data, protocol=OPEN, settings=SETTINGS)).splitlines()
    assert lines[4].startswith("| classes |  | ")
    assert {"- vocabulary: closed", "- num labels: 3"} <= set(lines)
    assert [line for line in lines if "lambda" in line or "template" in line] == [lines[2]]


@pytest.mark.parametrize("plan", [ViewPlan(), ViewPlan(2, 3)], ids=str)
def test_rankings_are_those_that_the_service_gives(
    run_dir: Path, data: VideoData, tmp_path: Path, plan: ViewPlan
) -> None:
    evaluate(open_run(run_dir), data=data, protocol=OPEN, settings=replace(SETTINGS, plan=plan))
    lines = (run_dir / "evaluation" / "open_vocabulary.rankings.jsonl").read_text(encoding="utf-8").splitlines()
    embedded = embed_split(load_model(run_dir), data=data, split="test", plan=plan, cache_dir=tmp_path, num_workers=1)
    assert embedded.features.shape == (3, plan.num_views, 1, 3)
    for line, logits, label in zip(map(json.loads, lines), embedded.features, LABELS, strict=True):
        scores = score_classes(logits, indices=np.arange(3))
        order = np.argsort(-scores.probability).tolist()
        assert line["label"] == dict(zip(("en", "zh"), label, strict=True))
        assert line["predictions"] == [
            {"rank": rank, "label": dict(zip(("en", "zh"), LABELS[index], strict=True)),
             "probability": pytest.approx(float(scores.probability[index])),
             "score": pytest.approx(float(scores.score[index])), "similarity_en": None, "similarity_zh": None}
            for rank, index in enumerate(order, start=1)
        ]  # fmt: skip


def test_labels_of_the_data_are_found_by_name(data: VideoData) -> None:
    classes = (Label("WAVING"), Label("circle moving right", "圆形向右移动"), Label(zh="圆形向左移动"))
    assert find_class_ids(classes, data=data, split="test").tolist() == [2, 1, 0]


def test_videos_of_labels_outside_are_named(base_run: Path, halves: VideoData) -> None:
    message = (
        r"1 of 1 videos of split 'novel' have labels that are none of the run's 2 classes: 17.mp4 \(waving / 挥手\); "
        rf"its vocabulary is closed: name a split of its classes, or {ADVICE}"
    )
    with pytest.raises(SettingError, match=message):
        evaluate(open_run(base_run), data=halves, protocol=PROTOCOLS["novel_compositions"], settings=SETTINGS)


def test_classes_are_ranked_beside_labels_without_classes(base_run: Path, halves: VideoData) -> None:
    report = evaluate(open_run(base_run), data=halves, protocol=OPEN, settings=SETTINGS)
    assert (report.num_labels, report.num_videos, report.accuracies[0].top5) == (2, 2, 1.0)


def test_a_label_that_two_classes_share_is_none_of_them(data: VideoData) -> None:
    english = replace(data, labels=(Label("wave"), *data.labels[1:]))
    classes = (Label("wave", "挥手"), Label("Wave", "波浪"), *data.labels[1:])
    with pytest.raises(SettingError, match=r"none of the run's 4 classes: 12.mp4 \(wave\);"):
        find_class_ids(classes, data=english, split="test")


def test_lambda_is_refused(run_dir: Path, data: VideoData) -> None:
    message = (
        "lambda is 0.5, but the run's vocabulary is closed: its classes are not compared with text; leave --lambda"
    )
    with pytest.raises(SettingError, match=message):
        evaluate(open_run(run_dir), data=data, protocol=OPEN, settings=replace(SETTINGS, fusion_lambda=0.5))


def test_novel_labels_are_refused_before_anything_is_embedded(base_run: Path, halves: VideoData) -> None:
    message = (
        "protocol base_to_novel asks for labels that the run never learned, among waving / 挥手, but the vocabulary of "
        f"this run is closed: {ADVICE}"
    )
    with pytest.raises(SettingError, match=message):
        evaluate_protocol(open_run(base_run), data=halves, protocol=PROTOCOLS["base_to_novel"], settings=SETTINGS)


def test_frozen_towers_of_a_closed_run_take_any_label(base_run: Path, halves: VideoData) -> None:
    protocol = PROTOCOLS["base_to_novel"].for_model("vanilla")
    summary = evaluate_protocol(open_run(base_run), data=halves, protocol=protocol, settings=SETTINGS)
    assert isinstance(summary, Summary)
    assert [(part.vocabulary, part.num_labels) for part in summary.parts] == [("open", 2), ("open", 1)]


def test_transfer_is_refused(run_dir: Path, data: VideoData) -> None:
    message = (
        "protocol zero_shot asks for labels that the run never learned, among circle moving left / .*, but the voc"
    )
    with pytest.raises(SettingError, match=message):
        evaluate_transfer(
            open_run(run_dir), data_sets=[data], splits=["test"], protocol=PROTOCOLS["zero_shot"], settings=SETTINGS
        )


def test_retrieval_is_refused(run_dir: Path, data: VideoData) -> None:
    captioned = CaptionedVideos("pairs", (data.directory / "0.mp4",), ("a", "b"), np.array([0, 0]), "en")
    with pytest.raises(SettingError, match=f"retrieval asks for 2 captions, but the vocabulary .* closed: {ADVICE}"):
        evaluate_retrieval(open_run(run_dir), captioned=captioned, model="run", plan=ViewPlan(), num_workers=1)


def test_features_of_another_stem_are_not_taken_for_its_own(run_dir: Path, data: VideoData, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run_dir, tmp_path / "run"))
    shutil.rmtree(copy / "evaluation", ignore_errors=True)
    text = (copy / "config.json").read_text(encoding="utf-8")
    for padding in (1, 0, 1):
        changed = text.replace('"stem_padding": 1', f'"stem_padding": {padding}')
        (copy / "config.json").write_text(changed, encoding="utf-8")
        evaluate(open_run(copy), data=data, protocol=OPEN, settings=SETTINGS)
    first, second = (np.load(path) for path in (copy / "evaluation" / "features").glob("*.npy"))
    assert not np.allclose(first, second)


def test_manifest_tells_the_accuracy_of_classes(run_dir: Path, data: VideoData) -> None:
    report = evaluate(open_run(run_dir), data=data, protocol=OPEN, settings=SETTINGS)
    first = describe_provenance(open_run(run_dir)).metrics[0]
    assert (first.name, first.value, first.protocol) == (
        "top1 (classes)", report.accuracies[0].top1, "open_vocabulary: split test, 3 videos, 1x1 views",
    )  # fmt: skip
    assert choose_fusion(open_run(run_dir), has_chinese=False).value == 1.0
