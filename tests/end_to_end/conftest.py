"""One service on the demo bundle for the whole folder, and freshly rendered clips to ask it about."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.end_to_end.server import DEMO, run_server
from tests.material import VIDEOS, require_material
from training.data.motion_shapes import ActionLabel, VideoFormat, draw_scene, motion_shapes_labels, render_video

# None of the demo's own seeds: these clips were never seen by training.
CLIP_SEED = 20_261_120


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with run_server(DEMO, log=tmp_path_factory.mktemp("demo") / "log") as client:
        yield client


@pytest.fixture(scope="session")
def trained_clips(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[ActionLabel, Path]]:
    """Two fresh clips of every fifth composition that training saw."""
    folder = tmp_path_factory.mktemp("clips")
    labels = [label for label in motion_shapes_labels() if not label.is_novel][::5]
    rng = np.random.default_rng(CLIP_SEED)
    clips = []
    for number, label in enumerate(labels * 2):
        path = folder / f"{number}.mp4"
        render_video(draw_scene(label, rng=rng), path=path, video_format=VideoFormat())
        clips.append((label, path))
    return clips


@pytest.fixture(scope="session")
def clear_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[ActionLabel, Path]:
    """A clip of a composition that the demo bundle knows well."""
    (label,) = (label for label in motion_shapes_labels() if label.en == "square growing")
    path = tmp_path_factory.mktemp("clear") / "clip.mp4"
    render_video(draw_scene(label, rng=np.random.default_rng(CLIP_SEED)), path=path, video_format=VideoFormat())
    return label, path


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds at 320x240."""
    path = tmp_path_factory.mktemp("long") / "clip.mp4"
    scene = draw_scene(motion_shapes_labels()[0], rng=np.random.default_rng(CLIP_SEED))
    render_video(scene, path=path, video_format=VideoFormat(width=320, height=240, num_frames=250, frame_rate=25))
    return path


@pytest.fixture(scope="session")
def real_videos() -> Path:
    require_material()
    return VIDEOS
