"""From a decoded frame to the picture a viewer sees: 8-bit RGB, right colours, square pixels, cropped, upright.

FFmpeg converts the samples by the frame's own colour matrix and range (``colours``); high dynamic range is brought down
in ``tone_mapping``. Resizing and cropping for a model live in ``preprocess``.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from math import atan2, pi

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from service.contract.colours import BT2020, choose_matrix, is_convertible
from service.contract.errors import VideoTooLargeError
from service.contract.side_data import read_side_data
from service.contract.tone_mapping import TRANSFERS, Transfer, tone_map

Stored = UInt8[np.ndarray, "rows columns 3"]
Picture = UInt8[np.ndarray, "H W 3"]

# Resizing the short side of a narrower strip to a model's size would make its long side enormous.
MAX_SIDE_RATIO = 32
# Tone mapping costs by the pixel, and no model's input has half of so short a side.
HDR_SHORT_SIDE = 720


@dataclass(frozen=True)
class Crop:
    """Rows and columns of the stored picture that are not shown, in stored pixels."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def apply(self, picture: Stored, *, width: int, height: int) -> Picture:
        """Cut the edges off a picture that shows the stored one of ``width`` x ``height``, stretched or not."""
        if self == Crop() or not self.fits(width=width, height=height):
            return picture
        rows, columns, _ = picture.shape
        top, bottom = (round(row * rows / height) for row in (self.top, height - self.bottom))
        left, right = (round(column * columns / width) for column in (self.left, width - self.right))
        return picture[top : max(bottom, top + 1), left : max(right, left + 1)]

    def fits(self, *, width: int, height: int) -> bool:
        """Whether anything of a stored picture is left."""
        edges = (self.left, self.top, self.right, self.bottom)
        return min(edges) >= 0 and self.left + self.right < width and self.top + self.bottom < height


UNCROPPED = Crop()


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

    def apply(self, picture: Stored) -> Picture:
        """Turn and mirror a stored picture into the upright one."""
        if self.swaps_axes:
            picture, column_sign, row_sign = picture.swapaxes(0, 1), self.c, self.b
        else:
            column_sign, row_sign = self.a, self.d
        return picture[:: -1 if row_sign < 0 else 1, :: -1 if column_sign < 0 else 1]


UPRIGHT = Orientation()


@dataclass(frozen=True)
class Geometry:
    """How stored pixels are laid out on the screen, as far as the container and earlier frames say."""

    sample_aspect_ratio: Fraction | None = None
    crop: Crop = UNCROPPED
    orientation: Orientation = UPRIGHT


def read_orientation(frame: VideoFrame) -> Orientation | None:
    """Read the display matrix that the container or the stream attached to a frame; None where there is none."""
    matrix = read_side_data(frame, kind="DISPLAYMATRIX")
    if matrix is None:
        return None
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    return Orientation(a, b, c, d) if a * d - b * c else UPRIGHT


def read_transfer(frame: VideoFrame) -> Transfer | None:
    """Tell whether a frame is of high dynamic range, by its own mark; None for one of standard range."""
    return TRANSFERS.get(int(frame.color_trc))


def displayed_size(frame: VideoFrame, geometry: Geometry) -> tuple[int, int]:
    """Compute the (width, height) of the upright picture with square pixels."""
    width, height = _stretched_size(frame, geometry.sample_aspect_ratio)
    blank = np.broadcast_to(np.zeros((), np.uint8), (height, width, 3))
    rows, columns, _ = _lay_out(blank, frame, geometry).shape
    return columns, rows


def read_picture(frame: VideoFrame, *, geometry: Geometry, max_pixels: int) -> Picture:
    """Convert a decoded frame to the upright RGB picture with square pixels.

    Wide pixels stretch the width and tall pixels the height, so that nothing is lost: 340 x 256 with pixels of
    64:51 becomes 427 x 256. A picture of high dynamic range is reduced to a short side of ``HDR_SHORT_SIDE``.

    Raises:
        VideoTooLargeError: the stored or the displayed picture has more pixels than allowed; a stream may change its
            size at any frame, so each one is checked.
    """
    width, height = _stretched_size(frame, geometry.sample_aspect_ratio)
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
    return np.ascontiguousarray(_lay_out(_convert(frame, width=width, height=height), frame, geometry))


def _stretched_size(frame: VideoFrame, sample_aspect_ratio: Fraction | None) -> tuple[int, int]:
    ratio = sample_aspect_ratio if sample_aspect_ratio and sample_aspect_ratio > 0 else Fraction(1)
    return max(round(frame.width * ratio), frame.width), max(round(frame.height / ratio), frame.height)


def _lay_out(picture: Stored, frame: VideoFrame, geometry: Geometry) -> Picture:
    return geometry.orientation.apply(geometry.crop.apply(picture, width=frame.width, height=frame.height))


def _convert(frame: VideoFrame, *, width: int, height: int) -> Picture:
    """Convert the samples to RGB of standard range."""
    matrix = None if is_convertible(frame) else choose_matrix(frame)
    transfer = read_transfer(frame)
    if transfer is None:
        return _to_rgb(frame, "rgb24", width=width, height=height, matrix=matrix)
    scale = min(1.0, HDR_SHORT_SIDE / min(width, height))
    picture = _to_rgb(frame, "rgb48le", width=round(width * scale), height=round(height * scale), matrix=matrix)
    return tone_map(picture, transfer=transfer, is_bt2020=int(frame.color_primaries) == BT2020)


def _to_rgb(frame: VideoFrame, pixel_format: str, *, width: int, height: int, matrix: int | None) -> np.ndarray:
    return frame.to_ndarray(
        format=pixel_format, width=width, height=height, src_colorspace=matrix, interpolation="BICUBIC", threads=1
    )
