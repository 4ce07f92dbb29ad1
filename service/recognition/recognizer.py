"""Recognition of one video: decode, encode, label banks, fuse, answer. Frameworks and engines live elsewhere."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from service.contract.errors import DeadlineExceededError, EncoderUnavailableError, ImpossibleRequestError
from service.contract.labels import Label
from service.contract.manifest import Bundle
from service.contract.views import VideoViews, ViewPlan
from service.decoding.sandbox import SandboxReport
from service.encoders.base import VideoEncoder
from service.encoders.time_limit import TimeLimit
from service.recognition.deadline import Deadline, Stopwatch
from service.recognition.predictions import CacheUse, Recognition, predict
from service.recognition.questions import Question, StoredVideo
from service.recognition.scorers import Scorer
from service.recognition.scoring_pool import ScoringPool
from service.recognition.thumbnails import render_thumbnails
from service.recognition.video_cache import VideoCache, VideoFeatures, VideoKey
from service.recognition.video_flights import VideoFlights


@runtime_checkable
class VideoReader(Protocol):
    """What reads views from untrusted bytes by a bundle's rules: the decode pool, or a fake."""

    async def check(self) -> None:
        """Read a video that is known; raises where it is read wrongly, or not at all."""
        ...

    @property
    def guards(self) -> SandboxReport | None:
        """Which guards hold where videos are read; None before it has begun."""
        ...

    @property
    def deaths(self) -> Mapping[str, int]:
        """How many workers have ended so far, by cause."""
        ...

    def start(self) -> SandboxReport:
        """Begin to take videos, unless it has begun; answers which guards hold where they are read."""
        ...

    def close(self) -> None:
        """End all work."""
        ...

    async def read_views(self, video: int, *, video_id: str, plan: ViewPlan, timeout_seconds: float) -> VideoViews:
        """Read the views of a plan from a file that is open at a descriptor, within a time limit."""
        ...


