"""The MotionShapes folder: which videos exist, and rendering them with several processes.

Layout of the folder: `labels.csv` (id, en, zh), `annotations.csv` (video, label_id, split; `video` is relative to the
folder), `data.json` (name, version, seed, counts), and `videos/<split>/`.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.progress import track

from training.data.motion_shapes.render import VideoFormat, render_video
from training.data.motion_shapes.scene import Scene, draw_scene
from training.data.motion_shapes.vocabulary import ActionLabel, motion_shapes_labels
from training.files.texts import render_json, write_rows, write_text

VERSION = 1
SPLITS = ("train", "val", "test", "novel")


@dataclass(frozen=True, kw_only=True)
class SplitSizes:
    """Count the videos of each label: base labels in train, val and test; held-out compositions in novel."""

    train: int = 60
    val: int = 4
    test: int = 10
    novel: int = 20


@dataclass(frozen=True)
class _Video:
    """Name one video to render; `key` seeds its scene."""

    path: str
    split: str
    label: ActionLabel
    key: tuple[int, ...]

    def scene(self) -> Scene:
        """Draw the scene, the same for the same key."""
        return draw_scene(self.label, rng=np.random.default_rng(self.key))


def render_motion_shapes(
    out: Path, *, seed: int, sizes: SplitSizes, video_format: VideoFormat, num_workers: int
) -> None:
    """Render the data set into a folder with `num_workers` processes.

    The same seed gives the same scenes, whatever the number of workers. `annotations.csv` is written last.
    """
    videos = list(_list_videos(seed, sizes=sizes))
    for split in SPLITS:
        (out / "videos" / split).mkdir(parents=True, exist_ok=True)
    render = partial(_render, out=out, video_format=video_format)
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        for _ in track(pool.map(render, videos, chunksize=16), total=len(videos), description="rendering videos"):
            pass
    labels = motion_shapes_labels()
    texts = [(str(each.label_id), each.en, each.zh) for each in labels]
    write_rows(out / "labels.csv", rows=[("id", "en", "zh"), *texts])
    counts = {split: sum(video.split == split for video in videos) for split in SPLITS}
    description = {
        "name": "MotionShapes",
        "version": VERSION,
        "seed": seed,
        "num_labels": len(labels),
        "num_videos": counts,
        "video_format": asdict(video_format),
    }
    write_text(out / "data.json", text=render_json(description))
    rows = [(video.path, str(video.label.label_id), video.split) for video in videos]
    write_rows(out / "annotations.csv", rows=[("video", "label_id", "split"), *rows])


def _list_videos(seed: int, *, sizes: SplitSizes) -> Iterator[_Video]:
    """List all videos of all splits."""
    for split_index, split in enumerate(SPLITS):
        for label in motion_shapes_labels():
            if label.is_novel != (split == "novel"):
                continue
            for index in range(getattr(sizes, split)):
                path = f"videos/{split}/{label.label_id:03d}_{index:04d}.mp4"
                yield _Video(path, split, label, (seed, split_index, label.label_id, index))


def _render(video: _Video, *, out: Path, video_format: VideoFormat) -> None:
    """Render one video of the list."""
    render_video(video.scene(), path=out / video.path, video_format=video_format)
