"""Views of many videos for evaluation, read by several processes exactly as the service reads one.

Nothing here imports torch: decoding processes start fast and stay small.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from service.contract.manifest import Preprocessing, Sampling
from service.contract.views import ViewPlan, read_views
from training.data.frame_folders import decode_video
from training.data.reading import BrokenVideosError, read_each

Views = UInt8[np.ndarray, "V *frames S S 3"]


def read_all_views(
    videos: Sequence[Path], *, preprocessing: Preprocessing, sampling: Sampling, plan: ViewPlan, num_workers: int
) -> Iterator[Views]:
    """Read the views of videos, in their order.

    Raises:
        BrokenVideosError: at the end, if videos do not decode.
    """
    read = partial(_read, preprocessing=preprocessing, sampling=sampling, plan=plan)
    problems: list[str] = []
    for views in read_each(videos, read=read, num_workers=num_workers):
        if isinstance(views, str):
            problems.append(views)
        elif not problems:
            yield views
    if problems:
        raise BrokenVideosError(problems)


def _read(video: Path, *, preprocessing: Preprocessing, sampling: Sampling, plan: ViewPlan) -> Views:
    return read_views(video, preprocessing=preprocessing, sampling=sampling, plan=plan, decode=decode_video).views
