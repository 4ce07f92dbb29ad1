"""Which matrix takes a frame's luma and colour differences to red, green and blue.

FFmpeg converts by the matrix that the frame is marked with, an unmarked one by BT.601, the rule of every FFmpeg-based
reader. Numbers are those of ITU-T H.273, tables 2 (primaries) and 4 (matrix coefficients).
"""

from av.video.frame import VideoFrame

# RGB itself, BT.709, unmarked, FCC, BT.601 twice, SMPTE 240M and BT.2020: what FFmpeg's scaler converts.
CONVERTED = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
BT709, BT601, BT2020 = 1, 5, 9
_MATRIX_OF_PRIMARIES = {1: BT709, 9: BT2020}
_NAMES = {BT709: "BT.709", BT601: "BT.601", BT2020: "BT.2020"}
# Without a mark a picture of this many rows or more is taken for BT.709, a smaller one for BT.601.
_HD_ROWS = 720


def is_convertible(frame: VideoFrame) -> bool:
    """Whether FFmpeg knows the way from the frame's samples to RGB."""
    return frame.format.is_rgb or int(frame.colorspace) in CONVERTED


def choose_matrix(frame: VideoFrame) -> int:
    """Choose a matrix for a frame whose own is not known: that of its primaries, else that of its size."""
    by_size = BT709 if frame.height >= _HD_ROWS else BT601
    return _MATRIX_OF_PRIMARIES.get(int(frame.color_primaries), by_size)


def describe_fallback(frame: VideoFrame) -> str:
    """Say in a sentence which matrix is taken in place of the marked one."""
    return (
        f"the colour matrix is number {int(frame.colorspace)} of ITU-T H.273, which is not converted; its colours are "
        f"read by {_NAMES[choose_matrix(frame)]} and may be wrong; send BT.601, BT.709 or BT.2020"
    )
