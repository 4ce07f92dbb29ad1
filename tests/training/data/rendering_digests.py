"""A program that prints a digest of everything rendered; with ``portable``, FFmpeg runs its portable code."""

import json
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np

from tests.cpu_classes import forget_instructions_of_ffmpeg
from training.data.motion_shapes import VideoFormat, draw_scene, motion_shapes_labels, render_frames, render_video
from training.demo.stills import draw_stills

SIZE = 96
NUM_FRAMES = 6


def render_digests(folder: Path) -> dict[str, str]:
    """Render a clip of every other label, and stills; return digests of pixels and of files."""
    scenes = [draw_scene(label, rng=np.random.default_rng(label.label_id)) for label in motion_shapes_labels()[::2]]
    frames = [render_frames(scene, num_frames=NUM_FRAMES, width=SIZE, height=SIZE) for scene in scenes]
    stills = draw_stills(200, seed=0, size_pixels=48, num_workers=1)
    for number, scene in enumerate(scenes):
        video_format = VideoFormat(width=SIZE, height=SIZE, num_frames=NUM_FRAMES)
        render_video(scene, path=folder / f"{number:02d}.mp4", video_format=video_format)
    return {
        "frames": _digest(*(clip.tobytes() for clip in frames)),
        "stills": _digest(*(still.pixels.tobytes() for still in stills)),
        "videos": _digest(*(path.read_bytes() for path in sorted(folder.glob("*.mp4")))),
    }


def _digest(*contents: bytes) -> str:
    return sha256(b"".join(contents)).hexdigest()[:16]


if __name__ == "__main__":
    if "portable" in sys.argv[1:]:
        forget_instructions_of_ffmpeg()
    with tempfile.TemporaryDirectory() as directory:
        sys.stdout.write(json.dumps(render_digests(Path(directory))) + "\n")
