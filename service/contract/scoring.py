"""Frame features and label banks to scores: Deng et al. 2024, Eq. 5-7 and 18, in Gram form.

For label l with word vectors w and frame features F_t of one view:

    a[n, t] = softmax_t(F_t . w_n / tau)         W[l, t] = mean_n a[n, t]        v_l = sum_t W[l, t] F_t

``v_l`` (a label x dimension table per view) is never built: with G = F c^T and K = F F^T,
``v_l . c_l = sum_t W[l, t] G[t, l]`` and ``|v_l|^2 = W[l] K W[l]^T``.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Float16, Float32, Int

from service.contract.manifest import Scoring

# Labels times views whose words weigh frames at once.
_CHUNK_LABELS = 4096
# Words at once: bounds their float32 copy at 65,536 x 512 x 4 = 134 MB, and the frame x word table at 16 MB.
_CHUNK_WORDS = 65_536

Result = TypeVar("Result")
# Arithmetic that stops for a moment between two steps, so that whoever runs it may leave it there.
Steps = Generator[None, None, Result]


@dataclass(frozen=True)
class LabelBank:
    """Unit-length embeddings of a request's labels; a language that is not used is None.

    ``words`` holds all labels' word vectors one after another, ``word_counts`` how many belong to each label. Words may
    come in half precision, which halves what most of a bank consists of; they are compared in single precision.
    """

    english: Float32[np.ndarray, "L D"] | None = None
    chinese: Float32[np.ndarray, "L D"] | None = None
    words: Float32[np.ndarray, "N D"] | Float16[np.ndarray, "N D"] | None = None
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
    weigh = weighs_words(scoring, weigh_words=weigh_words)
    _require(bank, fusion_lambda=fusion_lambda, weigh=weigh)
    if weigh:
        weights = finish(weigh_frames(frame_features, bank, tau=scoring.tau))
    else:
        weights = weigh_equally(frame_features, num_labels=len(bank))
    return finish(score_weighted(frame_features, bank, weights, scoring=scoring, fusion_lambda=fusion_lambda))


def weighs_words(scoring: Scoring, *, weigh_words: bool) -> bool:
    """Whether words weigh frames: the request has them for every label, and the bundle's rule takes them."""
    return weigh_words and scoring.aggregation == "word_weighted"


def weigh_equally(frame_features: Float32[np.ndarray, "V K D"], *, num_labels: int) -> Float32[np.ndarray, "V L K"]:
    """Let every frame weigh 1 / K for every label."""
    num_views, num_frames, _ = frame_features.shape
    return np.full((num_views, num_labels, num_frames), 1.0 / num_frames, dtype=np.float32)


def weigh_frames(
    frame_features: Float32[np.ndarray, "V K D"], bank: LabelBank, *, tau: float
) -> Steps[Float32[np.ndarray, "V L K"]]:
    """Weigh frames by the words of labels: W of Eq. 6.

    Labels may come in several banks, each but the last with a multiple of ``labels_per_chunk``, for ``join_weights``.

    Raises:
        ValueError: a label has no words.
    """
    if bank.words is None or bank.word_counts is None:
        raise ValueError("the label bank lacks words, which weigh frames here")
    if bank.word_counts.min() < 1:
        raise ValueError(f"label {int(bank.word_counts.argmin())} has no words; every label needs at least one")
    num_views, num_frames, dimension = frame_features.shape
    stops = np.cumsum(bank.word_counts)
    starts = stops - bank.word_counts
    # Frames stand before words, so that the softmax over few frames runs along many words.
    weights = np.empty((num_views, num_frames, len(stops)), dtype=np.float32)
    queries = frame_features.reshape(-1, dimension) / np.float32(tau)
    for labels in _chunks(stops, size=labels_per_chunk(num_views)):
        begin, end = starts[labels][0], stops[labels][-1]
        words = bank.words[begin:end].astype(np.float32, copy=False)
        logits = (queries @ words.T).reshape(num_views, num_frames, -1)
        sums = np.add.reduceat(softmax(logits, axis=1), starts[labels] - begin, axis=2)
        weights[..., labels] = sums / bank.word_counts[labels]
        yield
    return weights.transpose(0, 2, 1)


def labels_per_chunk(num_views: int) -> int:
    """How many labels' words weigh frames together.

    A part of the definition: products of other shapes round in another way.
    """
    return max(1, _CHUNK_LABELS // num_views)


def join_weights(parts: Sequence[Float32[np.ndarray, "V _ K"]]) -> Float32[np.ndarray, "V L K"]:
    """Put the weights of several banks together, laid out as those of one."""
    return np.concatenate([part.transpose(0, 2, 1) for part in parts], axis=2).transpose(0, 2, 1)


def score_weighted(
    frame_features: Float32[np.ndarray, "V K D"],
    bank: LabelBank,
    weights: Float32[np.ndarray, "V L K"],
    *,
    scoring: Scoring,
    fusion_lambda: float,
) -> Steps[Scores]:
    """Score every label of a bank by frames that have been weighed; a step a view, and the words are not looked at."""
    num_views = len(frame_features)
    english, chinese = (
        None if embeddings is None else np.empty((num_views, len(bank)), dtype=np.float32)
        for embeddings in (bank.english, bank.chinese)
    )
    for view in range(num_views):
        own, own_weights = frame_features[view : view + 1], weights[view : view + 1]
        norms = _norms(own, own_weights) if scoring.renormalise else np.float32(1.0)
        if english is not None and bank.english is not None:
            english[view] = (_similarity(own, bank.english, own_weights) / norms)[0]
        if chinese is not None and bank.chinese is not None:
            chinese[view] = (_similarity(own, bank.chinese, own_weights) / norms)[0]
        yield
    fused = _fuse(english, chinese, fusion_lambda)
    return Scores(
        similarity_en=None if english is None else english.mean(axis=0),
        similarity_zh=None if chinese is None else chinese.mean(axis=0),
        score=fused.mean(axis=0),
        probability=softmax(fused / scoring.tau, axis=1).mean(axis=0),
        frame_weights=weights,
    )


def finish(steps: Steps[Result]) -> Result:
    """Run arithmetic to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


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


def _chunks(stops: Int[np.ndarray, " L"], *, size: int) -> Iterator[slice]:
    """Cut labels, given where the words of each end, every ``size`` labels and before too many words."""
    for first in range(0, len(stops), size):
        last = min(first + size, len(stops))
        while first < last:
            read = int(stops[first - 1]) if first else 0
            fitting = int(np.searchsorted(stops, read + _CHUNK_WORDS, side="right"))
            cut = min(max(fitting, first + 1), last)
            yield slice(first, cut)
            first = cut


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
