"""Accuracies from tables of scores; nothing here knows videos or models."""

import numpy as np
from jaxtyping import Bool, Float32, Int64

from training.data.splits import NO_OPPOSITE


def top_k_accuracy(ranking: Int64[np.ndarray, "N L"], label_ids: Int64[np.ndarray, " N"], *, k: int) -> float:
    """Share of rows whose label is among the first k of its ranking."""
    return float((ranking[:, :k] == label_ids[:, None]).any(axis=1).mean())


def pair_accuracy(
    score: Float32[np.ndarray, "N L"], label_ids: Int64[np.ndarray, " N"], *, opposites: Int64[np.ndarray, " L"]
) -> float | None:
    """Share of rows whose label scores above its opposite, over the rows whose label has one; None without such rows.

    ``opposites`` holds the label that differs in time alone, or ``NO_OPPOSITE``. Chance is 0.5; a tie counts as half.
    """
    opposite = opposites[label_ids]
    rows: Bool[np.ndarray, " N"] = opposite != NO_OPPOSITE
    if not rows.any():
        return None
    own = score[rows, label_ids[rows]]
    other = score[rows, opposite[rows]]
    return float(((own > other) + 0.5 * (own == other)).mean())


def retrieval_ranks(
    score: Float32[np.ndarray, "Q M"], *, query_ids: Int64[np.ndarray, " Q"], item_ids: Int64[np.ndarray, " M"]
) -> Int64[np.ndarray, " Q"]:
    """Rank the best of each query's own items, those with its id, among the items of others; the first rank is 1.

    Ties count against the query: a foreign item of equal score stands before its own.
    """
    return np.array(
        [
            1 + np.count_nonzero(row[item_ids != query] >= row[item_ids == query].max())
            for row, query in zip(score, query_ids, strict=True)
        ],
        dtype=np.int64,
    )
