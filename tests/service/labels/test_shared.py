"""Bytes of a shared store: good for one key, and refused where anything about them is wrong."""

import numpy as np
import pytest

from service.encoders.base import TextEmbedding
from service.labels.shared import pack_shared, unpack_shared
from service.labels.store import TextKey, pack_embedding
from tests.encoders import DIMENSION, unit_vector

KEY = TextKey("en", "a" * 64, "a video of {}", "label", "running")
EMBEDDING = TextEmbedding(unit_vector("x"), np.stack([unit_vector("y"), unit_vector("z")]), truncated=True)
PACKED = pack_shared(KEY, EMBEDDING)


@pytest.mark.parametrize(
    "embedding",
    [EMBEDDING, TextEmbedding(unit_vector("x"), np.zeros((0, DIMENSION), dtype=np.float32), unknown=True)],
)
def test_packed_embedding_comes_back(embedding: TextEmbedding) -> None:
    found = unpack_shared(KEY, pack_shared(KEY, embedding), dimension=DIMENSION)
    assert found is not None
    np.testing.assert_array_equal(found.embedding, embedding.embedding)
    np.testing.assert_array_equal(found.words, embedding.words)
    assert (found.truncated, found.unknown) == (embedding.truncated, embedding.unknown)


@pytest.mark.parametrize(
    "change",
    [{"language": "zh"}, {"digest": "b" * 64}, {"template": "{}"}, {"word_set": "sentence"}, {"text": "running "}],
)
def test_value_of_another_key_is_refused(change: dict[str, str]) -> None:
    assert unpack_shared(KEY._replace(**change), PACKED, dimension=DIMENSION) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a session of another program",
        PACKED[:20],
        PACKED[:-1],
        PACKED + b"\0",
        PACKED.replace(b"DuoAct1", b"DuoAct2"),
        PACKED[:100] + bytes([PACKED[100] ^ 1]) + PACKED[101:],
        pack_embedding(EMBEDDING),
    ],
)
def test_damaged_and_foreign_bytes_are_refused(value: bytes) -> None:
    assert unpack_shared(KEY, value, dimension=DIMENSION) is None


def test_other_dimension_is_refused() -> None:
    assert unpack_shared(KEY, PACKED, dimension=DIMENSION * 2) is None


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_number_that_is_not_finite_is_refused(number: float) -> None:
    spoilt = TextEmbedding(EMBEDDING.embedding, np.full_like(EMBEDDING.words, number))
    assert unpack_shared(KEY, pack_shared(KEY, spoilt), dimension=DIMENSION) is None
    spoilt = TextEmbedding(np.full_like(EMBEDDING.embedding, number), EMBEDDING.words)
    assert unpack_shared(KEY, pack_shared(KEY, spoilt), dimension=DIMENSION) is None
