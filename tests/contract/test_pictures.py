from fractions import Fraction

import av
import numpy as np
import pytest

from service.contract.pictures import Geometry, Orientation, read_picture

UNMARKED, LIMITED, FULL = 0, 1, 2
BT709, NO_MATRIX, BT601, BT2020 = 1, 2, 6, 9
RED_AND_BLUE_WEIGHTS = {
    NO_MATRIX: (0.299, 0.114),
    BT601: (0.299, 0.114),
    BT709: (0.2126, 0.0722),
    BT2020: (0.2627, 0.0593),
}


def convert(sample: tuple[int, int, int], *, matrix: int, is_full: bool) -> list[float]:
    """Convert one sample by the definition in ITU-R BT.601, BT.709 and BT.2020."""
    red_weight, blue_weight = RED_AND_BLUE_WEIGHTS[matrix]
    luma = sample[0] if is_full else (sample[0] - 16) * 255 / 219
    blue_difference, red_difference = ((value - 128) * (1 if is_full else 255 / 224) for value in sample[1:])
    red = luma + 2 * (1 - red_weight) * red_difference
    blue = luma + 2 * (1 - blue_weight) * blue_difference
    return [red, (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight), blue]


@pytest.mark.parametrize("matrix", [NO_MATRIX, BT601, BT709, BT2020])
@pytest.mark.parametrize("color_range", [UNMARKED, LIMITED, FULL])
@pytest.mark.parametrize("sample", [(150, 90, 180), (120, 128, 128), (90, 150, 100)])
def test_colours_follow_the_marked_matrix_and_range(
    sample: tuple[int, int, int], color_range: int, matrix: int
) -> None:
    frame = av.VideoFrame(16, 16, "yuv444p")
    for plane, value in zip(frame.planes, sample, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace, frame.color_range = matrix, color_range
    picture = read_picture(frame, geometry=Geometry(), max_pixels=256)
    assert picture[8, 8].tolist() == pytest.approx(convert(sample, matrix=matrix, is_full=color_range == FULL), abs=2)


@pytest.mark.parametrize(
    ("orientation", "degrees", "expected"),
    [
        (Orientation(), 0, [[1, 2], [3, 4], [5, 6]]),
        (Orientation(0, 1, -1, 0), 90, [[5, 3, 1], [6, 4, 2]]),
        (Orientation(-1, 0, 0, -1), 180, [[6, 5], [4, 3], [2, 1]]),
        (Orientation(0, -1, 1, 0), 270, [[2, 4, 6], [1, 3, 5]]),
        (Orientation(-1, 0, 0, 1), 0, [[2, 1], [4, 3], [6, 5]]),
        (Orientation(1, 0, 0, -1), 180, [[5, 6], [3, 4], [1, 2]]),
        (Orientation(0, 1, 1, 0), 270, [[1, 3, 5], [2, 4, 6]]),
        (Orientation(0, -1, -1, 0), 90, [[6, 4, 2], [5, 3, 1]]),
        (Orientation(65000, 3000, -3000, 65000), 0, [[1, 2], [3, 4], [5, 6]]),
    ],
)
def test_a_display_matrix_turns_and_mirrors(orientation: Orientation, degrees: int, expected: list[list[int]]) -> None:
    picture = np.repeat(np.array([[1, 2], [3, 4], [5, 6]], np.uint8)[:, :, None], 3, axis=2)
    assert orientation.apply(picture)[:, :, 0].tolist() == expected
    assert orientation.rotation_degrees == degrees


@pytest.mark.parametrize("ratio", [None, Fraction(0), Fraction(-1), Fraction(1)])
def test_a_missing_or_absurd_pixel_ratio_counts_as_square(ratio: Fraction | None) -> None:
    picture = read_picture(av.VideoFrame(16, 8, "rgb24"), geometry=Geometry(ratio), max_pixels=128)
    assert picture.shape == (8, 16, 3)
