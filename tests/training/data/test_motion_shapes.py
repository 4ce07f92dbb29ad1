"""MotionShapes: reversal of the pairs, splits, the folder on disk, and what single frames know."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from service.contract.labels import Label, load_builtin_label_sets
from training.data.motion_shapes import (
    ActionLabel,
    SplitSizes,
    VideoFormat,
    draw_scene,
    motion_shapes_labels,
    render_frames,
    render_motion_shapes,
    render_video,
)
from training.data.motion_shapes.vocabulary import ACTIONS, SHAPES

LABELS = motion_shapes_labels()
SMALL = VideoFormat(width=32, height=32, num_frames=4)


def find_label(shape: str, action: str) -> ActionLabel:
    (label,) = (label for label in LABELS if (label.shape.en, label.action.name) == (shape, action))
    return label


def draw_frames(label: ActionLabel, *, seed: int, num_frames: int = 8, size: int = 48) -> np.ndarray:
    scene = draw_scene(label, rng=np.random.default_rng(seed))
    return render_frames(scene, num_frames=num_frames, width=size, height=size)


def read_frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("label", LABELS[::2], ids=lambda label: label.en)
def test_second_action_of_a_pair_is_the_first_played_backwards(label: ActionLabel) -> None:
    backwards = draw_frames(LABELS[label.reversed_id], seed=3)[::-1].astype(int)
    assert np.abs(draw_frames(label, seed=3).astype(int) - backwards).max() <= 1


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.en)
def test_frames_of_a_video_differ_and_reversal_is_mutual(label: ActionLabel) -> None:
    assert LABELS[LABELS[label.reversed_id].reversed_id] == label
    assert np.abs(np.diff(draw_frames(label, seed=1).astype(int), axis=0)).max() > 20


@pytest.mark.parametrize(
    ("shape", "action", "en", "zh"),
    [
        ("circle", "left", "circle moving left", "圆形向左移动"),
        ("moon", "counter-clockwise", "moon turning counter-clockwise", "月牙逆时针旋转"),
        ("cross", "approaching", "two crosses approaching", "两个十字形靠近"),
    ],
)
def test_labels_compose_shape_and_action_in_both_languages(shape: str, action: str, en: str, zh: str) -> None:
    label = find_label(shape, action)
    assert (label.en, label.zh) == (en, zh)


def test_labels_are_distinct_and_numbered_in_order() -> None:
    assert [label.label_id for label in LABELS] == list(range(len(SHAPES) * len(ACTIONS)))
    assert len({label.en for label in LABELS}) == len({label.zh for label in LABELS}) == len(LABELS)


def test_a_quarter_of_the_compositions_is_novel_and_every_shape_and_action_is_trained() -> None:
    base = [label for label in LABELS if not label.is_novel]
    assert len(base) * 4 == len(LABELS) * 3
    assert {label.shape.en for label in base} == {shape.en for shape in SHAPES}
    assert {label.action.name for label in base} == {action.name for action in ACTIONS}
    assert all(label.is_novel == LABELS[label.reversed_id].is_novel for label in LABELS)


def _centres(frames: np.ndarray) -> np.ndarray:
    """Return the mean position (x, y) of the pixels that differ most from the border's median colour."""
    distance = np.abs(frames.astype(float) - np.median(frames, axis=(1, 2), keepdims=True)).sum(-1)
    weight = distance * (distance > 0.5 * distance.max(axis=(1, 2), keepdims=True))
    y, x = np.mgrid[0 : frames.shape[1], 0 : frames.shape[2]]
    return np.stack([(weight * axis).sum((1, 2)) / weight.sum((1, 2)) for axis in (x, y)], axis=1)


@pytest.mark.parametrize(("action", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)])
def test_shape_moves_where_its_label_says(action: str, axis: int, sign: int) -> None:
    for seed in range(5):
        travel = np.diff(_centres(draw_frames(find_label("circle", action), seed=seed)[[0, -1]]), axis=0)[0]
        assert sign * travel[axis] > 10
        assert abs(travel[1 - axis]) < 3


@pytest.mark.parametrize(("action", "grows"), [("growing", True), ("shrinking", False)])
def test_radius_changes_as_the_label_says(action: str, grows: bool) -> None:
    (motion,) = draw_scene(find_label("star", action), rng=np.random.default_rng(0)).motions
    assert (motion.stop.radius > motion.start.radius) is grows


@pytest.mark.parametrize(("action", "sign"), [("clockwise", 1), ("counter-clockwise", -1)])
def test_mark_turns_as_the_label_says_by_less_than_a_full_turn(action: str, sign: int) -> None:
    (motion,) = draw_scene(find_label("star", action), rng=np.random.default_rng(0)).motions
    assert 0.8 * np.pi <= sign * (motion.stop.angle - motion.start.angle) <= 1.7 * np.pi


