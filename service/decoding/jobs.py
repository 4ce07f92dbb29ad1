"""A video that somebody waits for: it holds the worker that reads it, and ends that worker when nobody waits."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from service.decoding.requests import Request
from service.decoding.workers import Worker, WorkerLostError


class Job:
    """One video to read; asked by one thread, abandoned by another."""

    def __init__(self, path: Path, video_id: str, request: Request) -> None:
        self.video_id = video_id
        self.request = request
        self._path = path
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self.is_abandoned = False

    @contextmanager
    def open_video(self) -> Iterator[int]:
        """Open the file for reading; a worker gets the descriptor and never the path.

        Raises:
            FileNotFoundError: there is none.
        """
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

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
            self.is_abandoned = True
            if self._worker is not None:
                self._worker.end("abandoned")
