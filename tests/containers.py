"""Clips in forms that ordinary writers do not make: other bytes around the frames that ``tests.videos`` draws."""

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

import av

from tests.videos import Encoding, add_video_stream, stored_frame, write_numbered_video

# A TIFF directory of one entry: the maker of the camera.
_TIFF = struct.pack("<2sHIHHHI4sI", b"II", 42, 8, 1, 0x010F, 2, 4, b"Cam", 0)
# An EXIF segment of a JPEG: its marker, its length and the directory.
EXIF = struct.pack(">HH6s", 0xFFE1, 8 + len(_TIFF), b"Exif\0\0") + _TIFF
_VISUAL_ENTRY_BYTES = 86
_SAMPLE_DESCRIPTION_BYTES = 16


def remux(source: Path, target: Path, *, change: Callable[[int, bytes], bytes] = lambda _, content: content) -> Path:
    """Copy the packets of a video into another container, each perhaps changed."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        if target.suffix == ".avi":
            # As FFmpeg's command copies: in ticks of half a frame, so that every second entry of the index is empty.
            stream.codec_context.codec_tag = "avc1" if given.streams.video[0].codec_context.name == "h264" else "MJPG"
            stream.time_base = 1 / (2 * (stream.average_rate or Fraction(25)))
        for number, packet in enumerate(packet for packet in given.demux(video=0) if packet.size):
            copy = av.Packet(change(number, bytes(packet)))
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.duration, copy.is_keyframe, copy.stream = packet.duration, packet.is_keyframe, stream
            made.mux(copy)
    return target


def write_exif_timelapse(path: Path, *, num_frames: int) -> Path:
    """Write the JPEGs of a camera, EXIF included, as an AVI."""
    encoding = Encoding("mjpeg", pixel_format="yuvj420p")
    plain = write_numbered_video(path.with_name("plain.avi"), num_frames=num_frames, encoding=encoding)
    return remux(plain, path, change=lambda _, content: content[:2] + EXIF + content[2:])


class Pipe:
    """Where bytes can be written and nothing can be sought."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


def write_to_pipe(path: Path, *, num_frames: int, encoding: Encoding, container_format: str) -> Path:
    """Write a clip as through a pipe: what a writer would fill in at the end stays as it was at the start."""
    with path.open("wb") as file, av.open(Pipe(file), "w", format=container_format) as container:
        stream = add_video_stream(container, encoding)
        for number in range(num_frames):
            container.mux(stream.encode(stored_frame(number, encoding)))
        container.mux(stream.encode(None))
    return path


def turn_by_message(source: Path, target: Path, *, degrees: int) -> Path:
    """Add a display orientation message to the first frame of an H.264 MP4 alone: the player turns all clockwise.

    The message holds three flags, the turn to the left in units of 2^-16, a period and the end (ITU-T H.264, D.1.27).
    """
    turn = -degrees % 360 * 2**16 // 360
    bits = f"000{turn:016b}01001"
    unit = bytes([6, 47, 3]) + int(bits, 2).to_bytes(3, "big") + b"\x80"
    message = struct.pack(">I", len(unit)) + unit
    return remux(source, target, change=lambda number, content: content if number else message + content)


PIXEL_CROP_LEFT, PIXEL_CROP_TOP, PIXEL_CROP_RIGHT = b"\x54\xcc", b"\x54\xbb", b"\x54\xdd"
DISPLAY_WIDTH, DISPLAY_HEIGHT = b"\x54\xb0", b"\x54\xba"


def crop_matroska(content: bytes, settings: dict[bytes, int]) -> bytes:
    """Add settings to the pictures of a Matroska file of FFmpeg; the element grows into the room that follows it."""
    start = content.index(b"\xe0\x8a\xb0")
    room = content[start:].index(b"\xec\x01") + 11
    added = b"".join(identifier + b"\x81" + bytes([value]) for identifier, value in settings.items())
    video = content[start + 2 : start + 8] + added
    element = b"\xe0" + bytes([0x80 | len(video)]) + video
    void = room - len(element) - 2
    return content[:start] + element + b"\xec" + bytes([0x80 | void]) + bytes(void) + content[start + room :]


def crop_mp4(content: bytes, *, width: Fraction, height: Fraction, across: Fraction, down: Fraction) -> bytes:
    """Add a clean aperture to an MP4 whose list of tracks comes last."""
    numbers = [number for value in (width, height, across, down) for number in value.as_integer_ratio()]
    box = struct.pack(">I4sIIIIiIiI", 40, b"clap", *numbers)
    changed = bytearray(content)
    place = content.index(b"stsd") - 4
    end = place + _SAMPLE_DESCRIPTION_BYTES + _VISUAL_ENTRY_BYTES
    for start in (*_box_starts(content, before=place), place, place + _SAMPLE_DESCRIPTION_BYTES):
        (size,) = struct.unpack_from(">I", changed, start)
        struct.pack_into(">I", changed, start, size + len(box))
    changed[end:end] = box
    return bytes(changed)


def _box_starts(content: bytes, *, before: int) -> Iterator[int]:
    """Yield where the boxes around the sample description start."""
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        yield content.rindex(kind, 0, before) - 4
