"""Records of steps, the description of a run's data and machine, and its curves."""

import json
from dataclasses import replace
from pathlib import Path

from PIL import Image

from tests.training.tiny import LABELS, RECIPE
from training.data.annotations import VideoData
from training.data.training_set import TrainingSet
from training.runs.curves import StepRecord, append_record, draw_curves, drop_records_after, read_records
from training.runs.environment import describe_environment, read_git_commit
from training.runs.folder import start_run

FIRST = StepRecord(
    step=1, num_steps=3, epoch=0, loss=2.5, loss_en=1.5, loss_zh=1.0, learning_rate=0.1, gradient_norm=0.5,
    step_seconds=0.25,
)  # fmt: skip


def test_new_run_says_what_it_is_made_from(data: VideoData, tmp_path: Path) -> None:
    start_run(tmp_path, recipe=RECIPE, training_set=TrainingSet.of(RECIPE, data=data))
    described = json.loads((tmp_path / "data.json").read_text(encoding="utf-8"))
    splits = {"novel": 3, "test": 3, "train": 9, "val": 3}
    assert described == {"name": "data", "digest": data.digest, "num_labels": 3, "num_videos": splits}
    labels = (tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert labels == ["id,en,zh", *(f"{number},{en},{zh}" for number, (en, zh) in enumerate(LABELS))]
    environment = json.loads((tmp_path / "environment.json").read_text(encoding="utf-8"))
    assert environment["package_versions"]["torch"].startswith("2.13")
    assert read_records(tmp_path) == []


def test_records_after_the_checkpoint_are_dropped(data: VideoData, tmp_path: Path) -> None:
    start_run(tmp_path, recipe=RECIPE, training_set=TrainingSet.of(RECIPE, data=data))
    records = [replace(FIRST, step=step) for step in (1, 2, 3)]
    for record in records:
        append_record(tmp_path, record)
    drop_records_after(tmp_path, step=2)
    assert read_records(tmp_path) == records[:2]


def test_curves_are_drawn_with_and_without_chinese(data: VideoData, tmp_path: Path) -> None:
    start_run(tmp_path, recipe=RECIPE, training_set=TrainingSet.of(RECIPE, data=data))
    for loss_zh in (None, 1.0):
        append_record(tmp_path, replace(FIRST, loss_zh=loss_zh))
        draw_curves(tmp_path)
        with Image.open(tmp_path / "curves.png") as picture:
            assert picture.size == (700, 500)


def test_environment_names_commit_and_device() -> None:
    environment = describe_environment()
    assert environment["git_commit"] == read_git_commit()
    assert environment["device"]
    assert environment["num_threads"] >= 1
