"""A run's folder as one record: what it answers, and what it says where something is not there."""

import json
from pathlib import Path

import pytest

from tests.training.tiny import RECIPE
from training.data.annotations import VideoData
from training.data.training_set import TrainingSet
from training.errors import RunError
from training.runs.folder import start_run
from training.runs.run import Run, is_run, open_run


@pytest.fixture
def run(tmp_path: Path, data: VideoData) -> Run:
    start_run(tmp_path, recipe=RECIPE, training_set=TrainingSet.of(RECIPE, data=data))
    return open_run(tmp_path)


def test_run_answers_what_it_was_started_with(run: Run, data: VideoData) -> None:
    assert run.recipe == RECIPE
    assert (run.data["name"], run.data["digest"]) == (data.name, data.digest)
    assert set(run.environment) >= {"package_versions", "git_commit", "device"}
    assert run.read_labels() == data.labels
    assert run.read_classes() == ()


def test_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    assert not is_run(tmp_path)
    with pytest.raises(RunError, match=rf"{tmp_path} is not a run folder: it has no config\.json"):
        open_run(tmp_path)


def test_run_that_does_not_say_what_it_saw_has_no_data(run: Run) -> None:
    (run.directory / "data.json").unlink()
    (run.directory / "environment.json").unlink()
    again = open_run(run.directory)
    assert (again.data, again.environment) == ({}, {})


def test_step_is_that_of_the_latest_checkpoint(run: Run) -> None:
    with pytest.raises(RunError, match="holds no checkpoint"):
        _ = run.step
    for step in (8, 16):
        (run.directory / "checkpoint" / f"{step:08d}").mkdir(parents=True)
    assert run.step == 16


def test_reports_come_in_the_order_of_their_names(run: Run) -> None:
    run.evaluation.mkdir()
    for name in "ba":
        (run.evaluation / f"{name}.json").write_text(json.dumps({"protocol": name}), encoding="utf-8")
    assert [report["protocol"] for report in run.read_reports()] == ["a", "b"]
    assert run.features == run.evaluation / "features"
