"""Videos that are being decoded and encoded, each once however many ask for it at the same time."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float32

from service.contract.errors import DecoderUnavailableError
from service.contract.views import VideoViews, ViewPlan
from service.encoders.time_limit import TimeLimit
from service.recognition.questions import StoredVideo
from service.recognition.video_cache import VideoKey

Read = Callable[[StoredVideo, ViewPlan, TimeLimit], Awaitable[VideoViews]]
Encode = Callable[[VideoViews, TimeLimit], Awaitable[Float32[np.ndarray, "V K D"]]]


class VideoFlight:
    """The views and the features of one video on their way.

    It is as patient as the most patient of those who wait, each of whom has a deadline of its own, and ends when the
    last of them goes away.
    """

    def __init__(self, video: StoredVideo, plan: ViewPlan, *, read: Read, encode: Encode, limit: TimeLimit) -> None:
        self.limit = limit
        self.num_waiting = 0
        # Whoever brought the video may go away, and its file with it, while others wait.
        held = StoredVideo(_duplicate(video.descriptor), video.video_id)
        self.views = asyncio.create_task(self._read(read, held, plan))
        self.views.add_done_callback(lambda _: os.close(held.descriptor))
        self.features = asyncio.create_task(self._encode(encode))
        # A failure is told by whichever task is waited for first; the other has nobody to tell.
        for task in (self.views, self.features):
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    @property
    def has_failed(self) -> bool:
        """Whether it will not land; a failure of the first half shows a moment before that of the whole."""
        ended = [task for task in (self.views, self.features) if task.done()]
        return any(task.cancelled() or task.exception() is not None for task in ended)

    def cancel(self) -> None:
        """End the work; one that has landed takes no notice."""
        self.features.cancel()
        self.views.cancel()

    async def _read(self, read: Read, video: StoredVideo, plan: ViewPlan) -> VideoViews:
        return await read(video, plan, self.limit)

    async def _encode(self, encode: Encode) -> Float32[np.ndarray, "V K D"]:
        return await encode(await asyncio.shield(self.views), self.limit)


class VideoFlights:
    """The flights under way; used from one event loop."""

    def __init__(self, *, read: Read, encode: Encode) -> None:
        self._read = read
        self._encode = encode
        self._flights: dict[VideoKey, VideoFlight] = {}

    def is_under_way(self, key: VideoKey) -> bool:
        """Whether somebody waits for this video already."""
        flight = self._flights.get(key)
        return flight is not None and not flight.has_failed

    @contextmanager
    def board(self, key: VideoKey, video: StoredVideo, *, limit: TimeLimit) -> Iterator[VideoFlight]:
        """Wait for a video in the block, together with all who do; the first starts the work.

        Raises:
            DecoderUnavailableError: there are no descriptors left to hold the video by.
        """
        if not self.is_under_way(key):
            self._flights[key] = VideoFlight(video, key.plan, read=self._read, encode=self._encode, limit=limit)
        flight = self._flights[key]
        flight.limit = max(flight.limit, limit)
        flight.num_waiting += 1
        try:
            yield flight
        finally:
            flight.num_waiting -= 1
            if flight.num_waiting == 0:
                flight.cancel()
                if self._flights.get(key) is flight:
                    del self._flights[key]


def _duplicate(descriptor: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError as error:
        raise DecoderUnavailableError(f"the video cannot be held open: {error.strerror}; try again later") from error
