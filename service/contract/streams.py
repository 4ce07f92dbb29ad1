"""Which of a container's video streams is the video."""

from collections import Counter
from contextlib import suppress

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from service.contract.errors import UndecodableVideoError

# A track of so few pictures beside one that moves is a still: the photo of a motion photo, a drone's preview.
MAX_STILLS = 2
# FFmpeg's automatic choice lets the default flag outweigh five million pixels.
DEFAULT_FLAG_PIXELS = 5_000_000


def list_streams(container: InputContainer) -> list[VideoStream]:
    """List the video streams but cover pictures.

    Raises:
        UndecodableVideoError: there is none.
    """
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not streams:
        kinds = [stream.type.replace("video", "cover picture") for stream in container.streams]
        raise UndecodableVideoError(
            f"the file has no video stream (its streams: {', '.join(kinds) or 'none'}); send a video"
        )
    return streams


def choose_stream(container: InputContainer, streams: list[VideoStream]) -> VideoStream:
    """Choose as FFmpeg does, the most pixels, the default flag counting as many; but what moves before stills."""
    if len(streams) == 1:
        return streams[0]
    stills = _find_stills(container, streams)
    return max(streams, key=lambda stream: (stream.index not in stills, _score(stream)))


def _find_stills(container: InputContainer, streams: list[VideoStream]) -> set[int]:
    """Find the streams that hold a still or two, by the packets where the container does not count frames."""
    counts = Counter({stream.index: stream.frames for stream in streams})
    if "matroska" in container.format.name:
        with suppress(av.FFmpegError):
            for packet in container.demux(streams):
                counts[packet.stream_index] += bool(packet.size)
                if min(counts.values()) > MAX_STILLS:
                    break
            container.seek(0)
    return {index for index, count in counts.items() if 0 < count <= MAX_STILLS}


def _score(stream: VideoStream) -> int:
    is_default = bool(stream.disposition & Disposition.default)
    return num_pixels(stream) + DEFAULT_FLAG_PIXELS * is_default


def num_pixels(stream: VideoStream) -> int:
    """Count the pixels of a stored picture; none of a stream that has no decoder."""
    return int(stream.width * stream.height) if stream.codec_context else 0
