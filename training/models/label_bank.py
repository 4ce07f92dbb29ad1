"""Label banks in torch: what a model's text towers say of a list of labels, as the arrays that scoring takes."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from service.contract.labels import Label
from service.contract.scoring import LabelBank
from service.contract.wording import list_some
from training.errors import DataError
from training.models.video_clip import EnglishText, VideoCLIP

# Labels encoded at once; bounds the memory of a text tower.
_CHUNK_LABELS = 256


def embed_labels(model: VideoCLIP, labels: Sequence[Label], *, with_chinese: bool) -> LabelBank:
    """Embed labels in both languages, or in English alone.

    A label that lacks a language has a row of zeros there, and no words; a language that no label has is None.
    """
    english = _embed_english(model, [label.en for label in labels])
    if not with_chinese or all(label.zh is None for label in labels):
        return english
    rows = [index for index, label in enumerate(labels) if label.zh is not None]
    texts = [label.zh for label in labels if label.zh is not None]
    chinese = np.concatenate([model.encode_text_zh(chunk).numpy(force=True) for chunk in _chunks(texts)])
    return LabelBank(
        english=english.english,
        chinese=_scatter(chinese, rows=rows, num_rows=len(labels)),
        words=english.words,
        word_counts=english.word_counts,
    )


def require_texts(model: VideoCLIP, labels: Sequence[Label], *, purpose: str) -> None:
    """Check that all labels have texts in the languages of a model.

    Raises:
        DataError: a label lacks one; the message says the ``purpose`` that needs it.
    """
    has_chinese = model.chinese is not None
    if lacking := [each for each in labels if each.en is None or (has_chinese and each.zh is None)]:
        needed = "English and Chinese" if has_chinese else "English"
        raise DataError(f"{purpose} needs {needed} text for every label; {list_some(lacking)} lack it")


def _embed_english(model: VideoCLIP, texts: Sequence[str | None]) -> LabelBank:
    rows = [index for index, text in enumerate(texts) if text is not None]
    if not rows:
        return LabelBank()
    encoded: list[EnglishText] = [model.encode_text_en(chunk) for chunk in _chunks([t for t in texts if t is not None])]
    word_counts = np.zeros(len(texts), dtype=np.int64)
    word_counts[rows] = np.concatenate([text.word_counts.numpy(force=True) for text in encoded])
    return LabelBank(
        english=_scatter(
            np.concatenate([text.embedding.numpy(force=True) for text in encoded]), rows=rows, num_rows=len(texts)
        ),
        words=np.concatenate([text.words.numpy(force=True) for text in encoded]),
        word_counts=word_counts,
    )


def _scatter(values: Float32[np.ndarray, "n D"], *, rows: Sequence[int], num_rows: int) -> Float32[np.ndarray, "L D"]:
    table = np.zeros((num_rows, values.shape[1]), dtype=np.float32)
    table[list(rows)] = values
    return table


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), _CHUNK_LABELS):
        yield texts[start : start + _CHUNK_LABELS]
