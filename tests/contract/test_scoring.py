"""Scoring against a slow transcription of Eq. 5-7 and 18, and what must hold for any input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from service.contract.manifest import Scoring
from service.contract.scoring import (
    LabelBank,
    Scores,
    finish,
    join_weights,
    labels_per_chunk,
    score_labels,
    score_weighted,
    softmax,
    weigh_equally,
    weigh_frames,
)

D = 8


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal((*shape, D)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Arrays:
    """A label bank in which nothing is absent."""

    english: np.ndarray
    chinese: np.ndarray
    words: np.ndarray
    word_counts: np.ndarray

    def bank(self, **changes: object) -> LabelBank:
        return LabelBank(**{**vars(self), **changes})


def draw_arrays(rng: np.random.Generator, word_counts: Sequence[int]) -> Arrays:
    num_labels = len(word_counts)
    return Arrays(unit(rng, num_labels), unit(rng, num_labels), unit(rng, sum(word_counts)), np.array(word_counts))


def rule(**changes: object) -> Scoring:
    fields = {"aggregation": "word_weighted", "word_set": "label", "renormalise": True, "tau": 0.07}
    return Scoring.model_validate({**fields, "fusion": {"value": 0.5, "chosen": "default"}, **changes})


def score(
    frames: np.ndarray, bank: Arrays | LabelBank, *, weight: float = 0.4, words: bool = True, **changes: object
) -> Scores:
    bank = bank.bank() if isinstance(bank, Arrays) else bank
    return score_labels(frames, bank, scoring=rule(**changes), fusion_lambda=weight, weigh_words=words)


def slow_view(
    frames: np.ndarray, bank: Arrays, label: int, *, tau: float, weigh: bool, renormalise: bool
) -> tuple[float, float, list[float]]:
    """Similarities of one label in one view, and its weights of the frames, one number at a time."""
    num_frames = len(frames)
    weights = [1 / num_frames] * num_frames
    if weigh:
        first = sum(bank.word_counts[:label])
        own = bank.words[first : first + bank.word_counts[label]]
        weights = [0.0] * num_frames
        for word in own:
            exponentials = [np.exp(float(frame @ word) / tau) for frame in frames]
            for t in range(num_frames):
                weights[t] += exponentials[t] / sum(exponentials) / len(own)
    pooled = sum(weights[t] * frames[t] for t in range(num_frames))
    if renormalise:
        pooled = pooled / np.linalg.norm(pooled)
    return float(pooled @ bank.english[label]), float(pooled @ bank.chinese[label]), weights


def slow_scores(frames: np.ndarray, bank: Arrays, *, weight: float, weigh: bool, renormalise: bool) -> Scores:
    tau, labels = 0.07, range(len(bank.english))
    rows = [
        [slow_view(view, bank, label, tau=tau, weigh=weigh, renormalise=renormalise) for label in labels]
        for view in frames
    ]
    english = np.array([[row[0] for row in view] for view in rows])
    chinese = np.array([[row[1] for row in view] for view in rows])
    fused = weight * english + (1 - weight) * chinese
    probability = np.exp(fused / tau) / np.exp(fused / tau).sum(axis=1, keepdims=True)
    weights = np.array([[row[2] for row in view] for view in rows])
    en, zh, s, p = (table.mean(axis=0).astype(np.float32) for table in (english, chinese, fused, probability))
    return Scores(en, zh, s, p, weights.astype(np.float32))


def assert_close(found: Scores, expected: Scores) -> None:
    for name in ("similarity_en", "similarity_zh", "score", "probability", "frame_weights"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=2e-6, err_msg=name)


@pytest.mark.parametrize("num_views", [1, 3])
@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("aggregation", ["word_weighted", "mean"])
@pytest.mark.parametrize("word_counts", [[1, 1, 1], [1, 4, 2], [2, 5, 3], [8, 8, 8], [77, 77, 77]])
def test_scores_are_those_of_the_equations(
    word_counts: list[int], aggregation: str, renormalise: bool, num_views: int
) -> None:
    rng = np.random.default_rng(0)
    frames, bank = unit(rng, num_views, 5), draw_arrays(rng, word_counts)
    found = score(frames, bank, aggregation=aggregation, renormalise=renormalise)
    weigh = aggregation == "word_weighted"
    assert_close(found, slow_scores(frames, bank, weight=0.4, weigh=weigh, renormalise=renormalise))


@pytest.mark.parametrize("num_labels", [4095, 4097, 9000])
def test_many_labels_are_scored_as_few(num_labels: int) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 4, num_labels)
    frames, bank = unit(rng, 2, 3), draw_arrays(rng, counts.tolist())
    last = num_labels - 1
    alone = LabelBank(bank.english[last:], bank.chinese[last:], bank.words[-counts[last] :], counts[last:])
    found, expected = score(frames, bank), score(frames, alone)
    np.testing.assert_allclose(found.score[last:], expected.score, atol=1e-6)
    np.testing.assert_allclose(found.frame_weights[:, last:], expected.frame_weights, atol=1e-6)


def test_ten_thousand_labels_share_one_probability() -> None:
    rng = np.random.default_rng(0)
    scores = score(unit(rng, 1, 16), draw_arrays(rng, [8] * 10_000))
    assert scores.probability.shape == (10_000,)
    assert scores.probability.sum() == pytest.approx(1.0, abs=1e-4)


def test_without_words_every_frame_has_the_same_weight() -> None:
    rng = np.random.default_rng(0)
    frames, bank = unit(rng, 2, 4), draw_arrays(rng, [1, 2])
    scores = score(frames, LabelBank(chinese=bank.chinese), weight=0.0, words=False)
    np.testing.assert_array_equal(scores.frame_weights, np.full((2, 2, 4), 0.25, dtype=np.float32))
    expected = slow_scores(frames, bank, weight=0.0, weigh=False, renormalise=True)
    np.testing.assert_allclose(scores.score, expected.score, atol=1e-6)
    assert scores.similarity_en is None


@pytest.mark.parametrize(("weight", "name"), [(1.0, "similarity_en"), (0.0, "similarity_zh")])
def test_lambda_at_an_end_uses_exactly_one_language(weight: float, name: str) -> None:
    rng = np.random.default_rng(0)
    scores = score(unit(rng, 2, 4), draw_arrays(rng, [1, 2, 3]), weight=weight)
    np.testing.assert_array_equal(scores.score, getattr(scores, name))


@pytest.mark.parametrize(("weight", "absent"), [(1.0, "chinese"), (0.0, "english")])
def test_language_without_weight_may_be_absent(weight: float, absent: str) -> None:
    rng = np.random.default_rng(0)
    frames, bank = unit(rng, 1, 4), draw_arrays(rng, [1, 2])
    found, expected = score(frames, bank.bank(**{absent: None}), weight=weight), score(frames, bank, weight=weight)
    np.testing.assert_array_equal(found.score, expected.score)


def test_order_of_labels_views_and_frames_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    frames, bank = unit(rng, 3, 5), draw_arrays(rng, [1, 3, 2])
    words = np.split(bank.words, [1, 4])
    shuffled = Arrays(
        bank.english[[2, 0, 1]],
        bank.chinese[[2, 0, 1]],
        np.concatenate([words[2], words[0], words[1]]),
        np.array([2, 1, 3]),
    )
    found, expected = score(frames[[1, 2, 0]][:, ::-1], shuffled), score(frames, bank)
    np.testing.assert_allclose(found.probability, expected.probability[[2, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(found.score, expected.score[[2, 0, 1]], atol=1e-6)


def test_frames_that_cancel_give_finite_scores() -> None:
    frame = unit(np.random.default_rng(0), 1)
    scores = score(
        np.stack([frame[0], -frame[0]])[None], draw_arrays(np.random.default_rng(1), [1]), aggregation="mean"
    )
    assert np.isfinite(scores.score).all()
    np.testing.assert_array_equal(scores.probability, np.ones(1, dtype=np.float32))


def test_bank_is_as_long_as_its_labels() -> None:
    english = np.ones((3, D), dtype=np.float32)
    assert [len(LabelBank()), len(LabelBank(english)), len(LabelBank(chinese=english[:2]))] == [0, 3, 2]


@pytest.mark.parametrize(
    ("fields", "weight", "words", "message"),
    [
        ({}, 1.5, True, r"lambda is 1\.5; it must be in \[0, 1\]"),
        ({}, float("nan"), True, r"lambda is nan; it must be in \[0, 1\]"),
        ({"english": None}, 0.5, True, r"the label bank lacks \['english'\] for lambda 0\.5, weigh_words True"),
        ({"chinese": None}, 0.0, True, r"the label bank lacks \['chinese'\] for lambda 0\.0"),
        ({"words": None}, 1.0, True, r"the label bank lacks \['words'\] for lambda 1\.0"),
        ({"word_counts": None}, 1.0, True, r"the label bank lacks \['word_counts'\] for lambda 1\.0"),
        ({"word_counts": np.array([3, 0])}, 1.0, True, "label 1 has no words; every label needs at least one"),
    ],
)
def test_bank_that_does_not_suffice_is_refused(
    fields: dict[str, object], weight: float, words: bool, message: str
) -> None:
    rng = np.random.default_rng(0)
    bank = draw_arrays(rng, [1, 2])
    with pytest.raises(ValueError, match=message):
        score(unit(rng, 1, 4), bank.bank(**fields), weight=weight, words=words)


def test_empty_bank_is_refused() -> None:
    bank = LabelBank(english=np.zeros((0, D), dtype=np.float32))
    with pytest.raises(ValueError, match="the label bank holds no label"):
        score(unit(np.random.default_rng(0), 1, 4), bank, weight=1.0, words=False)


@pytest.mark.parametrize(
    ("logits", "expected"), [([0.0, 0.0], [0.5, 0.5]), ([1000.0, 0.0], [1.0, 0.0]), ([-1e30, -1e30], [0.5, 0.5])]
)
def test_softmax_does_not_overflow(logits: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(softmax(np.array([logits]), axis=1), np.array([expected], dtype=np.float32))


def test_ranking_is_by_probability_then_score_then_place() -> None:
    score, probability = np.array([0.1, 0.0, 0.2, 0.1], np.float32), np.array([0.0, 0.5, 0.0, 0.0], np.float32)
    scores = Scores(None, None, score, probability, np.ones((1, 4, 4), np.float32) / 4)
    assert scores.ranking.tolist() == [1, 2, 0, 3]


def cut(bank: Arrays, labels: slice) -> LabelBank:
    first = int(bank.word_counts[: labels.start].sum())
    counts = bank.word_counts[labels]
    return LabelBank(words=bank.words[first : first + counts.sum()], word_counts=counts)


@pytest.mark.parametrize("num_views", [1, 3, 30])
@pytest.mark.parametrize("renormalise", [True, False])
def test_labels_that_come_in_parts_are_scored_to_the_same_bit(num_views: int, renormalise: bool) -> None:
    rng = np.random.default_rng(num_views)
    bank, frames = draw_arrays(rng, rng.integers(1, 6, 9000).tolist()), unit(rng, num_views, 4)
    scoring, size = rule(renormalise=renormalise), 2 * labels_per_chunk(num_views)
    parts = [cut(bank, slice(first, first + size)) for first in range(0, 9000, size)]
    weights = join_weights([finish(weigh_frames(frames, part, tau=scoring.tau)) for part in parts])
    in_parts = finish(score_weighted(frames, bank.bank(words=None), weights, scoring=scoring, fusion_lambda=0.4))
    whole = score(frames, bank, renormalise=renormalise)
    for name, array in vars(whole).items():
        np.testing.assert_array_equal(getattr(in_parts, name), array)


def test_scoring_stops_between_steps() -> None:
    rng = np.random.default_rng(0)
    bank, frames = draw_arrays(rng, [2] * 9000), unit(rng, 2, 4)
    assert len(list(weigh_frames(frames, bank.bank(), tau=0.07))) == 5
    weights = weigh_equally(frames, num_labels=9000)
    assert len(list(score_weighted(frames, bank.bank(), weights, scoring=rule(), fusion_lambda=0.4))) == 2


def test_many_words_are_looked_at_in_several_steps() -> None:
    rng = np.random.default_rng(0)
    bank, frames = draw_arrays(rng, [40] * 3000 + [70_000] + [1]), unit(rng, 1, 4)
    assert len(list(weigh_frames(frames, bank.bank(), tau=0.07))) == 4
    few = Arrays(bank.english[:9], bank.chinese[:9], bank.words[: 9 * 40], bank.word_counts[:9])
    np.testing.assert_allclose(score(frames, bank).similarity_en[:9], score(frames, few).similarity_en, atol=1e-6)  # type: ignore[arg-type, index]


def test_words_of_half_precision_are_compared_in_single() -> None:
    rng = np.random.default_rng(0)
    bank, frames = draw_arrays(rng, [1, 3, 2]), unit(rng, 2, 4)
    half = bank.words.astype(np.float16)
    expected = score(frames, bank.bank(words=half.astype(np.float32)))
    np.testing.assert_array_equal(score(frames, bank.bank(words=half)).score, expected.score)


def test_weighing_needs_words() -> None:
    with pytest.raises(ValueError, match="the label bank lacks words, which weigh frames here"):
        finish(weigh_frames(unit(np.random.default_rng(0), 1, 4), LabelBank(), tau=0.07))
