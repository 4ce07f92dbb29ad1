"""Clips made at test time whose pixels spell the frame number, so that order, seeking and repetition can be read back.

A picture is a 4 x 4 grid of cells. The corners are red, green, blue and white, so that turning and mirroring show; the
other twelve cells are the bits of the number, black or white, large enough to survive every lossy codec.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from jaxtyping import UInt8

from service.contract.manifest import Preprocessing

NUM_CELLS = 4
CORNERS = {(0, 0): (255, 0, 0), (0, 3): (0, 255, 0), (3, 0): (0, 0, 255), (3, 3): (255, 255, 255)}
BITS = [(row, column) for row in range(NUM_CELLS) for column in range(NUM_CELLS) if (row, column) not in CORNERS]
MILLISECONDS = Fraction(1, 1000)
# Keeps the whole picture, in which the number can be read.
PREPROCESSING = Preprocessing(
    input_size=64,
    resize_rule="exact",
    resize_size=(64, 64),
    interpolation="bicubic",
    crop_rule="centre",
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)


@dataclass(frozen=True)
class Encoding:
    """How a clip is stored; ``size`` is the displayed (width, height); the player turns it clockwise.

    Some encoders write other bytes with another number of threads; by default the machine decides on it.
    """

    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    pixel_format: str = "yuv420p"
    size: tuple[int, int] = (96, 96)
    frame_rate: int = 25
    turn_degrees: int = 0
    mirrored: bool = False
    sample_aspect_ratio: Fraction | None = None
    num_threads: int = 0


def draw_number(number: int, *, size: tuple[int, int] = (96, 96)) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the picture of a frame number below 4096; ``size`` is (width, height)."""
    cells = np.zeros((NUM_CELLS, NUM_CELLS, 3), np.uint8)
    for cell, colour in CORNERS.items():
        cells[cell] = colour
    for bit, cell in enumerate(BITS):
        cells[cell] = 255 * (number >> bit & 1)
    rows = np.arange(size[1]) * NUM_CELLS // size[1]
    columns = np.arange(size[0]) * NUM_CELLS // size[0]
    return cells[rows][:, columns]


def read_number(frame: UInt8[np.ndarray, "H W 3"]) -> int:
    """Read the frame number; -1 where the corners say that the picture is turned or mirrored."""
    height, width, _ = frame.shape
    centres = [(2 * i + 1) / (2 * NUM_CELLS) for i in range(NUM_CELLS)]
    rows = [int(height * centre) for centre in centres]
    columns = [int(width * centre) for centre in centres]
    cells = frame[rows][:, columns] > 127
    if any(tuple(cells[cell]) != tuple(np.array(colour) > 127) for cell, colour in CORNERS.items()):
        return -1
    return sum(1 << bit for bit, cell in enumerate(BITS) if cells[cell].sum() >= 2)


def as_another_file(mp4: bytes, *, mark: object) -> bytes:
    """Make another file of the same video: what follows the last box of an MP4 is not read."""
    return mp4 + f"free{mark}".encode()


def write_numbered_video(
    path: Path,
    *,
    num_frames: int,
    encoding: Encoding | None = None,
    times_ms: Sequence[int] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write frames 0 .. num_frames - 1; the suffix names the container, ``times_ms`` makes the frame rate variable."""
    encoding = encoding or Encoding()
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = add_video_stream(container, encoding, time_base=MILLISECONDS if times_ms else None)
        container.start_encoding()
        for number in range(num_frames):
            frame = stored_frame(number, encoding)
            if times_ms:
                frame.pts, frame.time_base = times_ms[number], MILLISECONDS
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def add_video_stream(
    container: av.container.OutputContainer, encoding: Encoding, *, time_base: Fraction | None = None
) -> av.VideoStream:
    """Add a stream that stores frames as ``encoding`` says."""
    stream = container.add_stream(encoding.codec, rate=encoding.frame_rate, options=encoding.options)
    assert isinstance(stream, av.VideoStream)
    turned = encoding.turn_degrees % 180 == 90
    stream.width, stream.height = encoding.size[::-1] if turned else encoding.size
    stream.pix_fmt = encoding.pixel_format
    # Threads of libvpx wait for each other by computing, on a machine without idle cores for minutes.
    num_threads = 1 if encoding.codec.startswith("libvpx") else encoding.num_threads
    stream.codec_context.thread_count = num_threads
    if time_base:
        stream.codec_context.time_base = time_base
    if encoding.sample_aspect_ratio:
        stream.codec_context.sample_aspect_ratio = encoding.sample_aspect_ratio
    if encoding.turn_degrees or encoding.mirrored:
        stream.set_display_rotation(-encoding.turn_degrees, hflip=encoding.mirrored)
    return stream


def stored_frame(number: int, encoding: Encoding) -> av.VideoFrame:
    """Turn the picture back so that the player's turn brings it upright."""
    picture = draw_number(number, size=encoding.size)
    if encoding.mirrored:
        picture = picture[:, ::-1]
    picture = np.rot90(picture, encoding.turn_degrees // 90)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(format=encoding.pixel_format)


def write_two_videos(
    path: Path, *, num_frames: int, sizes: tuple[tuple[int, int], tuple[int, int]], default: int | None = None
) -> Path:
    """Write two video streams, of which the second counts from 1000; ``default`` carries the default flag."""
    encodings = [Encoding(size=size) for size in sizes]
    with av.open(str(path), "w") as container:
        streams = [add_video_stream(container, encoding) for encoding in encodings]
        for position, stream in enumerate(streams):
            stream.disposition = Disposition.default if position == default else Disposition(0)
        for number in range(num_frames):
            for first, stream, encoding in zip((0, 1000), streams, encodings, strict=True):
                container.mux(stream.encode(stored_frame(first + number, encoding)))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def write_audio(path: Path, *, cover: bool = False) -> Path:
    """Write a second of silence in AAC; with ``cover``, a JPEG picture is attached as the album cover (MP4)."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=16000)
        picture = add_video_stream(container, Encoding(codec="mjpeg", pixel_format="yuvj420p")) if cover else None
        if picture:
            picture.disposition = Disposition.attached_pic
        for _ in range(16):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
        if picture:
            container.mux(picture.encode(stored_frame(0, Encoding(pixel_format="yuvj420p"))))
            container.mux(picture.encode(None))
    return path


def cut(path: Path, *, fraction: float) -> Path:
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return path
