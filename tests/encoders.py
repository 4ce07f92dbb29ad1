"""Fakes of the engine and of the decoder: small, deterministic, and honest in that answers depend on the inputs."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from service.contract.decode import VideoInfo
from service.contract.errors import DecoderUnavailableError, UndecodableVideoError
from service.contract.manifest import Preprocessing, Sampling
from service.contract.sampling import local_windows, sample_clips
from service.contract.views import VideoViews, ViewPlan, ViewRules
from service.decoding.sandbox import SandboxReport
from service.encoders.base import Encoders, TextEmbedding
from service.encoders.time_limit import TimeLimit

DIMENSION = 16
# A worker in which every guard holds.
GUARDED = SandboxReport(
    filters_system_calls=True,
    landlock_version=7,
    forbids_new_privileges=True,
    forbids_dumps=True,
    runs_as_nobody=True,
    problems=(),
)
NUM_FRAMES = 40
FRAME_RATE = 10.0


def unit_vector(text: str) -> Float32[np.ndarray, " D"]:
    """A unit vector that depends on every character of a text."""
    seed = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclass
class FakeVideoEncoder:
    """Features that depend on each frame's pixels, or one feature a view, or given logits; can wait or fail.

    ``logits`` holds one row a view, ``shapes`` what was encoded, and ``limits`` how long each call might take.
    """

    pools: bool = False
    logits: Float32[np.ndarray, "V C"] | None = None
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    limits: list[TimeLimit | None] = field(default_factory=list)
    delay_seconds: float = 0.0
    error: Exception | None = None
    num_calls: int = 0
    num_cancelled: int = 0

    async def encode_video(
        self, views: UInt8[np.ndarray, "V *frames H W 3"], *, limit: TimeLimit | None = None
    ) -> Float32[np.ndarray, "V K D"]:
        """Encode views."""
        self.num_calls += 1
        self.shapes.append(views.shape)
        self.limits.append(limit)
        try:
            await asyncio.sleep(self.delay_seconds)
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        if self.logits is not None:
            return self.logits[: len(views), None, :]
        parts = [[view] if self.pools else view for view in views]
        return np.stack([np.stack([unit_vector(str(part.sum())) for part in own]) for own in parts])


@dataclass
class FakeTextEncoder:
    """Embeddings that depend on the template and the text, one word vector a word; remembers what it was asked."""

    delay_seconds: float = 0.0
    error: Exception | None = None
    max_characters: int = 200
    batches: list[tuple[str, ...]] = field(default_factory=list)
    limits: list[TimeLimit | None] = field(default_factory=list)
    num_cancelled: int = 0

    async def encode_texts(
        self, texts: Sequence[str], *, template: str, limit: TimeLimit | None = None
    ) -> tuple[TextEmbedding, ...]:
        """Encode texts."""
        self.batches.append(tuple(texts))
        self.limits.append(limit)
        try:
            await asyncio.sleep(self.delay_seconds)
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return tuple(self._encode(text, template) for text in texts)

    def _encode(self, text: str, template: str) -> TextEmbedding:
        words = np.stack([unit_vector(word) for word in text.split()])
        return TextEmbedding(
            unit_vector(template.format(text)), words, truncated=len(text) > self.max_characters, unknown="☃" in text
        )


@dataclass
class FakeReader:
    """A decoder whose pixels depend on the file's bytes and the frame's index; can wait, fail, or find damage."""

    delay_seconds: float = 0.0
    error: Exception | None = None
    degraded: str | None = None
    alive: bool = True
    names: list[str] = field(default_factory=list)
    num_cancelled: int = 0
    rules: ViewRules | None = None
    guards: SandboxReport = GUARDED
    deaths: dict[str, int] = field(default_factory=dict)

    async def check(self) -> None:
        """Fail where no videos are taken."""
        if not self.alive:
            raise DecoderUnavailableError("no worker takes videos")

    def start(self) -> SandboxReport:
        """Take videos."""
        self.alive = True
        return GUARDED

    def close(self) -> None:
        """Take no more videos."""
        self.alive = False

    async def read_views(
        self,
        video: int,
        *,
        video_id: str,  # noqa: ARG002
        plan: ViewPlan,
        timeout_seconds: float,  # noqa: ARG002
    ) -> VideoViews:
        """Make up the views of a file."""
        self.names.append(str(Path(f"/proc/self/fd/{video}").readlink()))
        try:
            await asyncio.sleep(self.delay_seconds)
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        content = os.pread(video, os.fstat(video).st_size, 0)
        if not content:
            raise UndecodableVideoError("the file is empty; send a video")
        assert self.rules is not None
        preprocessing, sampling = self.rules.preprocessing, self.rules.sampling
        return make_up_views(content, preprocessing=preprocessing, sampling=sampling, plan=plan, degraded=self.degraded)


def make_up_views(
    content: bytes, *, preprocessing: Preprocessing, sampling: Sampling, plan: ViewPlan, degraded: str | None = None
) -> VideoViews:
    """Views whose pixels tell the content, the frame and the crop."""
    size, num_frames, window = preprocessing.input_size, sampling.num_frames, sampling.num_local_frames
    indices = sample_clips(NUM_FRAMES, num_frames_per_clip=num_frames, num_clips=plan.num_clips, rule=sampling.rule)
    shown = local_windows(indices, num_frames=NUM_FRAMES, num_local_frames=window)
    shade = hashlib.sha256(content).digest()[0]
    views = np.zeros((plan.num_clips, plan.num_crops, num_frames, window, size, size, 3), dtype=np.uint8)
    views += ((shown[:, None] * 5 + shade) % 256).astype(np.uint8)[..., None, None, None]
    views += np.arange(plan.num_crops, dtype=np.uint8)[None, :, None, None, None, None, None]
    clip = (num_frames, window) if window > 1 else (num_frames,)
    info = VideoInfo(NUM_FRAMES / FRAME_RATE, NUM_FRAMES, 320, 240, "h264", FRAME_RATE, 0)
    return VideoViews(views.reshape(-1, *clip, size, size, 3), indices, indices / FRAME_RATE, info, degraded)


@dataclass
class FakeEngine:
    """All fakes of one service; ``check_error`` is what the canary finds."""

    video: FakeVideoEncoder = field(default_factory=FakeVideoEncoder)
    english: FakeTextEncoder = field(default_factory=FakeTextEncoder)
    chinese: FakeTextEncoder | None = field(default_factory=FakeTextEncoder)
    reader: FakeReader = field(default_factory=FakeReader)
    check_error: Exception | None = None
    is_closed: bool = False

    def encoders(self) -> Encoders:
        """The fakes in the record that the composition root takes."""
        return Encoders(self.video, self.english, self.chinese, check=self._check, close=self._close)

    async def _check(self) -> None:
        if self.check_error is not None:
            raise self.check_error

    def _close(self) -> None:
        self.is_closed = True
