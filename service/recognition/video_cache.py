"""Frame features of videos seen before, so that other labels on the same video cost no decoding and no encoding."""

from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from jaxtyping import Float, Float32, Int

from service.contract.decode import VideoInfo
from service.contract.views import ViewPlan


@dataclass(frozen=True)
class VideoKey:
    """Which video, seen in which views, by which bundle."""

    video_id: str
    plan: ViewPlan
    bundle_digest: str


@dataclass(frozen=True)
class VideoFeatures:
    """What is kept of a video: the features of its views and where its frames came from.

    ``thumbnails`` are JPEG data URIs of the sampled frames, one a clip and time, or None where nobody asked for them.
    """

    features: Float32[np.ndarray, "V K D"]
    indices: Int[np.ndarray, "clips T"]
    time_seconds: Float[np.ndarray, "clips T"]
    info: VideoInfo
    degraded: str | None
    thumbnails: tuple[str, ...] | None

    @property
    def num_bytes(self) -> int:
        """Memory held by the arrays and the thumbnails."""
        arrays = self.features.nbytes + self.indices.nbytes + self.time_seconds.nbytes
        return arrays + sum(map(len, self.thumbnails or ()))


class VideoCache:
    """A least-recently-used cache bounded in bytes."""

    def __init__(self, *, max_bytes: int) -> None:
        self._entries: LRUCache[VideoKey, VideoFeatures] = LRUCache(max_bytes, getsizeof=lambda entry: entry.num_bytes)

    def find(self, key: VideoKey, *, with_thumbnails: bool) -> VideoFeatures | None:
        """Find a video's features; an entry without thumbnails does not serve a request for them."""
        entry: VideoFeatures | None = self._entries.get(key)
        if entry is None or (with_thumbnails and entry.thumbnails is None):
            return None
        return entry

    def keep(self, key: VideoKey, features: VideoFeatures) -> None:
        """Keep a video's features, unless they alone are larger than the cache, or those kept have more."""
        if features.thumbnails is None and self.find(key, with_thumbnails=True) is not None:
            return
        if features.num_bytes <= self._entries.maxsize:
            self._entries[key] = features
