"""From a decoded frame to the picture a viewer sees: 8-bit RGB, right colours, square pixels, upright.

FFmpeg converts the samples by the frame's own colour matrix and range; an unmarked frame counts as BT.601 limited, the
rule of every FFmpeg-based reader. Resizing and cropping for a model live in ``preprocess``.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import atan2, pi
from typing import cast

import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from service.contract.errors import VideoTooLargeError

# Resizing the short side of a narrower strip to a model's size would make its long side enormous.
MAX_SIDE_RATIO = 32


@dataclass(frozen=True)
class Orientation:
    """How the stored picture is laid out: the display matrix (a, b; c, d) takes (x, y) to (ax + cy, bx + dy).

    Only the eight turns and mirrorings by right angles exist here; a matrix between two of them counts as the nearer.
    """

    a: int = 1
    b: int = 0
    c: int = 0
    d: int = 1

    @property
    def swaps_axes(self) -> bool:
        """Whether width becomes height."""
        return abs(self.b) > abs(self.a)

    @property
    def rotation_degrees(self) -> int:
        """Clockwise turn that brings the picture upright, after mirroring left to right where the matrix mirrors."""
        mirror = -1 if self.a * self.d - self.b * self.c < 0 else 1
        return round(atan2(mirror * self.b, mirror * self.a) * 2 / pi) % 4 * 90

    def apply(self, picture: UInt8[np.ndarray, "rows columns 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """Turn and mirror a stored picture into the upright one."""
        if self.swaps_axes:
            picture, column_sign, row_sign = picture.swapaxes(0, 1), self.c, self.b
        else:
            column_sign, row_sign = self.a, self.d
        return picture[:: -1 if row_sign < 0 else 1, :: -1 if column_sign < 0 else 1]


def read_orientation(frame: VideoFrame) -> Orientation:
    """Read the display matrix that the container or the stream attached to a frame."""
    side_data = cast("Mapping[str, Buffer]", frame.side_data)  # PyAV's stubs know other keys
    if "DISPLAYMATRIX" not in side_data:
        return Orientation()
    a, b, _, c, d = struct.unpack("=5i", bytes(side_data["DISPLAYMATRIX"])[:20])
    return Orientation(a, b, c, d) if a * d - b * c else Orientation()


def read_picture(
    frame: VideoFrame, *, sample_aspect_ratio: Fraction | None, max_pixels: int
) -> UInt8[np.ndarray, "H W 3"]:
    """Convert a decoded frame to the upright RGB picture with square pixels.

    Wide pixels stretch the width and tall pixels the height, so that nothing is lost: 340 x 256 with pixels of
    64:51 becomes 427 x 256.

    Raises:
        VideoTooLargeError: the stored or the displayed picture has more pixels than allowed; a stream may change its
            size at any frame, so each one is checked.
    """
    ratio = sample_aspect_ratio if sample_aspect_ratio and sample_aspect_ratio > 0 else Fraction(1)
    width = max(round(frame.width * ratio), frame.width)
    height = max(round(frame.height / ratio), frame.height)
    if max(width, height) > MAX_SIDE_RATIO * min(width, height):
        raise VideoTooLargeError(
            f"a frame is displayed at {width}x{height}; one side may be at most {MAX_SIDE_RATIO} times the other; "
            "send a less narrow picture"
        )
    if width * height > max_pixels:
        raise VideoTooLargeError(
            f"a frame is displayed at {width}x{height} = {width * height} pixels; at most {max_pixels} are accepted; "
            "send a smaller picture"
        )
    picture = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BICUBIC", threads=1)
    return np.ascontiguousarray(read_orientation(frame).apply(picture))
