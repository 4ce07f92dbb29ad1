"""Texts of all labels as a fit needs them: encoded once where the towers are frozen, else ready to be encoded."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from service.contract.labels import Label
from training.models.label_bank import require_texts
from training.models.video_clip import LabelTokens, VideoCLIP


@dataclass(frozen=True)
class TextBank:
    """Frozen embeddings of all labels, looked up by label id; ``chinese`` is None for a model without that branch."""

    english: Float[Tensor, "L D"]
    words: Float[Tensor, "L N D"]
    is_word: Bool[Tensor, "L N"]
    chinese: Float[Tensor, "L D"] | None


# A closed set of classes has no texts.
Texts = TextBank | LabelTokens | None


def prepare_texts(model: VideoCLIP, labels: Sequence[Label]) -> Texts:
    """Encode all labels once, or, where the English tower trains, make them ready to be encoded in every step.

    A closed set of classes needs none of it.

    Raises:
        DataError: a label lacks a language that the model trains with.
    """
    if model.config.is_closed:
        return None
    if trains_texts(model):
        require_texts(model, labels, purpose="training")
        return model.tokenize_en([each.en or "" for each in labels])
    return build_text_bank(model, labels)


def trains_texts(model: VideoCLIP) -> bool:
    """Whether embeddings of labels change from step to step."""
    return any(parameter.requires_grad for parameter in model.english.parameters())


def build_text_bank(model: VideoCLIP, labels: Sequence[Label]) -> TextBank:
    """Encode all labels once with a model's frozen text towers.

    Raises:
        DataError: a label lacks a language that the model trains with.
    """
    require_texts(model, labels, purpose="training")
    text = model.encode_text_en([each.en or "" for each in labels])
    words = list(text.words.split(text.word_counts.tolist()))
    counts = text.word_counts
    is_word = torch.arange(int(counts.max()), device=counts.device) < counts[:, None]
    chinese = None if model.chinese is None else model.encode_text_zh([each.zh or "" for each in labels])
    return TextBank(text.embedding, pad_sequence(words, batch_first=True), is_word, chinese)
