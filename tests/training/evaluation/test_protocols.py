"""Protocols on a table of embeddings whose top-1 is known, read in each language."""

from dataclasses import replace

import numpy as np
import pytest

from service.contract.scoring import LabelBank
from tests.training.tiny import MODEL
from training.data.splits import NO_OPPOSITE
from training.evaluation.embed import EmbeddedSplit
from training.evaluation.protocols import (
    PROTOCOLS,
    Accuracy,
    Reading,
    best_lambda,
    list_readings,
    measure,
    score_split,
    sweep_lambda,
)

AXES = np.eye(4, dtype=np.float32)
# English takes label 1 for 2 and 2 for 1, Chinese takes label 0 for 3; fused, 0 needs lambda > 0.526 and 2 < 0.586.
ENGLISH = np.stack(
    [0.9 * AXES[0] + np.sqrt(0.19) * AXES[3], (AXES[3] + AXES[2]) / np.sqrt(2), AXES[1], AXES[3]]
).astype(np.float32)
CHINESE = np.stack([(AXES[2] + AXES[3]) / np.sqrt(2), AXES[1], AXES[2], AXES[0]]).astype(np.float32)
BANK = LabelBank(english=ENGLISH, chinese=CHINESE, words=AXES, word_counts=np.ones(4, np.int64))
OPPOSITES = np.array([1, 0, NO_OPPOSITE, NO_OPPOSITE])


def split_of(*label_ids: int) -> EmbeddedSplit:
    features = np.stack([np.repeat(AXES[label][None, None], 2, axis=1) for label in label_ids])
    return EmbeddedSplit(tuple(f"{number}.mp4" for number in range(len(label_ids))), np.array(label_ids), features)


@pytest.mark.parametrize(("fusion_lambda", "top1"), [(1.0, 0.5), (0.0, 0.5), (0.5, 0.5), (0.55, 0.75)])
def test_each_reading_has_its_own_top1(fusion_lambda: float, top1: float) -> None:
    embedded = split_of(0, 0, 1, 2)
    scores = score_split(embedded, BANK, config=MODEL, reading=Reading("reading", fusion_lambda, True))
    accuracy = measure(scores, embedded, reading="reading", fusion_lambda=fusion_lambda, opposites=OPPOSITES)
    assert accuracy == Accuracy("reading", fusion_lambda, top1, 1.0, accuracy.pairs)


def test_pairs_are_measured_on_the_score() -> None:
    embedded = split_of(0, 1)
    scores = score_split(embedded, BANK, config=MODEL, reading=Reading("English", 1.0, True))
    assert measure(scores, embedded, reading="English", fusion_lambda=1.0, opposites=OPPOSITES).pairs == 0.75


def test_lambda_is_the_best_one_on_the_split() -> None:
    fusion = best_lambda(sweep_lambda(split_of(0, 0, 2), BANK, config=MODEL), split="val")
    assert fusion.value == 0.55
    assert fusion.chosen == "best top-1 (1.0000) on split 'val' among 0, 0.05 ... 1"


def test_equal_lambdas_give_the_one_in_the_middle() -> None:
    bank = replace(BANK, english=AXES, chinese=AXES)
    top1 = sweep_lambda(split_of(0, 1, 2, 3), bank, config=MODEL)
    assert best_lambda(top1, split="val").value == 0.5


def test_sweep_goes_from_chinese_to_english_in_steps_of_a_twentieth() -> None:
    top1 = sweep_lambda(split_of(0, 0, 2), BANK, config=MODEL)
    assert list(top1) == [step / 20 for step in range(21)]
    # 2 alone is right up to 0.55, both zeros from 0.55 on.
    assert list(top1.values()) == [1 / 3] * 11 + [1.0] + [2 / 3] * 9


def test_views_are_averaged_as_probabilities() -> None:
    views = np.stack([np.repeat(AXES[0][None], 2, axis=0)] * 2 + [np.repeat(AXES[1][None], 2, axis=0)])
    embedded = EmbeddedSplit(("0.mp4",), np.array([0]), views[None])
    bank = replace(BANK, english=AXES)
    scores = score_split(embedded, bank, config=MODEL, reading=Reading("English", 1.0, True))
    np.testing.assert_allclose(scores.per_video[0].probability, [2 / 3, 1 / 3, 0, 0], atol=1e-6)
    assert scores.ranking[0, :2].tolist() == [0, 1]


def test_bilingual_model_is_read_in_four_ways() -> None:
    readings = list_readings(fusion_lambda=0.35, has_chinese=True)
    assert [(each.fusion_lambda, each.weigh_words) for each in readings] == [
        (1.0, True), (0.0, True), (0.0, False), (0.35, True),
    ]  # fmt: skip
    assert [each.name for each in list_readings(fusion_lambda=1.0, has_chinese=False)] == ["English"]


def test_protocols_are_known_by_their_names() -> None:
    assert {name: (each.split, each.model) for name, each in PROTOCOLS.items()} == {
        "open_vocabulary": ("test", "run"),
        "novel_compositions": ("novel", "run"),
        "frozen_baseline": ("test", "frozen"),
        "base_to_novel": ("test", "run"),
        "zero_shot": ("test", "run"),
    }


def test_protocol_of_another_model_says_so() -> None:
    protocol = PROTOCOLS["base_to_novel"]
    assert protocol.for_model("run") == protocol
    assert protocol.for_model("vanilla").name == "vanilla_base_to_novel"
    assert (protocol.splits, PROTOCOLS["zero_shot"].splits) == ("test and novel", "test")
