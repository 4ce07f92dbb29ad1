"""How the golden clip was made: ``python -m tests.service.decoding.golden_clip FILE`` writes it again."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from service.decoding.golden_clip import SHADES

_SIZE = 64


def write_golden_clip(path: Path) -> Path:
    """Write one frame of one shade of grey after another."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "g": "8"})
        stream.width = stream.height = _SIZE
        stream.pix_fmt, stream.time_base, stream.thread_count = "yuv420p", Fraction(1, 25), 1
        for shade in SHADES.tolist():
            picture = np.full((_SIZE, _SIZE, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


if __name__ == "__main__":
    write_golden_clip(Path(sys.argv[1]))
