"""A video that somebody waits for: it holds the worker that reads it, and ends that worker when nobody waits."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service.contract.errors import DecoderUnavailableError
from service.decoding.requests import Request
from service.decoding.workers import Worker, WorkerLostError


class Job:
    """One video to read; asked by one thread, abandoned by another."""

    def __init__(self, video: int, video_id: str, request: Request) -> None:
        self.video_id = video_id
        self.request = request
        # A descriptor of its own: whoever gives the video up closes theirs before the thread has noticed.
        self._video = os.dup(video)
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._has_begun = False
        self.is_abandoned = False

    @contextmanager
    def hold_video(self) -> Iterator[int]:
        """Give the descriptor of the video, and close it at the end of the block; for the thread that asks.

        Raises:
            DecoderUnavailableError: nobody waits for the video any more.
        """
        with self._lock:
            if self.is_abandoned:
                raise DecoderUnavailableError("nobody waits for the video any more")
            self._has_begun = True
        try:
            yield self._video
        finally:
            os.close(self._video)

    def ask(self, worker: Worker, descriptors: Sequence[int]) -> bytes:
        """Have a worker read the video.

        Raises:
            WorkerLostError: it does not answer, or nobody waits for it.
        """
        with self._lock:
            if self.is_abandoned:
                raise WorkerLostError("nobody waits for the video")
            self._worker = worker
        try:
            return worker.ask(self.request.pack(), descriptors)
        finally:
            with self._lock:
                self._worker = None

    def abandon(self) -> None:
        """Wait no longer: a worker that reads the video is ended."""
        with self._lock:
            if not self._has_begun and not self.is_abandoned:
                os.close(self._video)
            self.is_abandoned = True
            if self._worker is not None:
                self._worker.end("abandoned")
