"""What the recogniser needs of an engine: two protocols, the records they speak in, and the graph port below them.

Engines live beside this module; tokenization and batching of texts is the same for all of them and lives in ``towers``.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float16, Float32, UInt8

from service.contract.precision import Precision
from service.encoders.time_limit import TimeLimit


@dataclass(frozen=True)
class TextEmbedding:
    """One label's embedding in one language, and its word vectors (none where the language weighs no frames).

    Words come from a tower in single precision, and are remembered in half. ``truncated`` says that the tower read only
    the beginning of the text, ``unknown`` that it does not know some of its characters.
    """

    embedding: Float32[np.ndarray, " D"]
    words: Float32[np.ndarray, "n D"] | Float16[np.ndarray, "n D"]
    truncated: bool = False
    unknown: bool = False

    @property
    def num_bytes(self) -> int:
        """Memory held by the arrays."""
        return self.embedding.nbytes + self.words.nbytes


@runtime_checkable
class VideoEncoder(Protocol):
    """Frames to frame features."""

    async def encode_video(
        self, views: UInt8[np.ndarray, "V *frames H W 3"], *, limit: TimeLimit | None = None
    ) -> Float32[np.ndarray, "V K D"]:
        """Encode the views of one video; features have unit length, the logits of a closed vocabulary have not.

        Raises:
            DeadlineExceededError: the time limit passed first.
            EncoderUnavailableError: the engine does not answer, or answers wrongly.
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Texts of one language to embeddings."""

    async def encode_texts(
        self, texts: Sequence[str], *, template: str, limit: TimeLimit | None = None
    ) -> tuple[TextEmbedding, ...]:
        """Encode texts put into a template, in the order given.

        Raises:
            DeadlineExceededError: the time limit passed first.
            EncoderUnavailableError: the engine does not answer, or answers wrongly.
        """
        ...


@runtime_checkable
class Graph(Protocol):
    """One exported model: named arrays in, named arrays out."""

    @property
    def precision(self) -> Precision:
        """The arithmetic that the graph is run in."""
        ...

    async def run(
        self, inputs: Mapping[str, np.ndarray], *, limit: TimeLimit | None = None
    ) -> Mapping[str, np.ndarray]:
        """Run the graph once.

        Raises:
            DeadlineExceededError: the time limit passed first.
            EncoderUnavailableError: the engine does not answer, or answers wrongly.
        """
        ...

    async def replay(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the graph once for the canary, ahead of what waits where the engine has a queue of its own.

        Raises:
            EncoderUnavailableError: the engine does not answer, or answers wrongly.
            QueueFullError: the engine takes no more calls now.
        """
        ...


@dataclass(frozen=True)
class Encoders:
    """The encoders of one bundle.

    ``check`` raises ``EncoderUnavailableError`` unless a known input gives the known answer; ``close`` lets go of the
    engine.
    """

    video: VideoEncoder
    english: TextEncoder
    chinese: TextEncoder | None
    check: Callable[[], Awaitable[None]]
    close: Callable[[], None]
