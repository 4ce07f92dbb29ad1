"""What several gateways share of their label embeddings: the store they ask, and the bytes it holds.

Whoever else writes to the same store is not trusted to write sense: a value says for which key it was made, and is
checked before it counts. Stores themselves live beside this module.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from service.encoders.base import TextEmbedding
from service.labels.store import TextKey, pack_embedding, unpack_embedding

# Format 1: this mark, SHA-256 of row key and body, and the body that the local store keeps, in float32.
_MARK = b"DuoAct1\n"
_HEADER_BYTES = len(_MARK) + hashlib.sha256().digest_size


@runtime_checkable
class SharedLabels(Protocol):
    """Embeddings that other gateways may have computed. It saves time and is never needed for an answer."""

    @property
    def lookups(self) -> Mapping[str, int]:
        """Texts asked for, by result."""
        ...

    @property
    def writes(self) -> Mapping[str, int]:
        """Texts to be stored, by result."""
        ...

    @property
    def is_up(self) -> bool:
        """Whether the store answered the last time."""
        ...

    async def read(self, keys: Sequence[TextKey]) -> dict[TextKey, TextEmbedding]:
        """Read what is stored of the keys; a fault costs the entries, and raises nothing."""
        ...

    async def write(self, entries: Mapping[TextKey, TextEmbedding]) -> None:
        """Store entries; a fault costs them, and raises nothing."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


def pack_shared(key: TextKey, embedding: TextEmbedding) -> bytes:
    """Pack the embedding of a key into bytes that are good for this key alone."""
    body = pack_embedding(embedding)
    return _MARK + _digest(key, body) + body


def unpack_shared(key: TextKey, value: bytes, *, dimension: int) -> TextEmbedding | None:
    """Unpack what ``pack_shared`` packed, or None where it is damaged, foreign, of another key or another size."""
    header, body = value[:_HEADER_BYTES], value[_HEADER_BYTES:]
    if header != _MARK + _digest(key, body):
        return None
    embedding = unpack_embedding(body)
    if embedding is None or embedding.embedding.shape != (dimension,):
        return None
    # The softmax would carry one NaN to all labels of a request.
    is_finite = np.isfinite(embedding.embedding).all() and np.isfinite(embedding.words).all()
    return embedding if is_finite else None


def _digest(key: TextKey, body: bytes) -> bytes:
    return hashlib.sha256(key.row_key() + body).digest()
