"""The room for the arrays of one answer: a file in memory whose size and layout the gateway settles beforehand.

A worker fills it and chooses nothing: dtypes and shapes follow from the rules and the plan, which both sides know. The
size is sealed. The gateway never maps it, since whoever holds the file could change it at any time: the arrays are
read out once, into memory of the gateway's own, which costs less than the page faults of a mapping.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from service.contract.views import VideoViews, ViewPlan, ViewRules


@dataclass(frozen=True)
class Arrays:
    """What lies in a room."""

    views: UInt8[np.ndarray, "V *frames S S 3"]
    indices: Int64[np.ndarray, "clips T"]
    time_seconds: Float64[np.ndarray, "clips T"]


@dataclass(frozen=True)
class Room:
    """Which arrays the views of one video are: [V, T, S, S, 3], or [V, T, n, S, S, 3], and two of [clips, T]."""

    view_shape: tuple[int, ...]
    clip_shape: tuple[int, int]

    @classmethod
    def of(cls, rules: ViewRules, plan: ViewPlan) -> "Room":
        """The arrays that ``rules.read`` gives for a plan."""
        sampling, size = rules.sampling, rules.preprocessing.input_size
        window = (sampling.num_local_frames,) if sampling.num_local_frames > 1 else ()
        return cls((plan.num_views, sampling.num_frames, *window, size, size, 3), (plan.num_clips, sampling.num_frames))

    @property
    def num_bytes(self) -> int:
        """Bytes of all arrays."""
        return prod(self.view_shape) + 2 * 8 * prod(self.clip_shape)

    @contextmanager
    def open(self) -> Iterator[int]:
        """Make the file, whose pages cost nothing until they are written."""
        descriptor = os.memfd_create("views", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, self.num_bytes)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            yield descriptor
        finally:
            os.close(descriptor)

    def write(self, descriptor: int, views: VideoViews) -> None:
        """Fill a fresh room; run in the worker.

        Raises:
            ValueError: the arrays have other shapes.
        """
        shapes = (views.views.shape, views.indices.shape, views.time_seconds.shape)
        if shapes != (self.view_shape, self.clip_shape, self.clip_shape):
            raise ValueError(f"arrays have the shapes {shapes}; the room is for {self.view_shape}, {self.clip_shape}")
        for array in (views.views, views.indices, views.time_seconds):
            rest = np.ascontiguousarray(array).data.cast("B")
            while rest:
                rest = rest[os.write(descriptor, rest) :]

    def read(self, descriptor: int) -> Arrays:
        """Copy the arrays out."""
        arrays = Arrays(
            np.empty(self.view_shape, np.uint8),
            np.empty(self.clip_shape, np.int64),
            np.empty(self.clip_shape, np.float64),
        )
        _read_into((arrays.views, arrays.indices, arrays.time_seconds), descriptor)
        return arrays


def _read_into(arrays: Sequence[np.ndarray], descriptor: int) -> None:
    offset = 0
    for array in arrays:
        rest = array.data.cast("B")
        while rest:
            num_bytes = os.preadv(descriptor, [rest], offset)
            offset += num_bytes
            rest = rest[num_bytes:]
