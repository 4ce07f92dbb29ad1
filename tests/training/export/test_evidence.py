"""Agreement of two text towers: figures of known embeddings, the rule, and evidence for other towers or too weak."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.contract.labels import Label
from tests.training.tiny import bilingual_model
from training.data.annotations import VideoData
from training.errors import DataError, SettingError
from training.export.evidence import (
    MIN_LABELS,
    AlignmentReport,
    TextAgreement,
    VideoAgreement,
    compare_on_videos,
    compare_texts,
    digest_towers,
    measure_alignment,
    read_alignment,
    require_evidence,
    write_alignment,
)
from training.models.video_clip import VideoCLIP

GOOD = TextAgreement(
    num_labels=40, zh_to_en_top1=0.5, zh_to_en_top5=0.9, en_to_zh_top1=0.6, en_to_zh_top5=0.9, cosine_pairs=0.8,
    cosine_others=0.2,
)  # fmt: skip
VIDEOS = VideoAgreement(
    data="clips", data_digest="0" * 64, split="val", num_videos=9, num_labels=10, views="1x1", num_frames=4,
    english_top1=0.8, chinese_top1=0.4, fused_top1=0.8,
)  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> VideoCLIP:
    return bilingual_model(tmp_path_factory.mktemp("alignment") / "backbone")


def report(
    towers: dict[str, str], texts: TextAgreement = GOOD, videos: VideoAgreement | None = None
) -> AlignmentReport:
    return AlignmentReport(
        towers=towers, labels="words", template_en="{}", template_zh="{}", texts=texts, videos=videos, rule="",
        verdict="",
    )  # fmt: skip


def unit(rows: Sequence[Sequence[float]]) -> np.ndarray:
    table = np.array(rows, dtype=np.float32)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def test_equal_spaces_find_every_translation() -> None:
    table = np.eye(6, dtype=np.float32)
    assert compare_texts(table, table) == TextAgreement(
        num_labels=6, zh_to_en_top1=1.0, zh_to_en_top5=1.0, en_to_zh_top1=1.0, en_to_zh_top5=1.0, cosine_pairs=1.0,
        cosine_others=0.0,
    )  # fmt: skip


def test_directions_are_told_apart() -> None:
    english, chinese = unit([[1, 0], [0, 1]]), unit([[1, 0], [3, 4]])
    found = compare_texts(english, chinese)
    assert (found.zh_to_en_top1, found.en_to_zh_top1) == (1.0, 1.0)
    found = compare_texts(english, unit([[1, 0], [4, 3]]))
    assert (found.zh_to_en_top1, found.en_to_zh_top1) == (0.5, 1.0)
    assert found.cosine_pairs == pytest.approx((1 + 0.6) / 2)
    assert found.cosine_others == pytest.approx((0 + 0.8) / 2)


def test_towers_that_tell_nothing_apart_find_nothing() -> None:
    same = np.tile(unit([[1, 1]]), (8, 1))
    found = compare_texts(same, same)
    assert (found.zh_to_en_top1, found.zh_to_en_top5, found.en_to_zh_top1) == (0.0, 0.0, 0.0)


def test_labels_of_one_language_are_left_out(model: VideoCLIP) -> None:
    labels = [Label("waving", "挥手"), Label("moving", None), Label(None, "移动"), Label("left", "左")]
    found = measure_alignment(model, labels, name="words")
    assert (found.texts.num_labels, found.videos, found.labels) == (2, None, "words")
    assert (found.template_en, found.template_zh) == ("This is a video about {}", "{}")
    assert found.verdict.startswith(f"only 2 labels were compared, not {MIN_LABELS}")


@pytest.mark.parametrize("labels", [[], [Label("waving", "挥手"), Label("left")]])
def test_too_few_parallel_labels_are_refused(model: VideoCLIP, labels: list[Label]) -> None:
    num_parallel = len(labels) // 2
    with pytest.raises(DataError, match=f"words has {num_parallel} labels in both languages; at least 2 can be told"):
        measure_alignment(model, labels, name="words")


def test_model_without_chinese_is_refused(tmp_path: Path) -> None:
    english = bilingual_model(tmp_path / "backbone", chinese=False)
    with pytest.raises(SettingError, match="the backbone has no Chinese text tower; make one with --chinese"):
        measure_alignment(english, [Label("waving", "挥手"), Label("left", "左")], name="words")


def test_each_language_is_measured_on_videos(model: VideoCLIP, data: VideoData, tmp_path: Path) -> None:
    found = compare_on_videos(model, data=data, split="test", cache_dir=tmp_path, num_workers=1)
    assert (found.data, found.split, found.num_videos, found.num_labels) == (data.name, "test", 3, 3)
    assert {found.english_top1, found.chinese_top1, found.fused_top1} <= {0.0, 1 / 3, 2 / 3, 1.0}


@pytest.mark.parametrize(
    ("texts", "videos", "expected"),
    [
        (GOOD, None, ()),
        (GOOD, VIDEOS, ()),
        (replace(GOOD, num_labels=19), None, ("only 19 labels were compared, not 20",)),
        (
            replace(GOOD, zh_to_en_top1=0.49, en_to_zh_top1=float("nan")),
            None,
            ("top-1 from Chinese to English is 49.0%, not 50%", "top-1 from English to Chinese is nan%, not 50%"),
        ),
        (GOOD, replace(VIDEOS, chinese_top1=0.39), ("top-1 of Chinese alone on clips is 39.0%, not 40.0%",)),
        (
            GOOD,
            replace(VIDEOS, english_top1=0.1, chinese_top1=0.15),
            ("top-1 of Chinese alone on clips is 15.0%, not 20.0%",),
        ),
    ],
)
def test_rule_names_every_shortcoming(
    texts: TextAgreement, videos: VideoAgreement | None, expected: tuple[str, ...]
) -> None:
    assert report({}, texts, videos).shortcomings == expected


@pytest.mark.parametrize("videos", [None, VIDEOS])
def test_report_survives_its_file(tmp_path: Path, videos: VideoAgreement | None) -> None:
    written = report({"image": "a"}, GOOD, videos)
    write_alignment(tmp_path / "new" / "report.json", written)
    assert read_alignment(tmp_path / "new" / "report.json") == written


@pytest.mark.parametrize("content", [None, "", '{"towers": {}}'])
def test_file_that_is_no_report_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingError, match=r"report\.json is not a report of `duoact-train align`: "):
        read_alignment(path)


def test_evidence_of_the_same_towers_is_told_in_a_sentence(model: VideoCLIP) -> None:
    assert require_evidence(report(digest_towers(model)), model) == (
        "switched on by alignment on 40 labels of words: top-1 50.0% from Chinese to English, 60.0% back"
    )


@pytest.mark.parametrize("tower", ["image", "english", "chinese"])
def test_evidence_of_another_tower_is_refused(model: VideoCLIP, tower: str) -> None:
    towers = {**digest_towers(model), tower: "0" * 64}
    with pytest.raises(SettingError, match=f"the report is of another {tower} tower than the bundle's; measure these"):
        require_evidence(report(towers), model)


def test_weak_evidence_is_refused_whatever_its_verdict(model: VideoCLIP, tmp_path: Path) -> None:
    weak = replace(report(digest_towers(model), replace(GOOD, en_to_zh_top1=0.02)), verdict="may be switched on")
    write_alignment(tmp_path / "report.json", weak)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["verdict"] == "may be switched on"
    with pytest.raises(
        SettingError, match=r"branch stays off: top-1 from English to Chinese is 2\.0%, not 50%\. Wanted"
    ):
        require_evidence(read_alignment(tmp_path / "report.json"), model)
