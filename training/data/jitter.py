"""Colour jitter of clips: brightness, contrast, saturation and hue, drawn once a clip and alike in every frame."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageEnhance

_NUM_HUES = 256
_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def jitter_clip(
    clip: UInt8[np.ndarray, "T H W 3"],
    *,
    strengths: tuple[float, float, float, float],
    generator: np.random.Generator,
) -> UInt8[np.ndarray, "T H W 3"]:
    """Change brightness, contrast, saturation and hue, in a drawn order.

    The first three are multiplied by a factor drawn from 1 - strength to 1 + strength; hue turns by up to its strength
    of the circle, either way. Contrast is taken about the mean of the whole clip, so that no frame flickers.
    """
    *spans, turn = strengths
    factors = [generator.uniform(1 - span, 1 + span) for span in spans]
    shift = generator.uniform(-turn, turn)
    # One tall picture of all frames: whatever Pillow measures, it measures on the clip.
    picture = Image.fromarray(np.ascontiguousarray(clip).reshape(-1, *clip.shape[2:]))
    for kind in generator.permutation(len(strengths)).tolist():
        if kind == len(_ENHANCERS):
            picture = _turn_hue(picture, shift=shift)
        else:
            picture = _ENHANCERS[kind](picture).enhance(factors[kind])
    return np.asarray(picture).reshape(clip.shape)


def _turn_hue(picture: Image.Image, *, shift: float) -> Image.Image:
    """Turn the hue by a share of the circle."""
    steps = round(shift * _NUM_HUES) % _NUM_HUES
    if steps == 0:
        return picture
    hue, saturation, value = picture.convert("HSV").split()
    turned = hue.point([(level + steps) % _NUM_HUES for level in range(_NUM_HUES)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
