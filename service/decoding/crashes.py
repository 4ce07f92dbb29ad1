"""Which videos the decoder has crashed on, so that nobody can have one crash a worker after another."""

import threading

from cachetools import TTLCache

from service.contract.errors import UndecodableVideoError

_NUM_TRIES = 2
_NUM_VIDEOS = 4096
# A video may have been beside the one at fault; after this long it gets another chance.
_MEMORY_SECONDS = 3600.0


class Crashes:
    """Counts crashes by the digest of a video's bytes; used by any thread."""

    def __init__(self) -> None:
        self._counts: TTLCache[str, int] = TTLCache(_NUM_VIDEOS, _MEMORY_SECONDS)
        self._lock = threading.Lock()

    def note(self, video_id: str) -> None:
        """Note that the decoder crashed on a video."""
        with self._lock:
            self._counts[video_id] = self._counts.get(video_id, 0) + 1

    def forgive(self, video_id: str) -> None:
        """Note that a worker came through a video: what was counted was another video's doing."""
        with self._lock:
            self._counts.pop(video_id, None)

    def refuse(self, video_id: str) -> None:
        """Let a video pass that may still be tried.

        Raises:
            UndecodableVideoError: the decoder has crashed on it too often.
        """
        with self._lock:
            num_crashes = self._counts.get(video_id, 0)
        if num_crashes >= _NUM_TRIES:
            raise UndecodableVideoError(
                f"the decoder died on this video {num_crashes} times and does not try it again; send an undamaged video"
            )
