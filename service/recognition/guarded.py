"""Encoders that are not asked while they are known to be wrong, and whose answers tell that they live."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32, UInt8

from service.encoders.base import Encoders, TextEmbedding, TextEncoder, VideoEncoder
from service.encoders.time_limit import TimeLimit
from service.recognition.probe import Probe


def guard_encoders(encoders: Encoders, *, probe: Probe) -> Encoders:
    """Put a probe between encoders and those who ask them."""
    chinese = None if encoders.chinese is None else GuardedTextEncoder(encoders.chinese, probe=probe)
    return replace(
        encoders,
        video=GuardedVideoEncoder(encoders.video, probe=probe),
        english=GuardedTextEncoder(encoders.english, probe=probe),
        chinese=chinese,
    )


class GuardedVideoEncoder:
    """A video encoder behind a probe."""

    def __init__(self, encoder: VideoEncoder, *, probe: Probe) -> None:
        self._encoder = encoder
        self._probe = probe

    async def encode_video(
        self, views: UInt8[np.ndarray, "V *frames H W 3"], *, limit: TimeLimit | None = None
    ) -> Float32[np.ndarray, "V K D"]:
        """Encode the views of one video.

        Raises:
            EncoderUnavailableError: the encoder is known to be wrong, or what it raises itself.
        """
        self._probe.require()
        features = await self._encoder.encode_video(views, limit=limit)
        self._probe.note_work()
        return features


class GuardedTextEncoder:
    """A text encoder behind a probe."""

    def __init__(self, encoder: TextEncoder, *, probe: Probe) -> None:
        self._encoder = encoder
        self._probe = probe

    async def encode_texts(
        self, texts: Sequence[str], *, template: str, limit: TimeLimit | None = None
    ) -> tuple[TextEmbedding, ...]:
        """Encode texts put into a template.

        Raises:
            EncoderUnavailableError: the encoder is known to be wrong, or what it raises itself.
        """
        self._probe.require()
        embeddings = await self._encoder.encode_texts(texts, template=template, limit=limit)
        self._probe.note_work()
        return embeddings
