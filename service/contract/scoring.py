"""Frame features and label banks to scores: Deng et al. 2024, Eq. 5-7 and 18, in Gram form.

For label l with word vectors w and frame features F_t of one view:

    a[n, t] = softmax_t(F_t . w_n / tau)         W[l, t] = mean_n a[n, t]        v_l = sum_t W[l, t] F_t

``v_l`` (a label x dimension table per view) is never built: with G = F c^T and K = F F^T,
``v_l . c_l = sum_t W[l, t] G[t, l]`` and ``|v_l|^2 = W[l] K W[l]^T``.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from service.contract.manifest import Scoring

# Labels times views scored at once: bounds the frame x word table at about 16 x 77 x 4096 float32 = 20 MB.
_CHUNK_LABELS = 4096


@dataclass(frozen=True)
class LabelBank:
    """Unit-length embeddings of a request's labels; a language that is not used is None.

    ``words`` holds all labels' word vectors one after another, ``word_counts`` how many belong to each label.
    """

    english: Float32[np.ndarray, "L D"] | None = None
    chinese: Float32[np.ndarray, "L D"] | None = None
    words: Float32[np.ndarray, "N D"] | None = None
    word_counts: Int[np.ndarray, " L"] | None = None

    def __len__(self) -> int:
        present = self.english if self.english is not None else self.chinese
        return 0 if present is None else len(present)


@dataclass(frozen=True)
class Scores:
    """Scores of every label: similarities and score averaged over views, and each label's weights of the frames."""

    similarity_en: Float32[np.ndarray, " L"] | None
    similarity_zh: Float32[np.ndarray, " L"] | None
    score: Float32[np.ndarray, " L"]
    probability: Float32[np.ndarray, " L"]
    frame_weights: Float32[np.ndarray, "V L K"]

    @property
    def ranking(self) -> Int[np.ndarray, " L"]:
        """Labels from best to worst: by probability, then by score, then by place in the request."""
        return np.lexsort((-self.score, -self.probability))


def score_labels(
    frame_features: Float32[np.ndarray, "V K D"],
    bank: LabelBank,
    *,
    scoring: Scoring,
    fusion_lambda: float,
    weigh_words: bool,
) -> Scores:
    """Score every label of a bank against a video's views.

    ``S = lambda S_VT + (1 - lambda) S_VC`` per view, probability = softmax(S / tau) per view, both averaged over views.

    Args:
        frame_features: unit-length frame features of V views.
        bank: embeddings of L labels; English is needed where lambda > 0, Chinese where lambda < 1, words where
            ``weigh_words`` and the bundle's aggregation is ``word_weighted``.
        scoring: the bundle's rule.
        fusion_lambda: weight of English in [0, 1].
        weigh_words: whether words weigh frames; otherwise every frame has weight 1 / K.

    Raises:
        ValueError: the bank lacks what the arguments need, or holds no label.
    """
    weigh = weigh_words and scoring.aggregation == "word_weighted"
    _require(bank, fusion_lambda=fusion_lambda, weigh=weigh)
    weights = _frame_weights(frame_features, bank, tau=scoring.tau, weigh=weigh)
    norms = _norms(frame_features, weights) if scoring.renormalise else np.float32(1.0)
    english = None if bank.english is None else _similarity(frame_features, bank.english, weights) / norms
    chinese = None if bank.chinese is None else _similarity(frame_features, bank.chinese, weights) / norms
    fused = _fuse(english, chinese, fusion_lambda)
    return Scores(
        similarity_en=None if english is None else english.mean(axis=0),
        similarity_zh=None if chinese is None else chinese.mean(axis=0),
        score=fused.mean(axis=0),
        probability=softmax(fused / scoring.tau, axis=1).mean(axis=0),
        frame_weights=weights,
    )


def softmax(logits: Float[np.ndarray, "*axes"], *, axis: int) -> Float32[np.ndarray, "*axes"]:
    """Softmax along one axis, shifted by the maximum so that nothing overflows."""
    exponentials = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return (exponentials / exponentials.sum(axis=axis, keepdims=True)).astype(np.float32)


def _require(bank: LabelBank, *, fusion_lambda: float, weigh: bool) -> None:
    if not 0.0 <= fusion_lambda <= 1.0:
        raise ValueError(f"lambda is {fusion_lambda}; it must be in [0, 1]")
    needed = {"english": fusion_lambda > 0, "chinese": fusion_lambda < 1, "words": weigh, "word_counts": weigh}
    if lacking := [name for name, needs in needed.items() if needs and getattr(bank, name) is None]:
        raise ValueError(f"the label bank lacks {lacking} for lambda {fusion_lambda}, weigh_words {weigh}")
    if len(bank) == 0:
        raise ValueError("the label bank holds no label")
    if weigh and bank.word_counts is not None and bank.word_counts.min() < 1:
        raise ValueError(f"label {int(bank.word_counts.argmin())} has no words; every label needs at least one")


def _frame_weights(
    frames: Float32[np.ndarray, "V K D"], bank: LabelBank, *, tau: float, weigh: bool
) -> Float32[np.ndarray, "V L K"]:
    """W of Eq. 6, or 1 / K everywhere."""
    num_views, num_frames, dimension = frames.shape
    if not weigh or bank.words is None or bank.word_counts is None:
        return np.full((num_views, len(bank), num_frames), 1.0 / num_frames, dtype=np.float32)
    stops = np.cumsum(bank.word_counts)
    starts = stops - bank.word_counts
    # Frames stand before words, so that the softmax over few frames runs along many words.
    weights = np.empty((num_views, num_frames, len(bank)), dtype=np.float32)
    queries = frames.reshape(-1, dimension) / np.float32(tau)
    chunk = max(1, _CHUNK_LABELS // num_views)
    for first in range(0, len(bank), chunk):
        labels = slice(first, first + chunk)
        begin, end = starts[first], stops[labels][-1]
        logits = (queries @ bank.words[begin:end].T).reshape(num_views, num_frames, -1)
        sums = np.add.reduceat(softmax(logits, axis=1), starts[labels] - begin, axis=2)
        weights[..., labels] = sums / bank.word_counts[labels]
    return weights.transpose(0, 2, 1)


def _similarity(
    frames: Float32[np.ndarray, "V K D"],
    embeddings: Float32[np.ndarray, "L D"],
    weights: Float32[np.ndarray, "V L K"],
) -> Float32[np.ndarray, "V L"]:
    """v_l . c_l of Eq. 7 for every view and label."""
    gram = embeddings @ frames.transpose(0, 2, 1)
    return np.einsum("vlk,vlk->vl", weights, gram)


def _norms(frames: Float32[np.ndarray, "V K D"], weights: Float32[np.ndarray, "V L K"]) -> Float32[np.ndarray, "V L"]:
    """|v_l| for every view and label; opposite frames can cancel, so it is kept away from zero."""
    gram = frames @ frames.transpose(0, 2, 1)
    squares = np.einsum("vlk,vlk->vl", weights @ gram, weights)
    return np.sqrt(np.maximum(squares, np.float32(1e-12)))


def _fuse(
    english: Float32[np.ndarray, "V L"] | None, chinese: Float32[np.ndarray, "V L"] | None, weight: float
) -> Float32[np.ndarray, "V L"]:
    """Eq. 18; a weight of exactly 0 or 1 uses exactly one language."""
    if english is None or weight == 0.0:
        return chinese if chinese is not None else np.zeros((0, 0), dtype=np.float32)
    if chinese is None or weight == 1.0:
        return english
    return np.float32(weight) * english + np.float32(1.0 - weight) * chinese
