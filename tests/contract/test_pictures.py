from fractions import Fraction

import av
import numpy as np
import pytest

from service.contract.colours import describe_fallback, is_convertible
from service.contract.pictures import Crop, Geometry, Orientation, read_picture

UNMARKED, LIMITED, FULL = 0, 1, 2
SAMPLE = (150, 90, 180)
# Numbers of ITU-T H.273, table 4, with the weights of red and blue; the unmarked one counts as BT.601.
RED_AND_BLUE_WEIGHTS = {
    2: (0.299, 0.114),
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
# What is not converted, and by which matrix it is read: BT.601 in small pictures, or that of the primaries.
FALLBACKS = [
    *(
        (matrix, primaries, taken)
        for matrix in (3, 8, 10, 11, 12, 13, 14)
        for primaries, taken in ((2, 5), (1, 1), (9, 9))
    )
]


def convert(sample: tuple[int, int, int], *, matrix: int, is_full: bool) -> list[float]:
    """Convert one sample by the definition in ITU-R BT.601, BT.709 and BT.2020, H.273 and SMPTE ST 240."""
    red_weight, blue_weight = RED_AND_BLUE_WEIGHTS[matrix]
    luma = sample[0] if is_full else (sample[0] - 16) * 255 / 219
    blue_difference, red_difference = ((value - 128) * (1 if is_full else 255 / 224) for value in sample[1:])
    red = luma + 2 * (1 - red_weight) * red_difference
    blue = luma + 2 * (1 - blue_weight) * blue_difference
    return [red, (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight), blue]


@pytest.mark.parametrize("matrix", RED_AND_BLUE_WEIGHTS)
@pytest.mark.parametrize("color_range", [UNMARKED, LIMITED, FULL])
@pytest.mark.parametrize("sample", [(150, 90, 180), (120, 128, 128), (90, 150, 100)])
def test_colours_follow_the_marked_matrix_and_range(
    sample: tuple[int, int, int], color_range: int, matrix: int
) -> None:
    frame = make_frame(sample, matrix=matrix, color_range=color_range)
    picture = read_picture(frame, geometry=Geometry(), max_pixels=256)
    assert picture[8, 8].tolist() == pytest.approx(convert(sample, matrix=matrix, is_full=color_range == FULL), abs=2)
    assert is_convertible(frame)


@pytest.mark.parametrize(("matrix", "primaries", "taken"), FALLBACKS)
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
def test_a_matrix_that_is_not_converted_gives_way_to_that_of_the_primaries(
    matrix: int, primaries: int, taken: int, color_range: int
) -> None:
    frame = make_frame(SAMPLE, matrix=matrix, color_range=color_range)
    frame.color_primaries = primaries
    picture = read_picture(frame, geometry=Geometry(), max_pixels=256)
    assert picture[8, 8].tolist() == pytest.approx(convert(SAMPLE, matrix=taken, is_full=color_range == FULL), abs=2)
    assert describe_fallback(frame).startswith(f"the colour matrix is number {matrix} of ITU-T H.273")


@pytest.mark.parametrize("matrix", range(15))
def test_samples_that_are_rgb_need_no_matrix(matrix: int) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), (150, 90, 180), np.uint8), format="rgb24")
    frame = frame.reformat(format="gbrp")
    frame.colorspace = matrix
    assert read_picture(frame, geometry=Geometry(), max_pixels=256)[8, 8].tolist() == [150, 90, 180]


def make_frame(sample: tuple[int, int, int], *, matrix: int, color_range: int) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, "yuv444p")
    for plane, value in zip(frame.planes, sample, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace, frame.color_range = matrix, color_range
    return frame


@pytest.mark.parametrize(
    ("crop", "size", "expected"),
    [
        (Crop(), (6, 4), (0, 24)),
        (Crop(left=2, top=1, right=1, bottom=2), (6, 4), (8, 11)),
        (Crop(left=2), (3, 4), (4, 24)),
        (Crop(left=6), (6, 4), (0, 24)),
        (Crop(top=-1), (6, 4), (0, 24)),
    ],
)
def test_a_crop_follows_the_picture_that_is_stretched(
    crop: Crop, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6, 1).repeat(3, axis=2)
    cropped = crop.apply(picture, width=size[0], height=size[1])[..., 0]
    assert (cropped.min(), cropped.max() + 1) == expected


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
