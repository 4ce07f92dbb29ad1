"""The video encoder alone: what views cost that come in one batch, and what they cost in larger ones."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from jaxtyping import UInt8

from service.bench.plan import Advance
from service.contract.manifest import Manifest
from service.encoders.base import VideoEncoder

_SEED = 0
# A small encoder is called so often in one turn that a moment's disturbance does not decide.
_MIN_TURN_SECONDS = 0.25


@dataclass(frozen=True)
class EncodeCost:
    """One call with so many views: the median."""

    num_views: int
    call_ms: float
    views_per_second: float


async def measure_encoder(
    encoder: VideoEncoder,
    *,
    manifest: Manifest,
    batch_sizes: Sequence[int],
    num_rounds: int,
    advance: Advance,
    min_turn_seconds: float = _MIN_TURN_SECONDS,
) -> tuple[EncodeCost, ...]:
    """Encode views of random pixels in batches of each size, in rounds that take turns after one that warms up.

    Raises:
        EncoderUnavailableError: the engine does not answer, or answers wrongly.
    """
    views = _make_views(manifest, num_views=max(batch_sizes))
    seconds: dict[int, list[float]] = {num_views: [] for num_views in batch_sizes}
    for turn in range(1 + num_rounds):
        for num_views, own in seconds.items():
            taken = await _take_turn(encoder, views[:num_views], min_seconds=min_turn_seconds)
            own.extend(taken if turn else ())
            advance()
    return tuple(_summarise(num_views, own) for num_views, own in seconds.items())


async def _take_turn(
    encoder: VideoEncoder, views: UInt8[np.ndarray, "V *frames H W 3"], *, min_seconds: float
) -> list[float]:
    """Encode the same views at least once, and until the turn is long enough."""
    seconds: list[float] = []
    while sum(seconds) < min_seconds or not seconds:
        began = time.perf_counter()
        await encoder.encode_video(views)
        seconds.append(time.perf_counter() - began)
    return seconds


def _make_views(manifest: Manifest, *, num_views: int) -> UInt8[np.ndarray, "V *frames H W 3"]:
    sampling, size = manifest.sampling, manifest.preprocessing.input_size
    window = (sampling.num_local_frames,) if sampling.num_local_frames > 1 else ()
    shape = (num_views, sampling.num_frames, *window, size, size, 3)
    return np.random.default_rng(_SEED).integers(0, 256, shape, dtype=np.uint8)


def _summarise(num_views: int, seconds: Sequence[float]) -> EncodeCost:
    call = median(seconds)
    return EncodeCost(num_views, round(1000 * call, 3), round(num_views / call, 3))
