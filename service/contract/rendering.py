"""The one place that writes rendered videos: the same pictures give the same bytes on every class of CPU."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import av
import numpy as np
from jaxtyping import Int32, UInt8

from service.contract.files import write_whole

# With several threads x264 writes other bytes. So it does with the machine code of another class of CPU, and that of
# AVX-512 writes other bytes each time: only its portable code, at half the speed, gives one file everywhere.
_NUM_THREADS = 1
_PORTABLE = {"x264-params": "asm=0"}

# Rows of ITU-R BT.601 for Y', Cb and Cr of limited range, times 2^16; those of Cb and Cr sum to 0, so that grey has
# no colour.
_BT601 = np.array([[16829, 33039, 6416], [-9714, -19070, 28784], [28784, -24103, -4681]], dtype=np.int32)
_FRACTION_BITS = 16


def write_h264(
    path: Path,
    frames: Iterable[UInt8[np.ndarray, "H W 3"]],
    *,
    frame_rate: int,
    options: dict[str, str] | None = None,
) -> None:
    """Write RGB pictures of one even size as H.264 in MP4; the file appears under its name only when it is complete.

    Args:
        path: the file.
        frames: the pictures, at least one.
        frame_rate: pictures a second.
        options: settings of x264, such as ``crf`` and ``preset``.

    Raises:
        ValueError: there is no picture, or its width or height is odd; H.264 stores colour for two pixels by two.
    """
    pictures = map(convert_to_yuv420p, frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{path} would have no frame; give at least one")
    with write_whole(path) as unfinished, av.open(str(unfinished), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=frame_rate, options={**(options or {}), **_PORTABLE})
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0] * 2 // 3, "yuv420p"
        stream.codec_context.thread_count = _NUM_THREADS
        for planes in chain((first,), pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))


def convert_to_yuv420p(picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "rows W"]:
    """Convert RGB to planes of Y', Cb and Cr below one another, by BT.601 in limited range; colour is a mean of 2 x 2.

    Integers alone, since FFmpeg's conversion rounds otherwise where it has other machine code.

    Raises:
        ValueError: width or height is odd.
    """
    height, width, _ = picture.shape
    if height % 2 or width % 2:
        raise ValueError(f"a picture of {width}x{height} cannot be H.264; give an even width and an even height")
    rgb = picture.astype(np.int32)
    quads = rgb.reshape(height // 2, 2, width // 2, 2, 3).sum(axis=(1, 3), dtype=np.int32)
    luma = _weigh(rgb, _BT601[0], fraction_bits=_FRACTION_BITS) + 16
    blue, red = (_weigh(quads, row, fraction_bits=_FRACTION_BITS + 2) + 128 for row in _BT601[1:])
    planes = np.concatenate([plane.ravel() for plane in (luma, blue, red)])
    return planes.reshape(height * 3 // 2, width).astype(np.uint8)


def _weigh(
    rgb: Int32[np.ndarray, "rows columns 3"], row: Int32[np.ndarray, " 3"], *, fraction_bits: int
) -> Int32[np.ndarray, "rows columns"]:
    """Weigh three channels and round to whole numbers."""
    weighed = rgb[..., 0] * row[0] + rgb[..., 1] * row[1] + rgb[..., 2] * row[2]
    return (weighed + (1 << (fraction_bits - 1))) >> fraction_bits
