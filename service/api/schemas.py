"""The JSON of the API: what leaves the service, as OpenAPI shows it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.contract.labels import Label, Language
from service.contract.languages import LanguagePlan
from service.contract.manifest import Bundle
from service.labels.sets import LabelSet
from service.recognition.deadline import Stopwatch
from service.recognition.predictions import Prediction, Recognition, SampledFrame


class Schema(BaseModel):
    """Base of all answers: immutable."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class LabelOut(Schema):
    """A label in the languages it is known in."""

    en: str | None
    zh: str | None

    @classmethod
    def of(cls, label: Label) -> "LabelOut":
        """Render a label."""
        return cls(en=label.en, zh=label.zh)


class BundleOut(Schema):
    """Which bundle answered; ``digest`` is the SHA-256 of its manifest."""

    name: str
    digest: str


class FusionOut(Schema):
    """How the languages were fused: ``lambda`` is the weight of English."""

    fusion_lambda: Annotated[float, Field(serialization_alias="lambda", validation_alias="lambda")]
    languages: tuple[Language, ...]
    tau: float


class PredictionOut(Schema):
    """One ranked label; ``frame_weights`` follow ``frames`` and are there with ``explain=true``."""

    rank: int
    label: LabelOut
    probability: float
    score: float
    similarity_en: float | None
    similarity_zh: float | None
    frame_weights: tuple[float, ...] | None = None

    @classmethod
    def of(cls, prediction: Prediction, *, rank: int) -> "PredictionOut":
        """Render a prediction; what was not asked for stays unset."""
        explanation = {} if prediction.frame_weights is None else {"frame_weights": prediction.frame_weights}
        return cls(
            rank=rank,
            label=LabelOut.of(prediction.label),
            probability=prediction.probability,
            score=prediction.score,
            similarity_en=prediction.similarity_en,
            similarity_zh=prediction.similarity_zh,
            **explanation,
        )


class VideoOut(Schema):
    """What the video turned out to be, upright and with square pixels.

    ``tone_mapped_from`` is the transfer function of a video of high dynamic range, which was brought down to the
    standard range that models know; null for any other.
    """

    video_id: str
    duration_seconds: float
    num_frames: int
    width: int
    height: int
    codec: str
    frame_rate: float
    rotation_degrees: int
    tone_mapped_from: Literal["pq", "hlg"] | None = None


class FrameOut(Schema):
    """One sampled frame and its weight for the best label; the thumbnail is there with ``explain=true``."""

    index: int
    time_seconds: float
    weight: float
    thumbnail: str | None = None

    @classmethod
    def of(cls, frame: SampledFrame) -> "FrameOut":
        """Render a frame; what was not asked for stays unset."""
        explanation = {} if frame.thumbnail is None else {"thumbnail": frame.thumbnail}
        return cls(index=frame.index, time_seconds=frame.time_seconds, weight=frame.weight, **explanation)


class LabelCacheOut(Schema):
    """How many label texts were known, and how many had to be encoded."""

    hits: int
    misses: int


class CacheOut(Schema):
    """What did not have to be computed."""

    video: Literal["hit", "miss"]
    labels: LabelCacheOut


class Answer(Schema):
    """The answer of ``POST /recognize``; ``fusion`` is null where the bundle's vocabulary is closed."""

    request_id: str
    bundle: BundleOut
    fusion: FusionOut | None
    predictions: tuple[PredictionOut, ...]
    video: VideoOut
    frames: tuple[FrameOut, ...]
    cache: CacheOut
    timings_ms: dict[str, float]
    warnings: tuple[str, ...]
    degraded: bool


class LabelSetSummary(Schema):
    """A label set in a list; ``languages`` are those in which every label has a text."""

    name: str
    num_labels: int
    languages: tuple[Language, ...]
    source: Literal["bundle", "built-in"]

    @classmethod
    def of(cls, label_set: LabelSet) -> "LabelSetSummary":
        """Render a label set's outline."""
        return cls(
            name=label_set.name,
            num_labels=len(label_set.labels),
            languages=label_set.languages,
            source=label_set.source,
        )


class LabelSetList(Schema):
    """All label sets."""

    label_sets: tuple[LabelSetSummary, ...]


class LabelSetOut(LabelSetSummary):
    """One label set with its labels."""

    labels: tuple[LabelOut, ...]


class Health(Schema):
    """Whether the service lives, or is ready; ``missing`` says what it lacks."""

    status: Literal["ok", "not ready", "dead"]
    missing: tuple[str, ...] = ()


class Problem(Schema):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    field: str | None = None


def render_answer(recognition: Recognition, *, bundle: Bundle, request_id: str, stopwatch: Stopwatch) -> Answer:
    """Render a recognition."""
    info, cache = recognition.info, recognition.cache
    return Answer(
        request_id=request_id,
        bundle=BundleOut(name=bundle.manifest.name, digest=bundle.digest),
        fusion=_render_fusion(recognition.languages, tau=bundle.manifest.scoring.tau),
        predictions=tuple(PredictionOut.of(p, rank=rank) for rank, p in enumerate(recognition.predictions, start=1)),
        video=VideoOut(
            video_id=recognition.video_id,
            duration_seconds=info.duration_seconds,
            num_frames=info.num_frames,
            width=info.width,
            height=info.height,
            codec=info.codec,
            frame_rate=info.frame_rate,
            rotation_degrees=info.rotation_degrees,
            tone_mapped_from=info.tone_mapped_from,
        ),
        frames=tuple(FrameOut.of(frame) for frame in recognition.frames),
        cache=CacheOut(
            video="hit" if cache.video_hit else "miss",
            labels=LabelCacheOut(hits=cache.label_hits, misses=cache.label_misses),
        ),
        timings_ms=render_timings(stopwatch),
        warnings=(*recognition.warnings, *info.warnings),
        degraded=recognition.degraded is not None,
    )


def render_json(answer: Schema) -> str:
    """Render an answer as JSON text without what is unset."""
    return answer.model_dump_json(by_alias=True, exclude_unset=True)


def render_timings(stopwatch: Stopwatch) -> dict[str, float]:
    """Render the stages and their total in milliseconds."""
    seconds = {**stopwatch.seconds, "total": stopwatch.total_seconds}
    return {stage: round(duration * 1000, 3) for stage, duration in seconds.items()}


def _render_fusion(languages: LanguagePlan | None, *, tau: float) -> FusionOut | None:
    if languages is None:
        return None
    return FusionOut(fusion_lambda=languages.fusion_lambda, languages=languages.languages, tau=tau)
