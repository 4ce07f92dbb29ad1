"""A clip whose frames are known, to be read now and then through the whole path of decoding.

Frame i of ``data/golden_clip.mp4`` (H.264, 64 x 64 pixels, 25 frames a second) is one shade of grey, whatever part of
it a bundle cuts out: a view that shows the shades of its frames was read, sampled, decoded and cropped rightly.
"""

from pathlib import Path

import numpy as np

from service.contract.errors import DecoderUnavailableError
from service.contract.views import VideoViews

GOLDEN_CLIP = Path(__file__).parent / "data" / "golden_clip.mp4"
NUM_FRAMES = 16
SHADES = 40 + 12 * np.arange(NUM_FRAMES)
# What rounding through YCbCr, 8 bits a channel, and the loss of the codec may take.
_MAX_DIFFERENCE = 3


def check_golden_views(views: VideoViews) -> None:
    """Check that views of the clip show what its frames hold.

    Raises:
        DecoderUnavailableError: they do not.
    """
    num_crops = len(views.views) // len(views.indices)
    # A window of local frames has the frame of its index in the middle.
    clips = views.views if views.views.ndim == 5 else views.views[:, :, views.views.shape[2] // 2]
    expected = SHADES[np.repeat(views.indices, num_crops, axis=0)][..., None, None, None]
    difference = int(np.abs(clips.astype(np.int64) - expected).max())
    if difference > _MAX_DIFFERENCE:
        raise DecoderUnavailableError(
            f"a clip of known frames is read wrongly, by up to {difference} of 255 levels; at most {_MAX_DIFFERENCE} "
            "are explained by its codec"
        )
