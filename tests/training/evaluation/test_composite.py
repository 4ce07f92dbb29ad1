"""Base-to-novel and zero-shot transfer: over which labels, with which weight of English, and what they come to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from service.contract.manifest import Lambda
from tests.training.tiny import RECIPE, write_tiny_data
from training.data.annotations import Annotation, VideoData, read_video_data
from training.errors import DataError, SettingError
from training.evaluation.composite import evaluate_protocol, evaluate_transfer
from training.evaluation.evaluate import Settings, evaluate
from training.evaluation.protocols import PROTOCOLS
from training.evaluation.report import Report
from training.evaluation.summary import Summary, harmonic_mean, render_summary
from training.export.provenance import choose_fusion, describe_provenance
from training.fitting.fit import FitResources, fit
from training.runs.run import open_run

SETTINGS = Settings(num_workers=1)
BASE_TO_NOVEL, ZERO_SHOT = PROTOCOLS["base_to_novel"], PROTOCOLS["zero_shot"]


def is_base_or_novel(each: Annotation) -> bool:
    """Leave "waving" to the novel split, and the other two labels to the rest."""
    return (each.label_id == 2) == (each.split == "novel")


@pytest.fixture(scope="module")
def halves(data: VideoData) -> VideoData:
    return replace(data, annotations=tuple(filter(is_base_or_novel, data.annotations)))


@pytest.fixture(scope="module")
def run_dir(
    halves: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("composite") / "run"
    fit(
        replace(RECIPE, fit=replace(RECIPE.fit, num_epochs=1)),
        data=halves,
        resources=FitResources(run_dir=folder, cache_dir=frames_cache, num_workers=1),
        backbone_dir=backbone_dir,
        resume=False,
        begin=lambda _: lambda _: None,
    )
    return folder


def test_base_and_novel_are_scored_over_their_own_labels(run_dir: Path, halves: VideoData) -> None:
    summary = evaluate_protocol(open_run(run_dir), data=halves, protocol=BASE_TO_NOVEL, settings=SETTINGS)
    assert isinstance(summary, Summary)
    base, novel = summary.parts
    assert [(part.protocol, part.split, part.num_labels, part.num_videos) for part in summary.parts] == [
        ("base", "test", 2, 2), ("novel", "novel", 1, 1),
    ]  # fmt: skip
    # One label alone is always right, so that the harmonic mean is 2 b / (b + 1).
    expected = [2 * each.top1 / (each.top1 + 1) for each in base.accuracies]
    assert [each.top1 for each in summary.accuracies] == pytest.approx(expected)
    assert novel.fusion == base.fusion
    assert base.fusion is not None
    assert base.fusion.chosen.endswith("on split 'val' among 0, 0.05 ... 1")


def test_summary_stands_beside_its_parts_and_is_told_to_bundles(run_dir: Path, halves: VideoData) -> None:
    summary = evaluate_protocol(open_run(run_dir), data=halves, protocol=BASE_TO_NOVEL, settings=SETTINGS)
    assert isinstance(summary, Summary)
    folder = run_dir / "evaluation"
    written = json.loads((folder / "base_to_novel.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(summary.to_json()))
    assert {path.name for path in (folder / "base_to_novel").glob("*.json")} == {"base.json", "novel.json"}
    metrics = {metric.name: metric for metric in describe_provenance(open_run(run_dir)).metrics}
    assert metrics["top1 (fused)"].protocol == (
        "base_to_novel: harmonic mean of 2 parts, split test and novel, 3 videos, 1x1 views"
    )
    assert choose_fusion(open_run(run_dir), has_chinese=True) == summary.parts[0].fusion


def test_vanilla_reads_labels_in_no_sentence(run_dir: Path, halves: VideoData) -> None:
    protocol = BASE_TO_NOVEL.for_model("vanilla")
    summary = evaluate_protocol(open_run(run_dir), data=halves, protocol=protocol, settings=SETTINGS)
    assert isinstance(summary, Summary)
    assert [(part.template_en, part.aggregation, part.model) for part in summary.parts] == [
        ("{}", "mean", "vanilla")
    ] * 2
    assert (run_dir / "evaluation" / "vanilla_base_to_novel.md").is_file()


def test_protocol_of_one_part_is_evaluated_as_ever(run_dir: Path, halves: VideoData) -> None:
    settings = replace(SETTINGS, fusion_lambda=0.5)
    report = evaluate_protocol(open_run(run_dir), data=halves, protocol=PROTOCOLS["open_vocabulary"], settings=settings)
    again = evaluate(open_run(run_dir), data=halves, protocol=PROTOCOLS["open_vocabulary"], settings=settings)
    assert isinstance(report, Report)
    first, second = (replace(each, seconds=0.0, peak_memory_bytes=0) for each in (report, again))
    assert first == second


def test_labels_in_both_halves_are_refused(run_dir: Path, data: VideoData) -> None:
    message = (
        "3 labels of .* have videos in split 'test', which is base, and in split 'novel', which is novel: circle "
        "moving left / 圆形向左移动, .*; a label belongs to one of them"
    )
    with pytest.raises(DataError, match=message):
        evaluate_protocol(open_run(run_dir), data=data, protocol=BASE_TO_NOVEL, settings=SETTINGS)


def test_novel_labels_that_were_trained_on_are_refused(run_dir: Path, data: VideoData) -> None:
    leaky = replace(data, annotations=tuple(
        each for each in data.annotations if each.split == "train" or is_base_or_novel(each)
    ))  # fmt: skip
    with pytest.raises(DataError, match=(
        "1 labels of the novel split 'novel' have videos in 'train', on which the run trained: waving / 挥手; train on "
        "base labels alone"
    )):  # fmt: skip
        evaluate_protocol(open_run(run_dir), data=leaky, protocol=BASE_TO_NOVEL, settings=SETTINGS)


def test_lambda_is_never_chosen_on_either_half(run_dir: Path, halves: VideoData) -> None:
    settings = replace(SETTINGS, select_on="novel")
    with pytest.raises(SettingError, match="lambda would be chosen on split 'novel', which is the one reported"):
        evaluate_protocol(open_run(run_dir), data=halves, protocol=BASE_TO_NOVEL, settings=settings)


def test_transfer_averages_data_sets_and_splits(run_dir: Path, tmp_path: Path) -> None:
    others = [read_video_data(write_tiny_data(tmp_path / name, num_train=3)) for name in ("one", "two")]
    settings = replace(SETTINGS, fusion_lambda=0.5, chosen="before")
    summary = evaluate_transfer(
        open_run(run_dir), data_sets=others, splits=["val", "test"], protocol=ZERO_SHOT, settings=settings
    )
    assert [part.protocol for part in summary.parts] == ["one.val", "one.test", "two.val", "two.test"]
    fused = summary.accuracies[-1]
    assert fused.top1 == pytest.approx(sum(fused.part_top1) / 4)
    assert fused.deviation is not None
    assert summary.parts[0].fusion == Lambda(value=0.5, chosen="before")
    assert len(list((run_dir / "evaluation" / "zero_shot").glob("*.rankings.jsonl"))) == 4


def test_transfer_chooses_nothing_for_bundles(run_dir: Path, tmp_path: Path) -> None:
    other = read_video_data(write_tiny_data(tmp_path / "other", num_train=3))
    before = choose_fusion(open_run(run_dir), has_chinese=True)
    settings = replace(SETTINGS, fusion_lambda=0.9)
    evaluate_transfer(open_run(run_dir), data_sets=[other], splits=["test"], protocol=ZERO_SHOT, settings=settings)
    assert choose_fusion(open_run(run_dir), has_chinese=True) == before
    text = (run_dir / "evaluation" / "zero_shot.md").read_text(encoding="utf-8")
    assert "| labels read as | lambda | top-1: other, test (3 labels) | mean: top-1 | top-5 |" in text


def test_transfer_needs_a_lambda_and_foreign_data(run_dir: Path, halves: VideoData, tmp_path: Path) -> None:
    other = read_video_data(write_tiny_data(tmp_path / "other", num_train=3))
    given = replace(SETTINGS, fusion_lambda=0.5)
    for data_sets, settings, message in (
        ([other], SETTINGS, "zero_shot chooses no lambda on the data that it reports; give the one of the run"),
        ([other, other], given, "several data folders are called other; rename them, or name each once"),
        ([halves], given, "the run was fitted on .*data, so that nothing there is zero-shot; use open_vocabulary"),
    ):
        with pytest.raises(SettingError, match=message):
            evaluate_transfer(
                open_run(run_dir), data_sets=data_sets, splits=["test"], protocol=ZERO_SHOT, settings=settings
            )


@pytest.mark.parametrize(
    ("values", "mean"), [((0.5, 0.5), 0.5), ((1.0, 0.5), 2 / 3), ((0.738, 0.533), 0.619), ((0.0, 1.0), 0.0)]
)
def test_harmonic_mean_is_drawn_to_the_lower(values: tuple[float, ...], mean: float) -> None:
    assert harmonic_mean(values) == pytest.approx(mean, abs=5e-4)


def test_summary_for_people_names_every_part(run_dir: Path, halves: VideoData) -> None:
    summary = evaluate_protocol(open_run(run_dir), data=halves, protocol=BASE_TO_NOVEL, settings=SETTINGS)
    assert isinstance(summary, Summary)
    lines = render_summary(summary).splitlines()
    assert lines[0] == "# base_to_novel"
    assert lines[2] == (
        "| labels read as | lambda | top-1: data, test (2 labels) | top-1: data, novel (1 labels) | harmonic mean: "
        "top-1 | top-5 |"
    )
    assert "- videos of data, novel (1 labels): 1" in lines
