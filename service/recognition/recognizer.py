"""Recognition of one video: decode, encode, label banks, fuse, answer. Frameworks and engines live elsewhere."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from service.contract.classes import ClosedVocabulary, score_classes
from service.contract.decode import DecodeLimits
from service.contract.errors import EncoderUnavailableError, ImpossibleRequestError
from service.contract.labels import Label, LabelDictionary
from service.contract.languages import LanguagePlan, plan_languages
from service.contract.manifest import Bundle, Preprocessing, Sampling
from service.contract.scoring import LabelBank, Scores, score_labels
from service.contract.views import VideoViews, ViewPlan
from service.encoders.base import VideoEncoder
from service.encoders.deadline import limit_calls
from service.labels.banks import LabelBanks
from service.recognition.deadline import Deadline, Stopwatch
from service.recognition.predictions import CacheUse, Recognition, predict
from service.recognition.thumbnails import render_thumbnails
from service.recognition.video_cache import VideoCache, VideoFeatures, VideoKey


@runtime_checkable
class VideoReader(Protocol):
    """What reads views from untrusted bytes: the decode pool, or a fake."""

    @property
    def alive(self) -> bool:
        """Whether videos are taken."""
        ...

    def start(self) -> None:
        """Begin to take videos."""
        ...

    def close(self) -> None:
        """End all work."""
        ...

    async def read_views(
        self,
        path: Path,
        *,
        preprocessing: Preprocessing,
        sampling: Sampling,
        plan: ViewPlan,
        limits: DecodeLimits,
        timeout_seconds: float,
    ) -> VideoViews:
        """Read the views of a plan within a time limit."""
        ...


@dataclass(frozen=True)
class StoredVideo:
    """A video on the service's disk; ``video_id`` is the SHA-256 of its bytes."""

    path: Path
    video_id: str


@dataclass(frozen=True)
class Question:
    """What is asked about a video; ``fusion_lambda`` and ``template`` are the bundle's where they are None.

    Where a bundle's vocabulary is closed, its classes are asked for by name, and neither of the two can be chosen.
    """

    labels: tuple[Label, ...]
    plan: ViewPlan = field(default_factory=ViewPlan)
    top_k: int = 5
    fusion_lambda: float | None = None
    template: str | None = None
    strict: bool = False
    explain: bool = False


@dataclass(frozen=True)
class RecognizerLimits:
    """What one recognition may cost."""

    decode: DecodeLimits
    num_views: int


