"""Views of many videos for evaluation, read by several processes exactly as the service reads one.

Nothing here imports torch: decoding processes start fast and stay small.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from service.contract.errors import VideoError
from service.contract.manifest import Preprocessing, Sampling
from service.contract.views import ViewPlan, read_views
from training.data.frame_folders import decode_video
from training.errors import DataError

# Videos that wait decoded for each process: bounds memory, and keeps all processes busy.
_NUM_AHEAD = 16
_NUM_NAMED = 5
Views = UInt8[np.ndarray, "V *frames S S 3"]


class BrokenVideosError(DataError):
    """Videos that do not decode; ``problems`` has a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Name the first of them."""
        named = "; ".join(problems[:_NUM_NAMED])
        super().__init__(f"{len(problems)} videos do not decode: {named}; repair them or remove their annotations")
        self.problems = tuple(problems)


def read_all_views(
    videos: Sequence[Path], *, preprocessing: Preprocessing, sampling: Sampling, plan: ViewPlan, num_workers: int
) -> Iterator[Views]:
    """Read the views of videos, in their order.

    Raises:
        BrokenVideosError: at the end, if videos do not decode.
    """
    read = partial(_read, preprocessing=preprocessing, sampling=sampling, plan=plan)
    problems: list[str] = []
    batch = _NUM_AHEAD * num_workers
    # spawn: threads of torch in this process must not be forked.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        for first in range(0, len(videos), batch):
            for views in pool.map(read, videos[first : first + batch], chunksize=4):
                if isinstance(views, str):
                    problems.append(views)
                elif not problems:
                    yield views
    if problems:
        raise BrokenVideosError(problems)


def _read(video: Path, *, preprocessing: Preprocessing, sampling: Sampling, plan: ViewPlan) -> Views | str:
    """Read a video's views; a problem comes back as a sentence, so that one run names all bad videos."""
    try:
        return read_views(video, preprocessing=preprocessing, sampling=sampling, plan=plan, decode=decode_video).views
    except VideoError as error:
        return f"{video}: {error}"
