"""Rendered clips of known label, written in every format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from tests.formats.table import CONTAINER_OPTIONS, CONTAINERS, Coding
from tests.hdr import BT2020_MATRIX, BT2020_PRIMARIES, LIMITED, TRANSFER_NUMBERS, encode_hdr, make_hdr_frame
from training.data.motion_shapes import ActionLabel, draw_scene, motion_shapes_labels, render_frames

Frames = UInt8[np.ndarray, "N H W 3"]

# A size that H.263 has, and a rate that MPEG-1 has.
WIDTH, HEIGHT, FRAME_RATE, NUM_FRAMES = 176, 144, 25, 25
CLIP_SEED = 20_261_128
_NUM_BITS, _EDGE = 5, 12


@dataclass(frozen=True)
class Clip:
    """A rendered clip, numbered at its left edge, and its label."""

    label: ActionLabel
    frames: Frames


class UnwritableError(Exception):
    """This FFmpeg has no such encoder, or its container does not take the codec."""


def render_clips(num_clips: int) -> list[Clip]:
    """Render clips of compositions that the demo bundle was trained on, spread over the actions and shapes."""
    labels: Sequence[ActionLabel] = [label for label in motion_shapes_labels() if not label.is_novel]
    chosen = [labels[number * len(labels) // num_clips] for number in range(num_clips)]
    clips = []
    for number, label in enumerate(chosen):
        scene = draw_scene(label, rng=np.random.default_rng((CLIP_SEED, number)))
        frames = render_frames(scene, num_frames=NUM_FRAMES, width=WIDTH, height=HEIGHT)
        for index, frame in enumerate(frames):
            _draw_edge_number(frame, index)
        clips.append(Clip(label, frames))
    return clips


def _draw_edge_number(frame: UInt8[np.ndarray, "H W 3"], number: int) -> None:
    """Draw a number's bits, black and white, beside the square in the middle, of which models are shown no more."""
    for bit in range(_NUM_BITS):
        frame[bit * HEIGHT // _NUM_BITS : (bit + 1) * HEIGHT // _NUM_BITS, :_EDGE] = 255 * (number >> bit & 1)


def read_edge_number(frame: UInt8[np.ndarray, "H W 3"]) -> int:
    """Read the number at a picture's edge; at that of another size -1."""
    if frame.shape[0] != HEIGHT:
        return -1
    rows = [(2 * bit + 1) * HEIGHT // (2 * _NUM_BITS) for bit in range(_NUM_BITS)]
    return sum(1 << bit for bit, row in enumerate(rows) if frame[row, _EDGE // 2].mean() > 127)


def transcode(frames: Frames, *, path: Path, container: str, coding: Coding) -> Path:
    """Write a clip.

    Raises:
        UnwritableError: this FFmpeg cannot.
    """
    options = CONTAINER_OPTIONS.get(container, {})
    try:
        with av.open(str(path), "w", format=CONTAINERS[container], options=options) as output:
            stream = _add_stream(output, coding)
            for frame in frames:
                output.mux(stream.encode(_make_frame(frame, coding)))
            output.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as error:
        raise UnwritableError(str(error)) from error
    if not _can_be_read(path, coding):
        raise UnwritableError(f"FFmpeg does not find its own {coding.encoder} in {container} again")
    return path


def _can_be_read(path: Path, coding: Coding) -> bool:
    """Whether FFmpeg finds the pictures again: into some containers it writes codecs that they cannot name."""
    codec = av.Codec(coding.encoder, "w").canonical_name
    with av.open(str(path)) as container:
        found = [
            stream.codec_context.codec.canonical_name for stream in container.streams.video if stream.codec_context
        ]
        return found == [codec] and sum(1 for _ in container.decode(video=0)) == NUM_FRAMES


def _add_stream(output: av.container.OutputContainer, coding: Coding) -> av.VideoStream:
    options = {**coding.options, "strict": "experimental"}
    stream = output.add_stream(coding.encoder, rate=FRAME_RATE, options=options)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, coding.pixel_format
    stream.codec_context.thread_count = 1
    if "qscale" in coding.options:
        stream.codec_context.qscale = True
        stream.codec_context.global_quality = 118 * int(coding.options["qscale"])
    if coding.transfer is not None:
        stream.codec_context.colorspace = BT2020_MATRIX
        stream.codec_context.color_primaries = BT2020_PRIMARIES
        stream.codec_context.color_trc = TRANSFER_NUMBERS[coding.transfer]
        stream.codec_context.color_range = LIMITED
    return stream


def _make_frame(picture: UInt8[np.ndarray, "H W 3"], coding: Coding) -> av.VideoFrame:
    if coding.transfer is not None:
        return make_hdr_frame(encode_hdr(picture, transfer=coding.transfer), transfer=coding.transfer)
    wide = np.pad(picture, ((0, 0), ((coding.width - WIDTH) // 2,) * 2, (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(wide, format="rgb24")
    return frame.reformat(width=WIDTH, height=HEIGHT, format=coding.pixel_format, interpolation="BICUBIC")