class Recognizer:
    """Answers questions about videos with one bundle."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        reader: VideoReader,
        encoder: VideoEncoder,
        label_banks: LabelBanks,
        video_cache: VideoCache,
        dictionary: LabelDictionary,
        limits: RecognizerLimits,
    ) -> None:
        self._bundle = bundle
        self._manifest = bundle.manifest
        self._reader = reader
        self._encoder = encoder
        self._label_banks = label_banks
        self._video_cache = video_cache
        self._dictionary = dictionary
        self._limits = limits
        classes = bundle.manifest.closed_vocabulary
        self._vocabulary = None if classes is None else ClosedVocabulary(classes)

    @property
    def classes(self) -> tuple[Label, ...] | None:
        """The classes of a closed vocabulary, which are asked for where no labels are given; None for an open one."""
        return None if self._vocabulary is None else self._vocabulary.classes

    async def recognize(
        self, video: StoredVideo, question: Question, *, deadline: Deadline, stopwatch: Stopwatch
    ) -> Recognition:
        """Rank a question's labels for a video.

        Raises:
            DuoActError: the request, the video, the engine or the deadline; see ``contract.errors``.
        """
        self._check_views(question.plan)
        if self._vocabulary is not None:
            return await self._classify(video, question, self._vocabulary, deadline=deadline, stopwatch=stopwatch)
        with stopwatch.stage("labels"):
            labels = tuple(self._dictionary.complete(label) for label in question.labels)
            languages = self._settle(question, labels)
        seen, was_cached = await self._see(video, question, deadline=deadline, stopwatch=stopwatch)
        with stopwatch.stage("labels"):
            async with deadline.guard("the embedding of labels"):
                fetched = await self._label_banks.fetch(labels, plan=languages, template=question.template)
        with stopwatch.stage("score"):
            scores = await asyncio.to_thread(self._score, seen, fetched.bank, languages)
            predictions, frames = predict(
                scores, labels=labels, video=seen, top_k=question.top_k, explain=question.explain
            )
        return Recognition(
            video_id=video.video_id,
            info=seen.info,
            degraded=seen.degraded,
            languages=languages,
            predictions=predictions,
            frames=frames,
            cache=CacheUse(was_cached, fetched.num_hits, fetched.num_misses),
            warnings=(*languages.warnings, *fetched.warnings, *([seen.degraded] if seen.degraded else [])),
        )

    async def _classify(
        self,
        video: StoredVideo,
        question: Question,
        vocabulary: ClosedVocabulary,
        *,
        deadline: Deadline,
        stopwatch: Stopwatch,
    ) -> Recognition:
        """Rank classes by the logits that the video encoder gives; no text is embedded."""
        with stopwatch.stage("labels"):
            _refuse_text_options(question)
            # In a thread: the search for the nearest names takes a while.
            indices = await asyncio.to_thread(vocabulary.find, question.labels)
        seen, was_cached = await self._see(video, question, deadline=deadline, stopwatch=stopwatch)
        with stopwatch.stage("score"):
            predictions, frames = predict(
                score_classes(seen.features, indices=indices),
                labels=tuple(vocabulary.classes[index] for index in indices),
                video=seen,
                top_k=question.top_k,
                explain=question.explain,
            )
        return Recognition(
            video_id=video.video_id,
            info=seen.info,
            degraded=seen.degraded,
            languages=None,
            predictions=predictions,
            frames=frames,
            cache=CacheUse(was_cached, 0, 0),
            warnings=(*_warn_of_part(len(indices), vocabulary), *([seen.degraded] if seen.degraded else [])),
        )

    def _check_views(self, plan: ViewPlan) -> None:
        if plan.num_views > self._limits.num_views:
            raise ImpossibleRequestError(
                f"views is {plan}, which makes {plan.num_views} views; at most {self._limits.num_views} are allowed"
            )

    def _settle(self, question: Question, labels: tuple[Label, ...]) -> LanguagePlan:
        """Choose the languages of a question, so that an impossible one is refused before it costs anything."""
        return plan_languages(
            labels,
            requested_lambda=question.fusion_lambda,
            default_lambda=self._manifest.scoring.fusion.value,
            has_chinese=self._manifest.has_chinese,
            strict=question.strict,
            weigh_words=self._manifest.scoring.aggregation == "word_weighted",
        )

    async def _see(
        self, video: StoredVideo, question: Question, *, deadline: Deadline, stopwatch: Stopwatch
    ) -> tuple[VideoFeatures, bool]:
        """Frame features of a video, from the cache or by decoding and encoding; and whether the cache had them."""
        key = VideoKey(video.video_id, question.plan, self._bundle.digest)
        known = self._video_cache.find(key, with_thumbnails=question.explain)
        if known is not None:
            return known, True
        with stopwatch.stage("decode"):
            views = await self._decode(video, question, deadline=deadline)
        with stopwatch.stage("encode"):
            async with deadline.guard("encoding"):
                with limit_calls(deadline.remaining_seconds):
                    features = self._check_features(await self._encoder.encode_video(views.views))
        seen = VideoFeatures(
            features=features,
            indices=views.indices,
            time_seconds=views.time_seconds,
            info=views.info,
            degraded=views.degraded,
            thumbnails=await self._thumbnails(views, question, stopwatch=stopwatch),
        )
        self._video_cache.keep(key, seen)
        return seen, False

    def _check_features(self, features: Float32[np.ndarray, "V K D"]) -> Float32[np.ndarray, "V K D"]:
        """Refuse features, or logits, of another shape than the manifest's, before they are kept or scored."""
        expected = (self._manifest.num_frame_features, self._manifest.feature_dimension)
        if features.shape[1:] != expected:
            kind = "features and dimensions" if self._vocabulary is None else "rows and classes"
            raise EncoderUnavailableError(
                f"the encoder answers each view with {features.shape[1:]}, but the bundle has {expected} {kind}; check "
                "the model that it runs"
            )
        return features

    async def _decode(self, video: StoredVideo, question: Question, *, deadline: Deadline) -> VideoViews:
        async with deadline.guard("decoding"):
            return await self._reader.read_views(
                video.path,
                preprocessing=self._manifest.preprocessing,
                sampling=self._manifest.sampling,
                plan=question.plan,
                limits=self._limits.decode,
                timeout_seconds=deadline.remaining_seconds,
            )

    async def _thumbnails(
        self, views: VideoViews, question: Question, *, stopwatch: Stopwatch
    ) -> tuple[str, ...] | None:
        if not question.explain:
            return None
        with stopwatch.stage("thumbnails"):
            return await asyncio.to_thread(render_thumbnails, views.views, num_crops=question.plan.num_crops)

    def _score(self, seen: VideoFeatures, bank: LabelBank, languages: LanguagePlan) -> Scores:
        return score_labels(
            seen.features,
            bank,
            scoring=self._manifest.scoring,
            fusion_lambda=languages.fusion_lambda,
            weigh_words=languages.weigh_words,
        )


def _refuse_text_options(question: Question) -> None:
    for name, value in (("lambda", question.fusion_lambda), ("template", question.template)):
        if value is not None:
            raise ImpossibleRequestError(
                f"{name} is {value!r}, but the vocabulary of this bundle is closed: its classes are not compared with "
                f"text; leave {name} out"
            )


def _warn_of_part(num_asked: int, vocabulary: ClosedVocabulary) -> tuple[str, ...]:
    num_classes = len(vocabulary.classes)
    if num_asked == num_classes:
        return ()
    return (f"probabilities are among all {num_classes} classes of this bundle, of which {num_asked} are asked for",)
