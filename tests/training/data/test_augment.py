"""Random changes at probability 0 and 1, and crops within their ranges."""

from dataclasses import replace

import numpy as np
import pytest

from training.config.fitting import AugmentConfig
from training.data.augment import ERASED_AREA, ERASED_ASPECT, augment_clip, draw_crop, draw_fixed_crop, erase_box
from training.data.splits import NO_MIRROR

STILL = AugmentConfig(crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0), flip_probability=0.0, grayscale_probability=0.0)
CLIP = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
NOISE = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
POLICY = "rand-m7-n4-mstd0.5-inc1"


def augment(config: AugmentConfig, *, clip: np.ndarray = CLIP, mirrored: tuple[int, ...] = (1, 0), size: int = 8):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return augment_clip(
        clip,
        label_id=0,
        mirrored=np.array(mirrored),
        size_pixels=size,
        config=config,
        generator=np.random.default_rng(0),
    )


def test_nothing_changes_at_probability_zero() -> None:
    clip, label_id = augment(STILL)
    assert np.array_equal(clip, CLIP)
    assert label_id == 0


def test_mirrored_clip_takes_the_mirrored_label() -> None:
    clip, label_id = augment(replace(STILL, flip_probability=1.0))
    assert np.array_equal(clip, CLIP[:, :, ::-1])
    assert label_id == 1


def test_clip_without_mirrored_label_is_not_mirrored() -> None:
    clip, label_id = augment(replace(STILL, flip_probability=1.0), mirrored=(NO_MIRROR, 0))
    assert np.array_equal(clip, CLIP)
    assert label_id == 0


def test_grey_clip_has_equal_channels_of_the_luma() -> None:
    clip, _ = augment(replace(STILL, grayscale_probability=1.0))
    expected = np.rint(CLIP @ np.array([0.299, 0.587, 0.114], np.float32))
    assert np.array_equal(clip, np.stack([expected] * 3, axis=-1))


def test_all_frames_are_cropped_alike() -> None:
    still = np.repeat(CLIP[:1], 3, axis=0)
    clip, _ = augment(AugmentConfig(), clip=still, size=4)
    assert clip.shape == (3, 4, 4, 3)
    assert np.array_equal(clip[0], clip[2])


def test_rand_augment_and_erasing_are_alike_in_all_frames() -> None:
    still = np.repeat(NOISE[:1], 3, axis=0)
    clip, label_id = augment(replace(STILL, rand_augment=POLICY, erasing_probability=1.0), clip=still, size=32)
    assert np.array_equal(clip, np.repeat(clip[:1], 3, axis=0))
    assert not np.array_equal(clip, still)
    assert label_id == 0