@pytest.mark.parametrize(("action", "nears"), [("approaching", True), ("separating", False)])
def test_distance_changes_as_the_label_says(action: str, nears: bool) -> None:
    first, second = draw_scene(find_label("ring", action), rng=np.random.default_rng(0)).motions
    before = np.hypot(first.start.x - second.start.x, first.start.y - second.start.y)
    after = np.hypot(first.stop.x - second.stop.x, first.stop.y - second.stop.y)
    assert bool(after < before) is nears


@pytest.mark.parametrize(("action", "appears"), [("appearing", True), ("vanishing", False)])
def test_opacity_changes_as_the_label_says(action: str, appears: bool) -> None:
    (motion,) = draw_scene(find_label("moon", action), rng=np.random.default_rng(0)).motions
    assert (motion.stop.opacity > motion.start.opacity) is appears


PROBED = [LABELS[index] for index in range(len(ACTIONS))] * 60


@pytest.fixture(scope="module")
def probed_clips() -> np.ndarray:
    return np.stack([draw_frames(label, seed=seed, num_frames=9, size=24) for seed, label in enumerate(PROBED)])


@pytest.mark.parametrize("position", ["any", "middle"])
def test_linear_probe_on_single_frames_stays_near_chance(probed_clips: np.ndarray, position: str) -> None:
    labels, clips = PROBED, probed_clips
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 9, len(labels)) if position == "any" else np.full(len(labels), 4)
    features = clips[np.arange(len(labels)), chosen].reshape(len(labels), -1) / 255
    second = np.array([label.action.reverses for label in labels])
    correct = []
    for pair in {label.action.pair for label in labels}:
        rows = np.flatnonzero([label.action.pair == pair for label in labels])
        probe = LogisticRegression(C=0.01, max_iter=300).fit(features[rows[:80]], second[rows[:80]])
        correct.append(probe.predict(features[rows[80:]]) == second[rows[80:]])
    assert abs(np.mean(correct) - 0.5) < 0.1


@pytest.mark.parametrize(("width", "height", "num_frames", "frame_rate"), [(320, 240, 50, 25), (96, 96, 24, 12)])
def test_rendered_video_has_the_asked_size_and_shows_the_scene(
    tmp_path: Path, width: int, height: int, num_frames: int, frame_rate: int
) -> None:
    video_format = VideoFormat(width=width, height=height, num_frames=num_frames, frame_rate=frame_rate)
    scene = draw_scene(find_label("heart", "up"), rng=np.random.default_rng(5))
    render_video(scene, path=tmp_path / "clip.mp4", video_format=video_format)
    frames = read_frames(tmp_path / "clip.mp4")
    assert frames.shape == (num_frames, height, width, 3)
    expected = render_frames(scene, num_frames=num_frames, width=width, height=height)
    assert np.abs(frames.astype(int) - expected).mean() < 6
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_folder_lists_every_video_with_its_label_and_split(tmp_path: Path) -> None:
    sizes = SplitSizes(train=1, val=0, test=0, novel=1)
    render_motion_shapes(tmp_path, seed=7, sizes=sizes, video_format=SMALL, num_workers=1)
    with (tmp_path / "annotations.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = {("novel" if label.is_novel else "train", str(label.label_id)) for label in LABELS}
    assert {(row["split"], row["label_id"]) for row in rows} == expected
    assert all(len(read_frames(tmp_path / row["video"])) == 4 for row in rows)
    with (tmp_path / "labels.csv").open(encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{"id": str(it.label_id), "en": it.en, "zh": it.zh} for it in LABELS]
    assert json.loads((tmp_path / "data.json").read_text(encoding="utf-8")) == {
        "name": "MotionShapes", "version": 1, "seed": 7, "num_labels": 96,
        "num_videos": {"train": 72, "val": 0, "test": 0, "novel": 24}, "video_format": asdict(SMALL),
    }  # fmt: skip


def test_same_seed_renders_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    sizes = SplitSizes(train=1, val=0, test=0, novel=0)
    for name, num_workers in (("one", 1), ("two", 2)):
        render_motion_shapes(tmp_path / name, seed=7, sizes=sizes, video_format=SMALL, num_workers=num_workers)
    videos = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.mp4"))
    assert len(videos) == 72
    assert all((tmp_path / "one" / video).read_bytes() == (tmp_path / "two" / video).read_bytes() for video in videos)


def test_the_service_knows_the_labels_in_both_languages() -> None:
    labels = tuple(Label(each.en, each.zh) for each in motion_shapes_labels())
    assert load_builtin_label_sets()["motion_shapes"] == labels
