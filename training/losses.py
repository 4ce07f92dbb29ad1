"""The contrastive loss of clips with English and Chinese texts (Deng et al. 2024, Eq. 15-17), and its text bank.

Optimisation lives in ``fit``; the similarities come from ``models.aggregation``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from service.contract.labels import Label
from training.config import ModelConfig
from training.errors import DataError
from training.models.aggregation import frame_weights, similarity, uniform_weights
from training.models.video_clip import VideoCLIP


@dataclass(frozen=True)
class TextBank:
    """Frozen embeddings of all labels, looked up by label id; ``chinese`` is None for a model without that branch."""

    english: Float[Tensor, "L D"]
    words: Float[Tensor, "L N D"]
    is_word: Bool[Tensor, "L N"]
    chinese: Float[Tensor, "L D"] | None


@dataclass(frozen=True)
class Losses:
    """L of Eq. 17 with its parts L_VT and L_VC; ``chinese`` is None for a model without that branch."""

    total: Float[Tensor, ""]
    english: Float[Tensor, ""]
    chinese: Float[Tensor, ""] | None


def build_text_bank(model: VideoCLIP, labels: Sequence[Label]) -> TextBank:
    """Encode all labels once with a model's frozen text towers.

    Raises:
        DataError: a label lacks a language that the model trains with.
    """
    has_chinese = model.chinese is not None
    lacking = [str(each) for each in labels if each.en is None or (has_chinese and each.zh is None)]
    if lacking:
        needed = "English and Chinese" if has_chinese else "English"
        raise DataError(f"training needs {needed} text for every label; {', '.join(lacking[:5])} lack it")
    text = model.encode_text_en([each.en or "" for each in labels])
    words = list(text.words.split(text.word_counts.tolist()))
    counts = text.word_counts
    is_word = torch.arange(int(counts.max()), device=counts.device) < counts[:, None]
    chinese = model.encode_text_zh([each.zh or "" for each in labels]) if has_chinese else None
    return TextBank(text.embedding, pad_sequence(words, batch_first=True), is_word, chinese)


def dual_semantic_loss(
    frames: Float[Tensor, "B T D"],
    label_ids: Int64[Tensor, " B"],
    *,
    bank: TextBank,
    config: ModelConfig,
    label_smoothing: float,
) -> Losses:
    """L = L_VT + L_VC over a batch of clips and their own texts (Eq. 17).

    The clip is pooled anew for the words of each text. Chinese texts take the weights of the English words of the
    same label.
    """
    if config.aggregation == "word_weighted":
        weights = frame_weights(frames, bank.words[label_ids], bank.is_word[label_ids], tau=config.tau)
    else:
        weights = uniform_weights(frames, num_labels=len(label_ids))

    def loss_of(embeddings: Float[Tensor, "L D"]) -> Float[Tensor, ""]:
        logits = similarity(frames, embeddings[label_ids], weights, renormalise=config.renormalise) / config.tau
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
    over_clips = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    over_texts = -(targets.T * logits.log_softmax(dim=0)).sum(dim=0).mean()
    return (over_clips + over_texts) / 2
