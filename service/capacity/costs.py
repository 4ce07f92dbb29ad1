"""What the stages of a recognition cost on one machine, read from reports of ``duoact bench``."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

# Standard normal quantile of 0.9: what lies between the median and the 90th percentile of a logarithm.
_NORMAL_P90 = 1.2815515655446004

_Model = TypeVar("_Model", bound=BaseModel)

Count = Annotated[int, Field(gt=0)]
Milliseconds = Annotated[float, Field(ge=0.0)]


class CapacityError(ValueError):
    """A report of costs cannot be used, or no number of machines carries the load."""


class _Spread(BaseModel):
    p50_ms: Annotated[float, Field(gt=0.0)]
    p90_ms: Annotated[float, Field(gt=0.0)]


class _Stages(BaseModel):
    decode: _Spread
    score: _Spread
    labels: _Spread
    elsewhere: _Spread


class _Video(BaseModel):
    duration_seconds: Annotated[float, Field(gt=0.0)]


class _Latencies(BaseModel):
    video: _Video
    stages: _Stages


class _Encode(BaseModel):
    num_views: Count
    call_ms: Annotated[float, Field(gt=0.0)]


class _Labels(BaseModel):
    num_labels: Count
    cold_ms: Milliseconds


class _Subject(BaseModel):
    num_labels: Count


class _Report(BaseModel):
    """The fields of a report that planning needs."""

    subject: _Subject
    latencies: _Latencies
    encode: Annotated[tuple[_Encode, ...], Field(min_length=1)]
    labels: tuple[_Labels, ...] = ()


class _EncoderReport(BaseModel):
    encode: Annotated[tuple[_Encode, ...], Field(min_length=1)]
    labels: tuple[_Labels, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StageCosts:
    """Medians of one machine.

    Args:
        decode_fixed_ms: decoding a video, however short.
        decode_ms_per_second: and for each second of it.
        decode_spread: standard deviation of the logarithm of decoding times.
        request_ms: what the gateway's own thread spends on a request, apart from scores.
        score_ms_per_label: and on each label's score.
        encode_ms: a call of the video encoder with so many views, by number of views.
        label_ms: embedding one label that is not known yet, in all languages together.
    """

    decode_fixed_ms: float
    decode_ms_per_second: float
    decode_spread: float
    request_ms: float
    score_ms_per_label: float
    encode_ms: tuple[tuple[int, float], ...]
    label_ms: float

    def decode_seconds(self, video_seconds: float) -> float:
        """Seconds of one process for a video of this length, at the median."""
        return (self.decode_fixed_ms + self.decode_ms_per_second * video_seconds) / 1000

    def encode_seconds(self, num_views: int) -> float:
        """Seconds of one encoder for views in one call: on straight lines through what was measured."""
        points = self.encode_ms
        if len(points) == 1 or num_views < points[0][0]:
            return points[0][1] * num_views / points[0][0] / 1000
        above = next((i for i, (views, _) in enumerate(points) if views >= num_views and i > 0), len(points) - 1)
        (low, low_ms), (high, high_ms) = points[above - 1], points[above]
        return (low_ms + (high_ms - low_ms) * (num_views - low) / (high - low)) / 1000

    def with_encoder(self, path: Path) -> "StageCosts":
        """The same gateway before another encoder, whose report has at least the part ``encode``.

        Raises:
            CapacityError: the report cannot be read.
        """
        report = _read(path, _EncoderReport)
        return replace(self, encode_ms=_order(report.encode), label_ms=_sum_label_ms(report.labels) or self.label_ms)


def read_costs(*paths: Path) -> StageCosts:
    """Read reports of the same service; two videos of different length tell what length costs.

    With one length, decoding is taken as proportional to it, which charges long videos too much. All else is the last
    report's.

    Raises:
        CapacityError: a report cannot be read, or lacks what planning needs.
    """
    reports = [_read(path, _Report) for path in paths]
    if not reports:
        raise CapacityError("no report of costs is given; make one with `duoact bench --json --out FILE`")
    last = reports[-1]
    stages = last.latencies.stages
    fixed, slope = _fit_decode(reports)
    return StageCosts(
        decode_fixed_ms=fixed,
        decode_ms_per_second=slope,
        decode_spread=max(math.log(stages.decode.p90_ms / stages.decode.p50_ms) / _NORMAL_P90, 0.0),
        request_ms=stages.labels.p50_ms + stages.elsewhere.p50_ms,
        score_ms_per_label=stages.score.p50_ms / last.subject.num_labels,
        encode_ms=_order(last.encode),
        label_ms=_sum_label_ms(last.labels),
    )


def _fit_decode(reports: list[_Report]) -> tuple[float, float]:
    """The least-squares line through (seconds of video, milliseconds of decoding), without negative parts."""
    seconds = [report.latencies.video.duration_seconds for report in reports]
    costs = [report.latencies.stages.decode.p50_ms for report in reports]
    mean_seconds, mean_cost = sum(seconds) / len(seconds), sum(costs) / len(costs)
    spread = sum((each - mean_seconds) ** 2 for each in seconds)
    if spread == 0:
        return 0.0, mean_cost / mean_seconds
    slope = sum((x - mean_seconds) * (y - mean_cost) for x, y in zip(seconds, costs, strict=True)) / spread
    slope = max(slope, 0.0)
    fixed = mean_cost - slope * mean_seconds
    return (fixed, slope) if fixed >= 0 else (0.0, mean_cost / mean_seconds)


def _order(encode: tuple[_Encode, ...]) -> tuple[tuple[int, float], ...]:
    return tuple(sorted({each.num_views: each.call_ms for each in encode}.items()))


def _sum_label_ms(labels: tuple[_Labels, ...]) -> float:
    return math.fsum(each.cold_ms / each.num_labels for each in labels)


def _read(path: Path, model: type[_Model]) -> _Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CapacityError(f"report {str(path)!r} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise CapacityError(
            f"report {str(path)!r} is none that `duoact bench` makes: {place}: {first['msg']}"
        ) from error
