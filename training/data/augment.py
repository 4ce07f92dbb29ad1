"""Random changes of training clips, drawn once a clip so that frames stay consistent with each other.

RandAugment's operations live in ``rand_augment``, changes of colour in ``jitter``.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from service.contract.preprocess import RESAMPLING
from training.config.fitting import AugmentConfig
from training.data.jitter import jitter_clip
from training.data.rand_augment import rand_augment_clip
from training.data.splits import NO_MIRROR

# Rec. 601 luma.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# Share of the picture that is erased, and width / height of the box (Zhong et al. 2020).
ERASED_AREA = (0.02, 1 / 3)
ERASED_ASPECT = (0.3, 1 / 0.3)
_NUM_TRIES = 10
# Corners and centre, as shares of the room that a crop leaves below and beside it.
_POSITIONS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))
_MAX_SCALE_GAP = 1
_MAX_SEED = 2**32
Box = tuple[float, float, float, float]
Range = tuple[float, float]


def augment_clip(
    frames: UInt8[np.ndarray, "T H W 3"],
    *,
    label_id: int,
    mirrored: Int64[np.ndarray, " L"],
    size_pixels: int,
    config: AugmentConfig,
    generator: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "T S S 3"], int]:
    """Crop a clip, perhaps mirror, rand-augment, jitter, grey and erase it; returns it at the model's input size.

    ``mirrored`` holds the label that each label becomes in a mirror, or ``NO_MIRROR``; the clip's label is returned
    with it.
    """
    box = draw_crop(frames.shape[1], frames.shape[2], config=config, generator=generator)
    flips, greys = generator.random(2) < (config.flip_probability, config.grayscale_probability)
    clip = _resize(frames, box=box, size_pixels=size_pixels)
    if flips and mirrored[label_id] != NO_MIRROR:
        clip, label_id = clip[:, :, ::-1], int(mirrored[label_id])
    if config.rand_augment is not None:
        clip = rand_augment_clip(clip, policy=config.rand_augment, seed=int(generator.integers(_MAX_SEED)))
    if config.jitter_probability and generator.random() < config.jitter_probability:
        clip = jitter_clip(clip, strengths=config.jitter_strengths, generator=generator)
    if greys:
        clip = np.repeat(np.rint(clip @ _LUMA).astype(np.uint8)[..., None], 3, axis=-1)
    if config.erasing_probability and generator.random() < config.erasing_probability:
        clip = erase_box(clip, generator=generator)
    return np.ascontiguousarray(clip), label_id


def draw_crop(height: int, width: int, *, config: AugmentConfig, generator: np.random.Generator) -> Box:
    """Draw (left, top, right, bottom) of a crop: area and log aspect uniform (Szegedy et al. 2015).

    Where ten draws do not fit into the picture, the largest centred square is taken. A config with ``crop_scales``
    draws as ``draw_fixed_crop`` does.
    """
    if config.crop_scales:
        return draw_fixed_crop(height, width, scales=config.crop_scales, generator=generator)
    box = _draw_box(height, width, area=config.crop_area, aspect=config.crop_aspect, generator=generator)
    if box is not None:
        return box
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def draw_fixed_crop(height: int, width: int, *, scales: Sequence[float], generator: np.random.Generator) -> Box:
    """Draw (left, top, right, bottom) of a crop in one of the four corners or the centre (Wang et al. 2016, TSN).

    Its sides are two of the ``scales`` of the short side, equal or next to each other in the list. With 1, 0.875, 0.75
    and 0.66 a picture of 340 x 256 gives sides of 256, 224, 192 and 168 pixels.
    """
    pairs = [(i, j) for i in range(len(scales)) for j in range(len(scales)) if abs(i - j) <= _MAX_SCALE_GAP]
    row, column = pairs[generator.integers(len(pairs))]
    crop_height, crop_width = (int(min(height, width) * scales[each]) for each in (row, column))
    down, right = _POSITIONS[generator.integers(len(_POSITIONS))]
    top, left = (height - crop_height) * down, (width - crop_width) * right
    return left, top, left + crop_width, top + crop_height


def erase_box(clip: UInt8[np.ndarray, "T H W 3"], *, generator: np.random.Generator) -> UInt8[np.ndarray, "T H W 3"]:
    """Cover one box with noise, every byte uniform (Zhong et al. 2020).

    Box and noise are the same in all frames, so that the box does not move or flicker.
    """
    box = _draw_box(clip.shape[1], clip.shape[2], area=ERASED_AREA, aspect=ERASED_ASPECT, generator=generator)
    if box is None:
        return clip
    left, top, right, bottom = map(round, box)
    erased = clip.copy()
    erased[:, top:bottom, left:right] = generator.integers(256, size=(bottom - top, right - left, 3), dtype=np.uint8)
    return erased


def _draw_box(height: int, width: int, *, area: Range, aspect: Range, generator: np.random.Generator) -> Box | None:
    """Draw (left, top, right, bottom) of a share of the picture, or None where ten draws do not fit into it."""
    for _ in range(_NUM_TRIES):
        pixels = height * width * generator.uniform(*area)
        ratio = np.exp(generator.uniform(*np.log(aspect)))
        box_width, box_height = float(np.sqrt(pixels * ratio)), float(np.sqrt(pixels / ratio))
        if box_width <= width and box_height <= height:
            left = generator.uniform(0, width - box_width)
            top = generator.uniform(0, height - box_height)
            return left, top, left + box_width, top + box_height
    return None


def _resize(frames: UInt8[np.ndarray, "T H W 3"], *, box: Box, size_pixels: int) -> UInt8[np.ndarray, "T S S 3"]:
    if frames.shape[1:3] == (size_pixels, size_pixels) and box == (0, 0, size_pixels, size_pixels):
        return frames
    target = (size_pixels, size_pixels)
    crops = [Image.fromarray(frame).resize(target, resample=RESAMPLING["bicubic"], box=box) for frame in frames]
    return np.stack([np.asarray(crop) for crop in crops])
