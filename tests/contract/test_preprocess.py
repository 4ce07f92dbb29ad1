from typing import Literal

import numpy as np
import pytest
from PIL import Image

from service.contract.manifest import Preprocessing
from service.contract.preprocess import CROP_COUNTS, crop_corners, resize_and_crop, resized_shape


def make_preprocessing(
    *,
    input_size: int = 64,
    resize_rule: Literal["short_side", "exact"] = "short_side",
    resize_size: int | tuple[int, int] = 72,
    interpolation: Literal["bicubic", "bilinear"] = "bicubic",
) -> Preprocessing:
    return Preprocessing(
        input_size=input_size,
        resize_rule=resize_rule,
        resize_size=resize_size,
        interpolation=interpolation,
        crop_rule="centre",
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (240, 320, (256, 341)),
        (320, 240, (341, 256)),
        (100, 100, (256, 256)),
        (1080, 1920, (256, 455)),
        (1, 7, (256, 1792)),
    ],
)
def test_the_short_side_is_resized_and_the_ratio_kept(height: int, width: int, expected: tuple[int, int]) -> None:
    preprocessing = make_preprocessing(input_size=224, resize_size=256)
    assert resized_shape(height, width, preprocessing=preprocessing) == expected


def test_an_exact_size_does_not_keep_the_ratio() -> None:
    preprocessing = make_preprocessing(input_size=224, resize_rule="exact", resize_size=(256, 320))
    assert resized_shape(100, 900, preprocessing=preprocessing) == (256, 320)


@pytest.mark.parametrize(
    ("height", "width", "num_crops", "expected"),
    [
        (256, 341, 1, [(16, 58)]),
        (256, 340, 3, [(16, 0), (16, 58), (16, 116)]),
        (340, 256, 3, [(0, 16), (58, 16), (116, 16)]),
        (256, 256, 3, [(16, 0), (16, 16), (16, 32)]),
        (224, 224, 1, [(0, 0)]),
    ],
)
def test_crops_lie_along_the_longer_side(
    height: int, width: int, num_crops: int, expected: list[tuple[int, int]]
) -> None:
    assert crop_corners(height, width, size=224, num_crops=num_crops) == expected


@pytest.mark.parametrize("shape", [(90, 150), (150, 90), (97, 63), (20, 30), (300, 300)])
@pytest.mark.parametrize("num_crops", CROP_COUNTS)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_crops_equal_those_of_the_whole_resized_picture(
    shape: tuple[int, int], num_crops: int, interpolation: Literal["bicubic", "bilinear"]
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    preprocessing = make_preprocessing(interpolation=interpolation)
    height, width = resized_shape(*shape, preprocessing=preprocessing)
    whole = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling[interpolation.upper()]))
    corners = crop_corners(height, width, size=64, num_crops=num_crops)
    expected = np.stack([whole[top : top + 64, left : left + 64] for top, left in corners])
    crops = resize_and_crop(frame, preprocessing=preprocessing, num_crops=num_crops)
    np.testing.assert_allclose(crops.astype(int), expected.astype(int), atol=1)


def test_another_number_of_crops_is_refused() -> None:
    frame = np.zeros((80, 80, 3), np.uint8)
    with pytest.raises(ValueError, match=r"num_crops is 2; allowed are \(1, 3\)"):
        resize_and_crop(frame, preprocessing=make_preprocessing(), num_crops=2)
