"""From a video to the views that an encoder takes: the one function that training, evaluation and the service call.

A view is one clip seen through one crop. Which frames make a clip is settled in ``sampling``, how a frame is cut in
``preprocess``, how it is reached in ``decode``.
"""

import re
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from service.contract.decode import (
    DecodedFrames,
    DecodeLimits,
    Select,
    Transform,
    VideoInfo,
    VideoSource,
    decode_frames,
)
from service.contract.errors import ImpossibleRequestError, UndecodableVideoError
from service.contract.manifest import Preprocessing, Sampling
from service.contract.preprocess import CROP_COUNTS, resize_and_crop
from service.contract.sampling import local_windows, sample_clips

MAX_CLIPS = 10


@dataclass(frozen=True)
class ViewPlan:
    """How many views of a video are scored and averaged: clips times crops.

    Raises:
        ImpossibleRequestError: not 1 to 10 clips, or not 1 or 3 crops.
    """

    num_clips: int = 1
    num_crops: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.num_clips <= MAX_CLIPS or self.num_crops not in CROP_COUNTS:
            raise ImpossibleRequestError(
                f"views is {self}; allowed are 1 to {MAX_CLIPS} clips and {' or '.join(map(str, CROP_COUNTS))} crops, "
                "written like 1x1 or 4x3"
            )

    @classmethod
    def parse(cls, text: str) -> "ViewPlan":
        """Read a plan written as clips x crops, such as ``4x3``.

        Raises:
            ImpossibleRequestError: the text is not of that form, or the plan is not allowed.
        """
        match = re.fullmatch(r"([0-9]{1,3})x([0-9]{1,3})", text)
        if not match:
            raise ImpossibleRequestError(f"views is {text[:32]!r}; write clips x crops, like 1x1 or 4x3")
        return cls(num_clips=int(match[1]), num_crops=int(match[2]))

    @property
    def num_views(self) -> int:
        """Number of views a video gives."""
        return self.num_clips * self.num_crops

    def __str__(self) -> str:
        return f"{self.num_clips}x{self.num_crops}"


@dataclass(frozen=True)
class VideoViews:
    """The views of one video, clip by clip (view = clip * crops + crop), and which frames they show.

    Each view is [T, S, S, 3], or [T, n, S, S, 3] where the sampling takes windows of n > 1 frames; ``indices`` and
    ``time_seconds`` are those of the windows' centres. ``degraded`` says why the video is not whole; None for an intact
    one.
    """

    views: UInt8[np.ndarray, "V *frames S S 3"]
    indices: Int64[np.ndarray, "clips T"]
    time_seconds: Float64[np.ndarray, "clips T"]
    info: VideoInfo
    degraded: str | None


@runtime_checkable
class Decode(Protocol):
    """What decodes the frames that ``select`` chooses, as ``decode_frames`` does."""

    def __call__(
        self, source: VideoSource, *, select: Select, transform: Transform, limits: DecodeLimits | None = None
    ) -> DecodedFrames:
        """Decode the chosen frames of a video, transformed."""


DEFAULT_VIEWS = str(ViewPlan())


@dataclass(frozen=True)
class ViewRules:
    """What a bundle and a service make of any video: which frames, how they are cropped, and what reading may cost."""

    preprocessing: Preprocessing
    sampling: Sampling
    limits: DecodeLimits | None = None

    def read(self, source: VideoSource, *, plan: ViewPlan) -> VideoViews:
        """Read the views of a plan; raises as ``read_views`` does."""
        return read_views(
            source, preprocessing=self.preprocessing, sampling=self.sampling, plan=plan, limits=self.limits
        )


def read_views(
    source: VideoSource,
    *,
    preprocessing: Preprocessing,
    sampling: Sampling,
    plan: ViewPlan,
    limits: DecodeLimits | None = None,
    decode: Decode = decode_frames,
) -> VideoViews:
    """Sample, decode, resize and crop the views of a video.

    An intact video shorter than a clip or a window repeats its frames; a damaged one must still yield the frames of a
    whole clip, and of a window. A frame that several windows show is decoded once. ``decode`` may read what is stored
    otherwise than as a video file.

    Raises:
        UnsupportedVideoError: not a container or codec that is accepted.
        UndecodableVideoError: no video stream, or a damaged one with fewer usable frames than a clip or a window takes.
        VideoTooLargeError: pixels, duration or frames exceed the limits.
    """
    decoded = decode(
        source,
        select=lambda num_frames: _sample(num_frames, sampling, plan).ravel(),
        transform=lambda frame: resize_and_crop(frame, preprocessing=preprocessing, num_crops=plan.num_crops),
        limits=limits,
    )
    num_needed = max(sampling.num_frames, sampling.num_local_frames)
    if decoded.degraded and decoded.info.num_frames < num_needed:
        raise UndecodableVideoError(
            f"only {decoded.info.num_frames} frames can be used, {num_needed} are needed: {decoded.degraded}; "
            "send an undamaged video"
        )
    return _arrange(decoded, sampling, plan)


def _sample(num_frames: int, sampling: Sampling, plan: ViewPlan) -> Int64[np.ndarray, "clips T n"]:
    centres = sample_clips(
        num_frames, num_frames_per_clip=sampling.num_frames, num_clips=plan.num_clips, rule=sampling.rule
    )
    return local_windows(centres, num_frames=num_frames, num_local_frames=sampling.num_local_frames)


def _arrange(decoded: DecodedFrames, sampling: Sampling, plan: ViewPlan) -> VideoViews:
    """Split the frames into clips and put the crop axis before time."""
    num_local_frames = sampling.num_local_frames
    clips = decoded.frames.reshape(plan.num_clips, -1, *decoded.frames.shape[1:])
    window = (num_local_frames,) if num_local_frames > 1 else ()
    views = np.ascontiguousarray(clips.swapaxes(1, 2)).reshape(
        plan.num_views, sampling.num_frames, *window, *clips.shape[3:]
    )
    centre = num_local_frames // 2
    return VideoViews(
        views=views,
        indices=decoded.indices.reshape(plan.num_clips, -1, num_local_frames)[..., centre],
        time_seconds=decoded.time_seconds.reshape(plan.num_clips, -1, num_local_frames)[..., centre],
        info=decoded.info,
        degraded=decoded.degraded,
    )
