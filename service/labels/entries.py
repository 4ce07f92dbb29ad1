"""What stores of label embeddings hold: a key for all that an embedding depends on, and bytes good for that key alone.

A store may be damaged, or written by others, so its bytes say for which key they were made and are checked before they
count. No label text is stored.
"""

import hashlib
import json
import struct
from typing import NamedTuple

import numpy as np

from service.contract.labels import Language
from service.encoders.base import TextEmbedding

# Layout 2: this mark, SHA-256 of row key and rest, dimension, number of words, whether the text was truncated, whether
# it has unknown characters; then the embedding in float32 and the words in float16.
LAYOUT = 2
_MARK = b"DuoAct2\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_HEADER = struct.Struct("<II??")


class TextKey(NamedTuple):
    """Everything that a text's embedding depends on; ``word_set`` is empty where the language weighs no frames.

    A tuple and not a dataclass, because ten thousand of them are hashed for one request.
    """

    language: Language
    digest: str
    template: str
    word_set: str
    text: str

    def row_key(self) -> bytes:
        """A digest of all parts that no two different keys share."""
        return hashlib.sha256(json.dumps(self).encode()).digest()


def pack_embedding(key: TextKey, embedding: TextEmbedding) -> bytes:
    """Pack the embedding of a key; words are rounded to half precision."""
    num_words, dimension = embedding.words.shape
    header = _HEADER.pack(dimension, num_words, embedding.truncated, embedding.unknown)
    rest = header + embedding.embedding.tobytes() + embedding.words.astype(np.float16, copy=False).tobytes()
    return _MARK + _digest(key, rest) + rest


def unpack_embedding(key: TextKey, value: bytes) -> TextEmbedding | None:
    """Unpack what ``pack_embedding`` packed, or None where the bytes are damaged, foreign or of another key."""
    start = len(_MARK) + _DIGEST_BYTES
    rest = value[start:]
    if len(rest) < _HEADER.size or value[:start] != _MARK + _digest(key, rest):
        return None
    dimension, num_words, truncated, unknown = _HEADER.unpack_from(rest)
    words_at = _HEADER.size + 4 * dimension
    if len(rest) != words_at + 2 * dimension * num_words:
        return None
    embedding = np.frombuffer(rest[_HEADER.size : words_at], dtype=np.float32)
    words = np.frombuffer(rest[words_at:], dtype=np.float16).reshape(num_words, dimension)
    return TextEmbedding(embedding, words, truncated=truncated, unknown=unknown)


def is_sensible(embedding: TextEmbedding, *, dimension: int) -> bool:
    """Whether an embedding that others wrote can be compared with ours: as long as they are, and finite."""
    if embedding.embedding.shape != (dimension,):
        return False
    # The softmax would carry one NaN to all labels of a request.
    return bool(np.isfinite(embedding.embedding).all() and np.isfinite(embedding.words).all())


def _digest(key: TextKey, rest: bytes) -> bytes:
    return hashlib.sha256(key.row_key() + rest).digest()
