"""Decode exactly the frames asked for, from a video that nobody vouches for.

Frames are counted in the order of presentation, from 0. An intact file is decoded only around the chosen frames; where
time stamps are missing or disagree with the decoder, every frame is decoded and counted. At most one full picture is
in memory at a time. What may be opened is settled in ``containers``, what a picture is in ``pictures``.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import av
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float64, Int, Int64, UInt8

from service.contract.clock import Clock, read_clock
from service.contract.colours import describe_fallback, is_convertible
from service.contract.containers import DecodeLimits, OpenVideo, VideoPacket, VideoSource, codec_name, open_video
from service.contract.errors import UndecodableVideoError, VideoTooLargeError
from service.contract.packets import NO_TIME, PacketIndex, packet_identity, read_packet_index
from service.contract.pictures import (
    UPRIGHT,
    Geometry,
    displayed_size,
    read_orientation,
    read_picture,
    read_transfer,
)
from service.contract.tone_mapping import Transfer

__all__ = ["DecodeLimits", "DecodedFrames", "VideoInfo", "VideoSource", "decode_frames"]

Picture = UInt8[np.ndarray, "H W 3"]
Select = Callable[[int], Int[np.ndarray, " N"]]
Transform = Callable[[Picture], UInt8[np.ndarray, "..."]]
# To be raised when the same file gives other pixels or frames; what is stored of decoded frames is stored under it.
DECODE_RULE = 2


@dataclass(frozen=True)
class VideoInfo:
    """What a video turned out to be; width and height are those of the upright picture with square pixels.

    ``frame_rate`` is the mean over the video, ``rotation_degrees`` the clockwise turn that the player applies.
    ``tone_mapped_from`` is the transfer function of a video of high dynamic range, None for one of standard range.
    ``warnings`` say what had to be assumed of a whole video.
    """

    duration_seconds: float
    num_frames: int
    width: int
    height: int
    codec: str
    frame_rate: float
    rotation_degrees: int
    tone_mapped_from: Transfer | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecodedFrames:
    """The chosen frames, transformed; times count from the first; ``degraded`` says why the video is not whole."""

    frames: UInt8[np.ndarray, "N ..."]
    indices: Int64[np.ndarray, " N"]
    time_seconds: Float64[np.ndarray, " N"]
    info: VideoInfo
    degraded: str | None


def decode_frames(
    source: VideoSource, *, select: Select, transform: Transform, limits: DecodeLimits | None = None
) -> DecodedFrames:
    """Decode the frames that ``select`` chooses from the number of frames, each distinct one once.

    ``transform`` is called on the upright RGB picture of each distinct frame. Of a damaged or cut-off video the frames
    that decode are counted, and ``select`` chooses among them; it is called again when the number turns out different.

    Raises:
        UnsupportedVideoError: not a container or codec that is accepted.
        UndecodableVideoError: no video stream, not one frame that decodes, or too little memory.
        VideoTooLargeError: pixels, duration or frames exceed the limits.
    """
    limits = limits or DecodeLimits()
    try:
        with open_video(source, limits=limits) as video:
            index = read_packet_index(video, limits=limits)
            if index.is_exact:
                gathering = _Gathering(video, transform, limits, has_turns=len(index.turns) > 0)
                if found := _decode_around(video, index, select, gathering):
                    return found
        return _decode_everything(source, index, select=select, transform=transform, limits=limits)
    except (MemoryError, av.FFmpegError) as error:
        raise UndecodableVideoError(
            f"decoding ends with {type(error).__name__} ({error}); send an undamaged or a smaller video"
        ) from error


@dataclass
class _Layout:
    """The geometry of the frames that come out of the decoder, one after the other.

    A display matrix holds for the frames after it until another one comes (ITU-T H.264, D.2.27: persistence) or the
    size changes, with which a new coded video begins.
    """

    geometry: Geometry
    size: tuple[int, int] | None = None

    def follow(self, frame: VideoFrame) -> None:
        """Take note of a frame's size and display matrix."""
        size = (frame.width, frame.height)
        orientation = read_orientation(frame)
        if orientation is None:
            orientation = self.geometry.orientation if self.size in (None, size) else UPRIGHT
        self.size = size
        self.geometry = replace(self.geometry, orientation=orientation)


