"""Random changes of training clips, drawn once a clip so that frames stay consistent with each other."""

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from service.contract.preprocess import RESAMPLING
from training.config import AugmentConfig
from training.data.splits import NO_MIRROR

# Rec. 601 luma.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_NUM_CROP_TRIES = 10
Box = tuple[float, float, float, float]


def augment_clip(
    frames: UInt8[np.ndarray, "T H W 3"],
    *,
    label_id: int,
    mirrored: Int64[np.ndarray, " L"],
    size_pixels: int,
    config: AugmentConfig,
    generator: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "T S S 3"], int]:
    """Crop, perhaps mirror and perhaps grey a clip; returns it at the model's input size with its label.

    ``mirrored`` holds the label that each label becomes in a mirror, or ``NO_MIRROR``.
    """
    box = draw_crop(frames.shape[1], frames.shape[2], config=config, generator=generator)
    flips, greys = generator.random(2) < (config.flip_probability, config.grayscale_probability)
    clip = _resize(frames, box=box, size_pixels=size_pixels)
    if flips and mirrored[label_id] != NO_MIRROR:
        clip, label_id = clip[:, :, ::-1], int(mirrored[label_id])
    if greys:
        clip = np.repeat(np.rint(clip @ _LUMA).astype(np.uint8)[..., None], 3, axis=-1)
    return np.ascontiguousarray(clip), label_id


def draw_crop(height: int, width: int, *, config: AugmentConfig, generator: np.random.Generator) -> Box:
    """Draw (left, top, right, bottom) of a crop: area and log aspect uniform (Szegedy et al. 2015).

    Where ten draws do not fit into the picture, the largest centred square is taken.
    """
    for _ in range(_NUM_CROP_TRIES):
        area = height * width * generator.uniform(*config.crop_area)
        aspect = np.exp(generator.uniform(*np.log(config.crop_aspect)))
        crop_width, crop_height = float(np.sqrt(area * aspect)), float(np.sqrt(area / aspect))
        if crop_width <= width and crop_height <= height:
            left = generator.uniform(0, width - crop_width)
            top = generator.uniform(0, height - crop_height)
            return left, top, left + crop_width, top + crop_height
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _resize(frames: UInt8[np.ndarray, "T H W 3"], *, box: Box, size_pixels: int) -> UInt8[np.ndarray, "T S S 3"]:
    if frames.shape[1:3] == (size_pixels, size_pixels) and box == (0, 0, size_pixels, size_pixels):
        return frames
    target = (size_pixels, size_pixels)
    crops = [Image.fromarray(frame).resize(target, resample=RESAMPLING["bicubic"], box=box) for frame in frames]
    return np.stack([np.asarray(crop) for crop in crops])
