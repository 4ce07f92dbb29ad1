"""Losses on arrays: of clips with their texts in two languages (Deng et al. 2024, Eq. 15-17), and over all labels.

What a step minimises with a whole model, and over several processes, is in ``objectives``; the similarities come from
``models.aggregation``.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from training.config.adapters import Fusion
from training.config.model import ScoringConfig
from training.fitting.texts import TextBank
from training.models.aggregation import frame_weights, similarity, uniform_weights


@dataclass(frozen=True)
class Losses:
    """L of Eq. 17 with its parts L_VT and L_VC; ``chinese`` is None for a model without that branch."""

    total: Float[Tensor, ""]
    english: Float[Tensor, ""]
    chinese: Float[Tensor, ""] | None


def dual_semantic_loss(
    frames: Float[Tensor, "B T D"],
    label_ids: Int64[Tensor, " B"],
    *,
    bank: TextBank,
    scoring: ScoringConfig,
    label_smoothing: float,
) -> Losses:
    """L = L_VT + L_VC over a batch of clips and their own texts (Eq. 17).

    The clip is pooled anew for the words of each text. Chinese texts take the weights of the English words of the
    same label.
    """
    if scoring.aggregation == "word_weighted":
        weights = frame_weights(frames, bank.words[label_ids], bank.is_word[label_ids], tau=scoring.tau)
    else:
        weights = uniform_weights(frames, num_labels=len(label_ids))

    def loss_of(embeddings: Float[Tensor, "L D"]) -> Float[Tensor, ""]:
        logits = similarity(frames, embeddings[label_ids], weights, renormalise=scoring.renormalise) / scoring.tau
        return contrastive_loss(logits, label_ids, label_smoothing=label_smoothing)

    english = loss_of(bank.english)
    if bank.chinese is None:
        return Losses(english, english, None)
    chinese = loss_of(bank.chinese)
    return Losses(english + chinese, english, chinese)


def contrastive_loss(
    logits: Float[Tensor, "B B"], label_ids: Int64[Tensor, " B"], *, label_smoothing: float
) -> Float[Tensor, ""]:
    """(L_V2T + L_T2V) / 2 of logits [text, clip] (Eq. 15 and 16, as negative log-likelihoods).

    The positives K(i) are all batch items with the label of i; they share the target evenly. ``label_smoothing`` mixes
    that target with the uniform one over the batch.
    """
    positives = (label_ids[:, None] == label_ids[None, :]).to(logits.dtype)
    targets = positives / positives.sum(dim=1, keepdim=True)
    targets = (1 - label_smoothing) * targets + label_smoothing / len(label_ids)
    return symmetric_cross_entropy(logits, of_rows=targets, of_columns=targets.T)


def symmetric_cross_entropy(
    logits: Float[Tensor, "B B"], *, of_rows: Float[Tensor, "B B"], of_columns: Float[Tensor, "B B"]
) -> Float[Tensor, ""]:
    """CLIP's objective (Radford et al. 2021, Fig. 3): the mean of the cross entropies of rows and of columns.

    The targets ``of_rows`` sum to 1 along each row, those ``of_columns`` along each column.
    """
    over_rows = -(of_rows * logits.log_softmax(dim=1)).sum(dim=1).mean()
    over_columns = -(of_columns * logits.log_softmax(dim=0)).sum(dim=0).mean()
    return (over_rows + over_columns) / 2


def label_logits(
    features: Float[Tensor, "B K D"], texts: Float[Tensor, "L D"], logit_scale: Float[Tensor, ""], *, fusion: Fusion
) -> Float[Tensor, "samples L"]:
    """Score clips against all labels: the mean over a clip's features, or for ``image`` each of them as a sample.

    Samples of ``image`` are ordered by clip.
    """
    logits = logit_scale.exp() * (features @ texts.T)
    return logits.flatten(0, 1) if fusion == "image" else logits.mean(dim=1)


def soft_targets(
    label_ids: Int64[Tensor, " B"], *, num_labels: int, label_smoothing: float, dtype: torch.dtype
) -> Float[Tensor, "B L"]:
    """Give each clip its label, mixed with the uniform target over all labels."""
    exact = functional.one_hot(label_ids, num_labels).to(dtype)
    return (1 - label_smoothing) * exact + label_smoothing / num_labels


def classification_loss(logits: Float[Tensor, "samples L"], targets: Float[Tensor, "B L"]) -> Float[Tensor, ""]:
    """Cross entropy over all labels; where a clip has several samples, all of them take its target."""
    own = targets.repeat_interleave(len(logits) // len(targets), dim=0)
    return -(own * logits.log_softmax(dim=1)).sum(dim=1).mean()
