"""Opening untrusted video files: which containers and codecs are accepted, and the limits.

Every option that keeps a hostile file harmless is set here. The stream is chosen in ``streams``; packets are read in
``packets``, decoded in ``decode``.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from service.contract.byte_source import FirstBytes
from service.contract.byte_source import SeekableBytes as SeekableBytes
from service.contract.errors import UndecodableVideoError, UnsupportedVideoError, VideoTooLargeError
from service.contract.headers import read_header
from service.contract.pictures import Crop
from service.contract.signatures import SIGNATURE_BYTES, name_content
from service.contract.streams import choose_stream, list_streams, num_pixels
from service.contract.tracks import ContainerHeader, VideoTrack

VideoSource = Path | SeekableBytes | bytes
if TYPE_CHECKING:
    VideoPacket = Packet[VideoStream]
else:  # generic in PyAV's stubs alone
    VideoPacket = Packet

# FFmpeg's demuxer names. Playlists, descriptions and scripts (hls, concat, sdp, dash) open other files or sockets.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,gif,ogg,asf"
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
    """An open container and its chosen video stream, ready to be demuxed and decoded.

    ``header`` and ``track`` are what the container's own bytes say of it and of the stream.
    """

    container: InputContainer
    stream: VideoStream
    header: ContainerHeader
    track: VideoTrack

    @property
    def crop(self) -> Crop:
        """The edges of the stored pictures that are not shown."""
        is_sound = self.track.crop.fits(width=self.stream.width, height=self.stream.height)
        return self.track.crop if is_sound else Crop()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What had to be assumed of the container."""
        if self.crop == self.track.crop:
            return ()
        size = f"{self.stream.width}x{self.stream.height}"
        return (f"the container's crop does not fit its {size} pictures ({self.track.crop}); they are shown whole",)

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
        UndecodableVideoError: the container holds no video stream, or an encrypted one.
        VideoTooLargeError: the picture has more pixels than allowed.
    """
    with _open_bytes(source) as file:
        header = read_header(file)
        if header.is_picture:
            raise UnsupportedVideoError(_name_content(file) or "the file holds a picture; send a video")
        if header.num_usable_bytes is not None:
            file = FirstBytes(file, header.num_usable_bytes)
        with _open_container(file, limits) as container:
            yield _prepare(container, header, limits)


def _prepare(container: InputContainer, header: ContainerHeader, limits: DecodeLimits) -> OpenVideo:
    """Choose the stream, and set what guards its decoding."""
    streams = list_streams(container)
    stream = choose_stream(container, streams)
    # FFmpeg makes a stream of each track, in their order.
    tracks = dict(zip([each.index for each in streams], header.video_tracks, strict=False))
    track = tracks.get(stream.index, VideoTrack())
    _check_stream(stream, track, limits)
    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all
    stream.codec_context.thread_count = 1
    # The options given at opening guard only the probe; these guard the decoding.
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
    return OpenVideo(container, stream, header, track)


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
    file.seek(0)
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
            _name_content(file)
            or f"the bytes are not a readable video ({_reason(error)}); accepted containers: "
            f"{FORMATS.replace(',', ', ')}"
        ) from error
    with container:
        yield container


def _name_content(file: SeekableBytes) -> str | None:
    file.seek(0)
    return name_content(file.read(SIGNATURE_BYTES))


def _check_stream(stream: VideoStream, track: VideoTrack, limits: DecodeLimits) -> None:
    codec = codec_name(stream)
    if stream.codec_context is None or stream.codec_context.codec.name not in CODECS:
        raise UnsupportedVideoError(f"the video codec is {codec}; accepted codecs: {', '.join(ACCEPTED_CODECS)}")
    if track.is_encrypted:
        raise UndecodableVideoError(
            f"the {codec} stream is encrypted (DRM), so that its pictures cannot be decoded; send a video without "
            "protection"
        )
    if num_pixels(stream) > limits.max_pixels:
        raise VideoTooLargeError(
            f"the picture has {stream.width}x{stream.height} = {num_pixels(stream)} pixels; "
            f"at most {limits.max_pixels} are accepted; send a smaller picture"
        )


def codec_name(stream: VideoStream) -> str:
    """Name the codec as the standard does (``av1``), not the library that decodes it (``libdav1d``)."""
    return str(stream.codec_context.codec.canonical_name) if stream.codec_context else "unknown"


def _reason(error: av.FFmpegError) -> str:
    """Say what FFmpeg found; it answers EINVAL for a demuxer that is not on the list."""
    reasons = {
        av.error.ArgumentError: "they are another kind of file",
        av.error.EOFError: "they end inside the header",
        av.error.InvalidDataError: "no container is recognised, or its header is damaged",
    }
    return reasons.get(type(error), str(error))
