"""Bytes of a store: good for one key, and refused where anything about them is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from service.encoders.base import TextEmbedding
from service.labels.entries import TextKey, is_sensible, pack_embedding, unpack_embedding
from tests.encoders import DIMENSION, unit_vector

KEY = TextKey("en", "a" * 64, "a video of {}", "label", "running")
EMBEDDING = TextEmbedding(
    unit_vector("x"), np.stack([unit_vector("y"), unit_vector("z")]).astype(np.float16), truncated=True
)
PACKED = pack_embedding(KEY, EMBEDDING)


@pytest.mark.parametrize(
    "embedding",
    [EMBEDDING, TextEmbedding(unit_vector("x"), np.zeros((0, DIMENSION), dtype=np.float16), unknown=True)],
)
def test_packed_embedding_comes_back(embedding: TextEmbedding) -> None:
    found = unpack_embedding(KEY, pack_embedding(KEY, embedding))
    assert found is not None
    np.testing.assert_array_equal(found.embedding, embedding.embedding)
    np.testing.assert_array_equal(found.words, embedding.words)
    assert (found.truncated, found.unknown) == (embedding.truncated, embedding.unknown)


@pytest.mark.parametrize(
    "change",
    [{"language": "zh"}, {"digest": "b" * 64}, {"template": "{}"}, {"word_set": "sentence"}, {"text": "running "}],
)
def test_value_of_another_key_is_refused(change: dict[str, str]) -> None:
    assert unpack_embedding(KEY._replace(**change), PACKED) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a session of another program",
        PACKED[:20],
        PACKED[:-1],
        PACKED + b"\0",
        PACKED.replace(b"DuoAct2", b"DuoAct1"),
        PACKED[:100] + bytes([PACKED[100] ^ 1]) + PACKED[101:],
        PACKED.replace(b"\x10\0\0\0\2", b"\x10\0\0\0\1"),
    ],
)
def test_damaged_and_foreign_bytes_are_refused(value: bytes) -> None:
    assert unpack_embedding(KEY, value) is None


def test_words_are_rounded_to_half_precision() -> None:
    single = TextEmbedding(EMBEDDING.embedding, EMBEDDING.words.astype(np.float32) * np.float32(1.0001))
    found = unpack_embedding(KEY, pack_embedding(KEY, single))
    assert found is not None
    np.testing.assert_array_equal(found.words, single.words.astype(np.float16), strict=True)


def test_embedding_of_another_length_cannot_be_compared() -> None:
    assert is_sensible(EMBEDDING, dimension=DIMENSION)
    assert not is_sensible(EMBEDDING, dimension=DIMENSION * 2)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_cannot_be_compared(number: float) -> None:
    for name in ("embedding", "words"):
        spoilt = replace(EMBEDDING, **{name: np.full_like(getattr(EMBEDDING, name), number)})
        assert not is_sensible(spoilt, dimension=DIMENSION)
