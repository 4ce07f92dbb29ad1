"""The packets of a video stream: what a file says of its frames before anything is decoded.

One pass over the container collects time stamps and flags. From them follow the number of frames, their order of
presentation and the packets that must be decoded for a given frame. Decoding itself lives in ``decode``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import numpy as np
from av.video.stream import VideoStream
from jaxtyping import Bool, Int, Int64

from service.contract.completeness import find_missing_part
from service.contract.containers import DecodeLimits, OpenVideo, VideoPacket, codec_name
from service.contract.errors import UndecodableVideoError, VideoTooLargeError
from service.contract.orientation_sei import OrientationMessages

NO_TIME = int(np.iinfo(np.int64).min)
# Codecs of which every packet that is shown yields exactly one frame. The others hide or pack frames in ways that only
# a decoder sees (MPEG-4 N-VOPs and packed B-frames, MPEG-2 field pictures, GIF frames that draw on the one before).
COUNTABLE_CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "prores"})


@dataclass(frozen=True)
class PacketIndex:
    """The packets of one stream in decoding order.

    Attributes:
        times: presentation time stamps in units of the stream's time base; ``NO_TIME`` where missing.
        decode_times: decoding time stamps in the same units.
        is_keyframe: decoding may start here.
        is_shown: the packet's frame is presented: neither cut off by an edit list nor hidden by the codec.
        turns: positions of the keyframes whose bytes say how the frames from there on are turned.
        first_packet: identity of the first packet, by which a rewound stream is recognised.
        is_countable: every shown packet is known to yield one frame.
        problem: why the file is not whole, or None.
    """

    times: Int64[np.ndarray, " packets"]
    decode_times: Int64[np.ndarray, " packets"]
    is_keyframe: Bool[np.ndarray, " packets"]
    is_shown: Bool[np.ndarray, " packets"]
    turns: Int64[np.ndarray, " turns"]
    first_packet: tuple[int | None, int | None, int]
    is_countable: bool
    problem: str | None

    @property
    def num_frames(self) -> int:
        """Number of frames that are presented, if every shown packet yields one."""
        return int(self.is_shown.sum())

    @property
    def is_exact(self) -> bool:
        """Whether frames can be told apart by time stamp, and decoding can start at any keyframe."""
        if not self.is_countable or not len(self.times) or not self.is_keyframe[0] or not self.num_frames:
            return False
        shown = self.times[self.is_shown]
        return (
            bool(self.times[0] == self.times.min() != NO_TIME)  # else the first frames lean on a packet that is missing
            and len(np.unique(shown)) == len(shown)
        )

    @property
    def presentation(self) -> Int64[np.ndarray, " N"]:
        """Positions of the shown packets in the order in which their frames are presented."""
        shown = np.flatnonzero(self.is_shown)
        return shown[np.argsort(self.times[shown], kind="stable")]

    def plan_runs(self, positions: Int[np.ndarray, " targets"]) -> list[tuple[int, int]]:
        """Choose half-open runs of packets to decode so that the packets at ``positions`` come out right.

        A run starts at the last keyframe that is neither decoded nor presented after its target: a picture decoded
        after a keyframe but shown before it may lean on the group before. Keyframes at 0 and 10 and targets 3 and 12
        give [0, 4) and [10, 13). The last packet before a target that says how pictures are turned is decoded too.
        """
        keyframes = np.flatnonzero(self.is_keyframe)
        if len(self.turns):
            last_turns = self.turns[np.searchsorted(self.turns, positions, side="right") - 1]
            positions = np.concatenate([positions, last_turns])
        runs: list[tuple[int, int]] = []
        for position in np.unique(positions).tolist():
            before = keyframes[: np.searchsorted(keyframes, position, side="right")]
            start = int(before[self.times[before] <= self.times[position]][-1])
            while runs and start <= runs[-1][1]:
                start = min(start, runs.pop()[0])
            runs.append((start, position + 1))
        return runs


def read_packet_index(video: OpenVideo, *, limits: DecodeLimits) -> PacketIndex:
    """Demux the whole stream without decoding; memory is a few bytes a packet.

    Raises:
        VideoTooLargeError: more packets or more seconds than allowed.
        UndecodableVideoError: the stream holds no packet.
    """
    rows = _Rows(OrientationMessages.of(video.stream))
    for packet in _read_packets(video, rows):
        rows.add(packet, codec_name(video.stream))
        if len(rows.times) > limits.max_frames:
            raise VideoTooLargeError(
                f"the video has more than {limits.max_frames} frames, the most that are accepted; send a shorter video"
            )
    if not rows.times:
        raise UndecodableVideoError(
            f"the video stream ({codec_name(video.stream)}) holds no frames; send a video with pictures"
        )
    times = np.array(rows.times, dtype=np.int64)
    time_base = float(video.stream.time_base or 0)
    _check_duration(times, video.stream, limits)
    return PacketIndex(
        times=times,
        decode_times=np.array(rows.decode_times, dtype=np.int64),
        is_keyframe=np.array(rows.is_keyframe),
        is_shown=np.array(rows.is_shown),
        turns=np.array(rows.turns, dtype=np.int64),
        first_packet=rows.first_packet,
        is_countable=not rows.has_damage and _is_countable(times, video.stream),
        problem=rows.problem or find_missing_part(video, num_packets=len(times), end_seconds=rows.end * time_base),
    )


def packet_identity(packet: VideoPacket) -> tuple[int | None, int | None, int]:
    """Identify a packet across two passes over the same file."""
    return packet.pts, packet.dts, packet.size


def shows_a_frame(packet: bytes | memoryview, *, codec: str) -> bool:
    """Tell from a packet's bytes whether a frame is presented, or only kept for others to lean on.

    Reads the show_frame bit of VP8 (RFC 6386, section 9.1) and VP9 (bitstream specification, section 6.2). A VP9 packet
    that ends with a superframe marker holds hidden frames and the shown one that they serve.
    """
    if codec not in ("vp8", "vp9"):
        return True
    first = packet[0]
    if codec == "vp8":
        return bool(first & 0x10)
    if packet[-1] & 0xE0 == 0xC0:
        return True
    shift = 0 if first & 0x30 == 0x30 else 1
    show_existing_frame, show_frame = first >> (2 + shift) & 1, first >> shift & 1
    return bool(show_existing_frame or show_frame)


@dataclass
class _Rows:
    """What the pass has gathered so far."""

    orientation_messages: OrientationMessages | None
    times: list[int] = field(default_factory=list)
    decode_times: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    is_keyframe: list[bool] = field(default_factory=list)
    is_shown: list[bool] = field(default_factory=list)
    first_packet: tuple[int | None, int | None, int] = (None, None, 0)
    end: int = 0
    has_damage: bool = False
    problem: str | None = None

    def add(self, packet: VideoPacket, codec: str) -> None:
        """Append one packet."""
        if not self.times:
            self.first_packet = packet_identity(packet)
        messages = self.orientation_messages
        if messages is not None and packet.is_keyframe and messages.are_in(memoryview(packet)):
            self.turns.append(len(self.times))
        self.times.append(NO_TIME if packet.pts is None else packet.pts)
        self.decode_times.append(NO_TIME if packet.dts is None else packet.dts)
        self.end = max(self.end, (packet.pts or 0) + (packet.duration or 0))
        self.is_keyframe.append(packet.is_keyframe)
        self.is_shown.append(not packet.is_discard and shows_a_frame(memoryview(packet), codec=codec))
        if packet.is_corrupt:
            self.has_damage = True
            self.problem = f"the file is damaged or cut off after {len(self.times) - 1} frames"


def _read_packets(video: OpenVideo, rows: _Rows) -> Iterator[VideoPacket]:
    """Yield packets until the end of the stream or of what is readable."""
    try:
        yield from video.read_packets()
    except av.FFmpegError as error:
        rows.has_damage = True
        rows.problem = f"the container is damaged after {len(rows.times)} frames ({error.strerror})"


def _is_countable(times: Int64[np.ndarray, " packets"], stream: VideoStream) -> bool:
    """Tell whether packets and their time stamps speak for frames.

    Stamps that rise in decoding order although the codec reorders its frames are no presentation times: AVI, and
    Matroska files made from it, have none to give.
    """
    is_ordered = len(times) > 1 and bool((np.diff(times) > 0).all())
    return codec_name(stream) in COUNTABLE_CODECS and not (is_ordered and stream.codec_context.has_b_frames)


def _check_duration(times: Int64[np.ndarray, " packets"], stream: VideoStream, limits: DecodeLimits) -> None:
    latest = int(times.max())
    earliest = int(times[times != NO_TIME].min(initial=latest))
    seconds = float((latest - earliest) * (stream.time_base or 0))
    if seconds > limits.max_duration_seconds:
        raise VideoTooLargeError(
            f"the video lasts {seconds:.1f} seconds; at most {limits.max_duration_seconds:g} are accepted; "
            "send a shorter video"
        )