@dataclass
class _Gathering:
    """The chosen pictures, transformed, as they come out of the decoder."""

    video: OpenVideo
    transform: Transform
    limits: DecodeLimits
    has_turns: bool
    pictures: dict[int, UInt8[np.ndarray, "..."]] = field(default_factory=dict)
    layout: _Layout = field(init=False)
    size: tuple[int, int] = (0, 0)
    rotation_degrees: int = 0
    tone_mapped_from: Transfer | None = None
    warnings: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.layout = _Layout(Geometry(self.video.stream.sample_aspect_ratio, self.video.crop))

    def follow(self, frame: VideoFrame, *, is_wanted: bool) -> None:
        """Take note of how a frame is laid out, if it is wanted or may say so for those after it.

        A frame whose side data was looked at stays in memory for long: PyAV makes a cycle of both.
        """
        if is_wanted or (self.has_turns and frame.key_frame):
            self.layout.follow(frame)

    def add(self, index: int, frame: VideoFrame) -> None:
        """Convert and transform one frame; the first one tells the video's size."""
        geometry = self.layout.geometry
        picture = read_picture(frame, geometry=geometry, max_pixels=self.limits.max_pixels)
        if not self.pictures:
            self.size = displayed_size(frame, geometry)
            self.rotation_degrees = geometry.orientation.rotation_degrees
        self.tone_mapped_from = self.tone_mapped_from or read_transfer(frame)
        if not is_convertible(frame):
            self.warnings[describe_fallback(frame)] = None
        self.pictures[index] = self.transform(picture)

    def finish(self, indices: Int[np.ndarray, " N"], clock: Clock, degraded: str | None) -> DecodedFrames:
        """Put the pictures in the order asked for; the clock has the time of every frame of the video."""
        seconds, duration_seconds = clock
        info = VideoInfo(
            duration_seconds=duration_seconds,
            num_frames=len(seconds),
            width=self.size[0],
            height=self.size[1],
            codec=codec_name(self.video.stream),
            frame_rate=len(seconds) / duration_seconds,
            rotation_degrees=self.rotation_degrees,
            tone_mapped_from=self.tone_mapped_from,
            warnings=(*self.video.warnings, *self.warnings),
        )
        frames = np.stack([self.pictures[index] for index in indices.tolist()])
        return DecodedFrames(frames, indices.astype(np.int64), seconds[indices], info, degraded)


def _decode_around(video: OpenVideo, index: PacketIndex, select: Select, gathering: _Gathering) -> DecodedFrames | None:
    """Decode the runs of packets that the chosen frames need; None where the decoder disagrees with the packets."""
    presentation = index.presentation
    indices = select(len(presentation))
    chosen = np.unique(indices)
    targets = presentation[chosen]
    runs = index.plan_runs(targets)
    _check_cost(sum(stop - start for start, stop in runs), gathering.limits)
    frame_of_time = dict(zip(index.times[targets].tolist(), chosen.tolist(), strict=True))
    latest = NO_TIME
    try:
        for frame in _decode_runs(video, index, runs, set(targets.tolist())):
            # The two fields of an interlaced frame may travel as two packets.
            if frame.is_corrupt or frame.interlaced_frame or frame.pts is None or frame.pts <= latest:
                return None
            latest = frame.pts
            gathering.follow(frame, is_wanted=frame.pts in frame_of_time)
            if frame.pts in frame_of_time:
                gathering.add(frame_of_time.pop(frame.pts), frame)
    except av.FFmpegError:
        return None
    if frame_of_time:
        return None
    clock = read_clock(index.times[presentation].tolist(), index.decode_times, video)
    return gathering.finish(indices, clock, index.problem)