def test_erasing_changes_one_box_and_nothing_else() -> None:
    clip, _ = augment(replace(STILL, erasing_probability=1.0), clip=NOISE, size=32)
    changed = (clip != NOISE).any(axis=-1)
    rows, columns = changed.any(axis=(0, 2)).nonzero()[0], changed.any(axis=(0, 1)).nonzero()[0]
    box = clip[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert changed.sum() < 3 * 32 * 32 / 2
    assert np.array_equal(box, np.repeat(box[:1], 3, axis=0))
    assert changed[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].mean() > 0.99


def test_erased_boxes_keep_area_and_aspect() -> None:
    generator, blank = np.random.default_rng(0), np.zeros((1, 200, 200, 3), np.uint8)
    spans = [np.ptp(np.argwhere(erase_box(blank, generator=generator)[0].any(axis=-1)), axis=0) for _ in range(200)]
    heights, widths = np.array(spans).T + 1
    areas, aspects = heights * widths / 200**2, widths / heights
    assert ERASED_AREA[0] * 0.95 <= areas.min() < 0.04 < 0.3 < areas.max() <= ERASED_AREA[1] * 1.05
    assert ERASED_ASPECT[0] * 0.95 <= aspects.min() < 0.4 < 2.5 < aspects.max() <= ERASED_ASPECT[1] * 1.05


def test_box_that_never_fits_erases_nothing() -> None:
    narrow = np.zeros((1, 1, 400, 3), np.uint8)
    assert not erase_box(narrow, generator=np.random.default_rng(0)).any()


def test_crops_keep_area_and_aspect() -> None:
    generator = np.random.default_rng(0)
    config = AugmentConfig(crop_area=(0.2, 0.5), crop_aspect=(0.5, 2.0))
    boxes = np.array([draw_crop(60, 80, config=config, generator=generator) for _ in range(300)])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    areas, aspects = widths * heights / (60 * 80), widths / heights
    assert 0.2 - 1e-9 <= areas.min() < 0.25 < 0.45 < areas.max() <= 0.5 + 1e-9
    assert 0.5 - 1e-9 <= aspects.min() < 0.6 < 1.7 < aspects.max() <= 2 + 1e-9
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 80
    assert boxes[:, 3].max() <= 60


@pytest.mark.parametrize(
    ("height", "width", "box"), [(60, 80, (10, 0, 70, 60)), (80, 60, (0, 10, 60, 70)), (8, 8, (0, 0, 8, 8))]
)
def test_crop_that_never_fits_is_the_centred_square(height: int, width: int, box: tuple[int, ...]) -> None:
    assert draw_crop(height, width, config=STILL, generator=np.random.default_rng(0)) == box


def test_fixed_crops_lie_in_corners_and_centre_with_neighbouring_scales() -> None:
    generator, scales = np.random.default_rng(0), (1.0, 0.875, 0.75, 0.66)
    boxes = {draw_fixed_crop(256, 340, scales=scales, generator=generator) for _ in range(3000)}
    sides = {(bottom - top, right - left) for left, top, right, bottom in boxes}
    whole, large, small, least = 256, 224, 192, 168
    unequal = [(whole, large), (large, small), (small, least)]
    assert sides == {*unequal, *((b, a) for a, b in unequal), *((a, a) for a in (whole, large, small, least))}
    places = {(left, top) for left, top, right, bottom in boxes if (bottom - top, right - left) == (large, large)}
    assert places == {(0, 0), (116, 0), (0, 32), (116, 32), (58, 16)}


def test_crop_scales_replace_area_and_aspect() -> None:
    clip, _ = augment(replace(STILL, crop_scales=(0.5,), crop_area=(0.01, 0.02)), size=4)
    corners = [CLIP[:, top : top + 4, left : left + 4] for top, left in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))]
    assert any(np.array_equal(clip, corner) for corner in corners)


def test_jitter_is_alike_in_all_frames_and_comes_before_grey() -> None:
    still = np.repeat(NOISE[:1], 3, axis=0)
    clip, label_id = augment(replace(STILL, jitter_probability=1.0), clip=still, size=32)
    assert np.array_equal(clip, np.repeat(clip[:1], 3, axis=0))
    assert not np.array_equal(clip, still)
    assert label_id == 0
    grey, _ = augment(replace(STILL, jitter_probability=1.0, grayscale_probability=1.0), clip=still, size=32)
    assert np.array_equal(grey, np.repeat(grey[..., :1], 3, axis=-1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_area": (0.5, 0.2)}, r"crop_area is \(0.5, 0.2\); it must be a rising range above 0"),
        ({"crop_aspect": (0.0, 1.0)}, r"crop_aspect is \(0.0, 1.0\)"),
        ({"crop_area": (0.5, 1.5)}, r"crop_area is \(0.5, 1.5\); a crop covers at most 1"),
        ({"flip_probability": 1.5}, "flip_probability is 1.5; a probability lies between 0 and 1"),
        ({"grayscale_probability": -0.5}, "grayscale_probability is -0.5"),
        ({"erasing_probability": 2.0}, "erasing_probability is 2.0; a probability lies between 0 and 1"),
        ({"jitter_probability": 1.5}, "jitter_probability is 1.5; a probability lies between 0 and 1"),
        ({"crop_scales": (1.0, 1.5)}, r"crop_scales is \(1.0, 1.5\); each is a share of the short side, above 0"),
        (
            {"jitter_strengths": (0.4, 2.0, 0.2, 0.1)},
            r"jitter_strengths is \(0.4, 2.0, 0.2, 0.1\); brightness, contrast",
        ),
        ({"jitter_strengths": (0.4, 0.4, 0.2, 0.7)}, "1, hue between 0 and 0.5"),
        ({"rand_augment": "m7-n4"}, "rand_augment is 'm7-n4'; write rand and then"),
        ({"rand_augment": "rand-m11"}, "rand_augment is 'rand-m11'; write rand and then"),
        ({"rand_augment": "rand-n0"}, "rand_augment is 'rand-n0'"),
        ({"rand_augment": "rand-m7-strong"}, "rand_augment is 'rand-m7-strong'"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(STILL, **changes)  # type: ignore[arg-type]