class Recognizer:
    """Answers questions about videos with one bundle.

    Args:
        bundle: the bundle.
        reader: reads videos by the bundle's rules.
        encoder: its video encoder.
        require_encoder: raises where that is known to be wrong, before a video is decoded for it.
        scorer: scores labels as its vocabulary demands.
        pool: the threads that labels are scored in.
        video_cache: what is known of videos.
        max_views: views that one question may ask for.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        reader: VideoReader,
        encoder: VideoEncoder,
        require_encoder: Callable[[], None],
        scorer: Scorer,
        pool: ScoringPool,
        video_cache: VideoCache,
        max_views: int,
    ) -> None:
        self._bundle = bundle
        self._reader = reader
        self._encoder = encoder
        self._require_encoder = require_encoder
        self._scorer = scorer
        self._pool = pool
        self._video_cache = video_cache
        self._flights = VideoFlights(read=self._read, encode=self._encode)
        self._max_views = max_views

    @property
    def classes(self) -> tuple[Label, ...] | None:
        """The classes of a closed vocabulary, which are asked for where no labels are given; None for an open one."""
        return self._scorer.classes

    async def recognize(
        self, video: StoredVideo, question: Question, *, deadline: Deadline, stopwatch: Stopwatch
    ) -> Recognition:
        """Rank a question's labels for a video.

        Raises:
            DuoActError: the request, the video, the engine or the deadline; see ``contract.errors``.
        """
        self._check_views(question.plan)
        with stopwatch.stage("labels"):
            async with deadline.guard("the selection of labels"):
                selection = await self._pool.run(partial(self._scorer.select, question))
        seen, was_cached = await self._see(video, question, deadline=deadline, stopwatch=stopwatch)
        scored = await self._scorer.score(
            seen.features, selection=selection, question=question, deadline=deadline, stopwatch=stopwatch
        )
        with stopwatch.stage("score"):
            async with deadline.guard("the ranking of labels"):
                ranking = partial(
                    predict,
                    scored.scores,
                    labels=selection.labels,
                    video=seen,
                    top_k=question.top_k,
                    explain=question.explain,
                )
                predictions, frames = await self._pool.run(ranking)
        return Recognition(
            video_id=video.video_id,
            info=seen.info,
            degraded=seen.degraded,
            languages=selection.languages,
            predictions=predictions,
            frames=frames,
            cache=CacheUse(was_cached, scored.num_hits, scored.num_misses),
            warnings=(*selection.warnings, *scored.warnings, *([seen.degraded] if seen.degraded else [])),
        )

    def _check_views(self, plan: ViewPlan) -> None:
        if plan.num_views > self._max_views:
            raise ImpossibleRequestError(
                f"views is {plan}, which makes {plan.num_views} views; at most {self._max_views} are allowed"
            )

    async def _see(
        self, video: StoredVideo, question: Question, *, deadline: Deadline, stopwatch: Stopwatch
    ) -> tuple[VideoFeatures, bool]:
        """Frame features of a video, from the cache or by decoding and encoding; and whether the cache had them."""
        key = VideoKey(video.video_id, question.plan, self._bundle.digest)
        known = self._video_cache.find(key, with_thumbnails=question.explain)
        if known is not None:
            return known, True
        self._require_encoder()
        views, features = await self._await_flight(key, video, deadline=deadline, stopwatch=stopwatch)
        seen = VideoFeatures(
            features=features,
            indices=views.indices,
            time_seconds=views.time_seconds,
            info=views.info,
            degraded=views.degraded,
            thumbnails=await self._thumbnails(views, question, deadline=deadline, stopwatch=stopwatch),
        )
        self._video_cache.keep(key, seen)
        return seen, False

    async def _await_flight(
        self, key: VideoKey, video: StoredVideo, *, deadline: Deadline, stopwatch: Stopwatch
    ) -> tuple[VideoViews, Float32[np.ndarray, "V K D"]]:
        """Wait for a video that is decoded and encoded once for all who ask for it."""
        is_own = not self._flights.is_under_way(key)
        try:
            with self._flights.board(key, video, limit=deadline.time_limit) as flight:
                with stopwatch.stage("decode"):
                    async with deadline.guard("decoding"):
                        views = await asyncio.shield(flight.views)
                with stopwatch.stage("encode"):
                    async with deadline.guard("encoding"):
                        features = await asyncio.shield(flight.features)
        except DeadlineExceededError:
            # The work began with the time of somebody who had less.
            if is_own or not deadline.remaining_seconds:
                raise
            return await self._await_flight(key, video, deadline=deadline, stopwatch=stopwatch)
        return views, features

    async def _read(self, video: StoredVideo, plan: ViewPlan, limit: TimeLimit) -> VideoViews:
        return await self._reader.read_views(
            video.descriptor, video_id=video.video_id, plan=plan, timeout_seconds=limit.remaining_seconds
        )

    async def _encode(self, views: VideoViews, limit: TimeLimit) -> Float32[np.ndarray, "V K D"]:
        return self._check_features(await self._encoder.encode_video(views.views, limit=limit))

    def _check_features(self, features: Float32[np.ndarray, "V K D"]) -> Float32[np.ndarray, "V K D"]:
        """Refuse features, or logits, of another shape than the manifest's, before they are kept or scored."""
        manifest = self._bundle.manifest
        expected = (manifest.num_frame_features, manifest.feature_dimension)
        if features.shape[1:] != expected:
            kind = "features and dimensions" if self.classes is None else "rows and classes"
            raise EncoderUnavailableError(
                f"the encoder answers each view with {features.shape[1:]}, but the bundle has {expected} {kind}; check "
                "the model that it runs"
            )
        return features

    async def _thumbnails(
        self, views: VideoViews, question: Question, *, deadline: Deadline, stopwatch: Stopwatch
    ) -> tuple[str, ...] | None:
        if not question.explain:
            return None
        with stopwatch.stage("thumbnails"):
            async with deadline.guard("the making of thumbnails"):
                return await self._pool.run(partial(render_thumbnails, views.views, num_crops=question.plan.num_crops))
