"""Opening untrusted video files: which containers and codecs are accepted, the limits, and the choice of stream.

Every option that keeps a hostile file harmless is set here. Packets are read in ``packets``, decoded in ``decode``.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from service.contract.errors import UndecodableVideoError, UnsupportedVideoError, VideoTooLargeError


@runtime_checkable
class SeekableBytes(Protocol):
    """An open binary file, whatever it is made of."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset."""

    def tell(self) -> int:
        """Answer the offset."""


VideoSource = Path | SeekableBytes | bytes
if TYPE_CHECKING:
    VideoPacket = Packet[VideoStream]
else:  # generic in PyAV's stubs alone
    VideoPacket = Packet

# FFmpeg's demuxer names. Playlists, descriptions and scripts (hls, concat, sdp, dash) open other files or sockets.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,gif,ogg"
# FFmpeg's decoder names; libdav1d is the one for AV1.
CODECS = (
    "h264",
    "hevc",
    "vp8",
    "vp9",
    "libdav1d",
    "av1",
    "mpeg4",
    "mpeg1video",
    "mpeg2video",
    "mjpeg",
    "gif",
    "flv",
    "h263",
    "prores",
    "theora",
)
ACCEPTED_CODECS = tuple(name for name in CODECS if name != "libdav1d")
IO_BUFFER_BYTES = 256 * 1024
# FFmpeg's automatic choice lets the default flag outweigh five million pixels.
DEFAULT_FLAG_PIXELS = 5_000_000


@dataclass(frozen=True)
class DecodeLimits:
    """What one video may cost; each limit is checked before the cost is paid.

    ``max_pixels`` holds for the stored and for the displayed picture, ``max_frames`` for the packets in the file and
    ``max_decoded_frames`` for the frames that must be decoded to reach the chosen ones.
    """

    max_pixels: int = 4096 * 2304
    max_duration_seconds: float = 3600.0
    max_frames: int = 250_000
    max_decoded_frames: int = 60_000
    max_streams: int = 16


@dataclass(frozen=True)
class OpenVideo:
    """An open container and its chosen video stream, ready to be demuxed and decoded."""

    container: InputContainer
    stream: VideoStream

    def read_packets(self) -> Iterator[VideoPacket]:
        """Demux the stream's packets from where the container stands.

        Raises:
            av.FFmpegError: the container cannot be read further.
        """
        # PyAV 18.1 stumbles, after the last packet, over a stream that first appeared midway.
        with suppress(IndexError):
            # It also adds an empty packet at the end.
            yield from (packet for packet in self.container.demux(self.stream) if packet.size)


@contextmanager
def open_video(source: VideoSource, *, limits: DecodeLimits) -> Iterator[OpenVideo]:
    """Open a container and choose its video stream.

    The file is always read through this process's own file object: the demuxer never learns a name or a path.

    Raises:
        UnsupportedVideoError: the bytes are no accepted container, or the stream has no accepted codec.
        UndecodableVideoError: the container holds no video stream.
        VideoTooLargeError: the picture has more pixels than allowed.
    """
    with _open_bytes(source) as file, _open_container(file, limits) as container:
        stream = _choose_stream(container)
        _check_stream(stream, limits)
        for other in container.streams:
            other.discard = Discard.default if other is stream else Discard.all
        stream.codec_context.thread_count = 1
        # The options given at opening guard only the probe; these guard the decoding.
        stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
        yield OpenVideo(container=container, stream=stream)


class _Nameless:
    """A file object without a name, because FFmpeg would choose demuxers by its suffix."""

    def __init__(self, file: SeekableBytes) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


@contextmanager
def _open_bytes(source: VideoSource) -> Iterator[SeekableBytes]:
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    elif isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        source.seek(0)
        yield source


@contextmanager
def _open_container(file: SeekableBytes, limits: DecodeLimits) -> Iterator[InputContainer]:
    if not file.read(1):
        raise UnsupportedVideoError("the file is empty; send a video")
    file.seek(0)
    # `options` reach the demuxer and the probing decoders, so that a bomb is refused before any picture is allocated.
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "pipe",
        "codec_whitelist": ",".join(CODECS),
        "max_pixels": str(limits.max_pixels),
        "max_streams": str(limits.max_streams),
    }
    try:
        container = av.open(
            _Nameless(file), "r", options=options, metadata_errors="replace", buffer_size=IO_BUFFER_BYTES
        )
    except MemoryError as error:
        raise UndecodableVideoError(
            f"the container's tables need more memory than allowed, or hold more than {limits.max_streams} streams; "
            "send a plain video file"
        ) from error
    except av.FFmpegError as error:
        raise UnsupportedVideoError(
            f"the bytes are not a readable video ({_reason(error)}); accepted containers: {FORMATS.replace(',', ', ')}"
        ) from error
    with container:
        yield container


def _choose_stream(container: InputContainer) -> VideoStream:
    """Choose as FFmpeg does: the most pixels, the default flag counting as many; never a cover picture."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not streams:
        kinds = [stream.type.replace("video", "cover picture") for stream in container.streams]
        raise UndecodableVideoError(
            f"the file has no video stream (its streams: {', '.join(kinds) or 'none'}); send a video"
        )
    return max(streams, key=_score)


def _score(stream: VideoStream) -> int:
    is_default = bool(stream.disposition & Disposition.default)
    return _num_pixels(stream) + DEFAULT_FLAG_PIXELS * is_default


def _check_stream(stream: VideoStream, limits: DecodeLimits) -> None:
    codec = codec_name(stream)
    if stream.codec_context is None or stream.codec_context.codec.name not in CODECS:
        raise UnsupportedVideoError(f"the video codec is {codec}; accepted codecs: {', '.join(ACCEPTED_CODECS)}")
    if _num_pixels(stream) > limits.max_pixels:
        raise VideoTooLargeError(
            f"the picture has {stream.width}x{stream.height} = {_num_pixels(stream)} pixels; "
            f"at most {limits.max_pixels} are accepted; send a smaller picture"
        )


def codec_name(stream: VideoStream) -> str:
    """Name the codec as the standard does (``av1``), not the library that decodes it (``libdav1d``)."""
    return str(stream.codec_context.codec.canonical_name) if stream.codec_context else "unknown"


def _num_pixels(stream: VideoStream) -> int:
    return int(stream.width * stream.height) if stream.codec_context else 0


def _reason(error: av.FFmpegError) -> str:
    """Say what FFmpeg found; it answers EINVAL for a demuxer that is not on the list."""
    reasons = {
        av.error.ArgumentError: "they are another kind of file",
        av.error.EOFError: "they end inside the header",
        av.error.InvalidDataError: "no container is recognised, or its header is damaged",
    }
    return reasons.get(type(error), str(error))
