"""Small pictures of the sampled frames, for answers that explain themselves."""

import base64
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

_SIDE_PIXELS = 160
_QUALITY = 80


def render_thumbnails(views: UInt8[np.ndarray, "V *frames S S 3"], *, num_crops: int) -> tuple[str, ...]:
    """Render the centre crop of every clip and time as a JPEG data URI.

    Of several local frames a segment, the middle one is shown.
    """
    centres = views[num_crops // 2 :: num_crops]
    if centres.ndim == 6:
        centres = centres[:, :, centres.shape[2] // 2]
    return tuple(_data_uri(frame) for clip in centres for frame in clip)


def _data_uri(frame: UInt8[np.ndarray, "S S 3"]) -> str:
    image = Image.fromarray(frame)
    image.thumbnail((_SIDE_PIXELS, _SIDE_PIXELS))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
