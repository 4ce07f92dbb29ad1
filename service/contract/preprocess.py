"""From an upright RGB picture to the square crops that the video graph takes; the graph itself applies mean and std.

Resizing is Pillow's, with antialiasing, as in the transforms that CLIP was trained with.
"""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from service.contract.manifest import Preprocessing

CROP_COUNTS = (1, 3)
RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def resize_and_crop(
    frame: UInt8[np.ndarray, "H W 3"], *, preprocessing: Preprocessing, num_crops: int
) -> UInt8[np.ndarray, "crops S S 3"]:
    """Resize a picture and cut square crops of ``input_size`` pixels.

    One crop is the centre. Three crops lie along the longer side of the resized picture: left, centre and right, or
    top, centre and bottom; a square picture is cut left, centre and right.

    Raises:
        ValueError: ``num_crops`` is neither 1 nor 3.
    """
    if num_crops not in CROP_COUNTS:
        raise ValueError(f"num_crops is {num_crops}; allowed are {CROP_COUNTS}")
    height, width = resized_shape(frame.shape[0], frame.shape[1], preprocessing=preprocessing)
    size = preprocessing.input_size
    corners = crop_corners(height, width, size=size, num_crops=num_crops)
    resized = Image.fromarray(frame).resize((width, height), resample=RESAMPLING[preprocessing.interpolation])
    pixels = np.asarray(resized)
    return np.stack([pixels[top : top + size, left : left + size] for top, left in corners])


def resized_shape(height: int, width: int, *, preprocessing: Preprocessing) -> tuple[int, int]:
    """Compute (height, width) after resizing; with ``short_side`` 256, 240 x 320 becomes 256 x 341."""
    target = preprocessing.resize_size
    if isinstance(target, tuple):
        return target
    if width <= height:
        return target * height // width, target
    return target, target * width // height


def crop_corners(height: int, width: int, *, size: int, num_crops: int) -> list[tuple[int, int]]:
    """Place the crops' (top, left) corners in a resized picture: centred across, spread along the longer side."""
    centre = (round((height - size) / 2), round((width - size) / 2))
    if num_crops == 1:
        return [centre]
    if height > width:
        return [(0, centre[1]), centre, (height - size, centre[1])]
    return [(centre[0], 0), centre, (centre[0], width - size)]