def _decode_runs(
    video: OpenVideo, index: PacketIndex, runs: list[tuple[int, int]], targets: set[int]
) -> Iterator[VideoFrame]:
    """Demux again from the first packet, and decode the packets of each run alone, without H.264's unused B-frames.

    Packets are counted, not sought by time: reading past the others costs little beside decoding, and cannot miss.
    Nothing comes out where the container does not rewind.
    """
    context = video.stream.codec_context
    _, first_dts, _ = index.first_packet
    video.container.seek(first_dts or 0, stream=video.stream)
    # In HEVC such a picture may still be leant on by higher temporal layers.
    skips_unused = codec_name(video.stream) == "h264"
    remaining = iter(runs)
    start, stop = next(remaining)
    for position, packet in enumerate(video.read_packets()):
        if position == 0 and packet_identity(packet) != index.first_packet:
            return
        if position >= start:
            if skips_unused:
                context.skip_frame = "DEFAULT" if position in targets else "NONREF"
            yield from context.decode(packet)
        if position + 1 == stop:
            yield from context.decode(None)
            context.flush_buffers()
            start, stop = next(remaining, (0, 0))
            if not stop:
                return


def _decode_everything(
    source: VideoSource, index: PacketIndex, *, select: Select, transform: Transform, limits: DecodeLimits
) -> DecodedFrames:
    """Decode from the first packet to the last; once more where the packets promised another number of frames."""
    _check_cost(len(index.times), limits)
    num_frames = index.num_frames
    for _ in range(2):
        indices = select(num_frames) if num_frames else np.zeros(0, np.int64)
        with open_video(source, limits=limits) as video:
            gathering = _Gathering(video, transform, limits, has_turns=len(index.turns) > 0)
            faults = _Faults(index.problem)
            times = _decode_all(video, gathering, wanted=set(indices.tolist()), faults=faults)
            if times and len(times) == num_frames:
                clock = read_clock(times, index.decode_times, video)
                return gathering.finish(indices, clock, faults.describe())
        if not times:
            break
        num_frames = len(times)
    reason = faults.describe() or ("the file changes while it is read" if times else "no picture inside")
    raise UndecodableVideoError(
        f"the frames of the {codec_name(video.stream)} stream do not decode ({reason}); "
        f"send an undamaged video of at most {limits.max_pixels} pixels a frame"
    )


@dataclass
class _Faults:
    """What went wrong while everything was decoded."""

    container: str | None
    num_packets: int = 0
    num_frames: int = 0

    def describe(self) -> str | None:
        """Say it in one line; None where nothing went wrong."""
        packets = f"packets that do not decode: {self.num_packets}" if self.num_packets else None
        frames = f"damaged frames: {self.num_frames}" if self.num_frames else None
        return "; ".join(filter(None, (self.container, packets, frames))) or None


def _decode_all(video: OpenVideo, gathering: _Gathering, *, wanted: set[int], faults: _Faults) -> list[int | None]:
    """Count every whole frame in the order of presentation and gather the wanted ones; answers their time stamps."""
    times: list[int | None] = []
    for frame in _decode_tolerantly(video, faults):
        if frame.is_corrupt:
            faults.num_frames += 1
            continue
        gathering.follow(frame, is_wanted=len(times) in wanted)
        if len(times) in wanted:
            gathering.add(len(times), frame)
        times.append(frame.pts)
        _check_cost(len(times), gathering.limits)
    return times


def _decode_tolerantly(video: OpenVideo, faults: _Faults) -> Iterator[VideoFrame]:
    """Decode every packet; after one that fails, go on at the next keyframe, because what follows leans on it."""
    context = video.stream.codec_context
    awaits_keyframe = False
    for packet in _packets_and_end(video):
        if packet is not None and awaits_keyframe and not packet.is_keyframe:
            continue
        try:
            yield from context.decode(packet)
            awaits_keyframe = False
        except av.FFmpegError:
            faults.num_packets += 1
            awaits_keyframe = True


def _packets_and_end(video: OpenVideo) -> Iterator[VideoPacket | None]:
    """Yield the packets that can be read, then None, upon which a decoder hands out what it holds back."""
    with suppress(av.FFmpegError):  # the first pass has noted where the container breaks
        yield from video.read_packets()
    yield None


def _check_cost(num_frames: int, limits: DecodeLimits) -> None:
    if num_frames > limits.max_decoded_frames:
        raise VideoTooLargeError(
            f"{num_frames} frames must be decoded to reach the chosen ones; at most {limits.max_decoded_frames} are "
            "accepted; send a shorter video or one with more keyframes"
        )
