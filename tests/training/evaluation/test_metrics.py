"""Accuracies of tables whose answers are known."""

import numpy as np
import pytest

from training.data.splits import NO_OPPOSITE
from training.evaluation.metrics import pair_accuracy, retrieval_ranks, top_k_accuracy

SCORE = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4], [0.7, 0.8, 0.1], [0.5, 0.5, 0.5]], np.float32)
LABEL_IDS = np.array([0, 0, 1, 2])


@pytest.mark.parametrize(("k", "expected"), [(1, 0.5), (2, 0.5), (3, 1.0), (5, 1.0)])
def test_top_k_counts_rows_whose_label_is_among_the_first(k: int, expected: float) -> None:
    ranking = np.argsort(-SCORE, axis=1, kind="stable")
    assert top_k_accuracy(ranking, LABEL_IDS, k=k) == expected


def test_pairs_compare_a_label_with_its_opposite_alone() -> None:
    opposites = np.array([1, 0, NO_OPPOSITE])
    assert pair_accuracy(SCORE, LABEL_IDS, opposites=opposites) == pytest.approx(2 / 3)


def test_tie_in_a_pair_counts_half() -> None:
    score = np.full((1, 2), 0.5, np.float32)
    assert pair_accuracy(score, np.array([0]), opposites=np.array([1, 0])) == 0.5


def test_without_opposites_there_is_no_pair_accuracy() -> None:
    assert pair_accuracy(SCORE, LABEL_IDS, opposites=np.full(3, NO_OPPOSITE)) is None


@pytest.mark.parametrize(
    ("row", "own", "rank"),
    [
        ([0.9, 0.5, 0.1], [0, 1, 2], 1),
        ([0.1, 0.5, 0.9], [0, 1, 2], 3),
        ([0.5, 0.5, 0.1], [0, 1, 2], 2),
        ([0.5, 0.5, 0.5], [0, 1, 2], 3),
        # The better of two own items counts, and the other one is not in its way.
        ([0.7, 0.6, 0.8], [0, 1, 0], 1),
        ([0.7, 0.9, 0.8], [0, 1, 0], 2),
    ],
)
def test_rank_is_that_of_the_best_own_item_and_ties_count_against_it(
    row: list[float], own: list[int], rank: int
) -> None:
    score = np.array([row], dtype=np.float32)
    assert retrieval_ranks(score, query_ids=np.array([0]), item_ids=np.array(own)).tolist() == [rank]


def test_both_directions_of_a_table() -> None:
    # Rows are videos; captions 0 and 1 tell of video 0, caption 2 of video 1.
    score, caption_of = np.array([[0.9, 0.2, 0.3], [0.4, 0.6, 0.5]], dtype=np.float32), np.array([0, 0, 1])
    assert retrieval_ranks(score.T, query_ids=caption_of, item_ids=np.arange(2)).tolist() == [1, 2, 1]
    assert retrieval_ranks(score, query_ids=np.arange(2), item_ids=caption_of).tolist() == [1, 2]
