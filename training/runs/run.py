"""The folder of a run as one record: opened and checked once, and asked by all who evaluate, draw and export."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from service.contract.errors import LabelError
from service.contract.labels import Label, read_label_file
from training.config.model import Recipe
from training.data.annotations import LABELS_NAME, VideoData
from training.errors import RunError
from training.models.video_clip import VideoCLIP
from training.runs.backbone import BACKBONE_NAME, Backbone, read_backbone
from training.runs.checkpoint import CLASSES_NAME, latest_checkpoint, read_checkpoint
from training.runs.configs import CONFIG_NAME, dump_config, read_config
from training.runs.folder import DATA_NAME, ENVIRONMENT_NAME, list_differences

EVALUATION_NAME = "evaluation"


@dataclass(frozen=True)
class Run:
    """A run's folder and its recipe; what else lies there is read when it is asked for."""

    directory: Path
    recipe: Recipe

    @property
    def evaluation(self) -> Path:
        """Where reports of evaluations lie."""
        return self.directory / EVALUATION_NAME

    @property
    def features(self) -> Path:
        """Where features of videos are kept."""
        return self.evaluation / "features"

    @property
    def backbone_dir(self) -> Path:
        """The run's own copy of the towers that it started from."""
        return self.directory / BACKBONE_NAME

    def read_backbone(self) -> Backbone:
        """Read the towers that it started from; they are not kept, for they are as large as the model.

        Raises:
            RunError: a file of theirs is missing or broken.
        """
        return read_backbone(self.backbone_dir)

    @cached_property
    def data(self) -> dict[str, Any]:
        """What it was fitted on; empty where the folder does not say."""
        return self._read(DATA_NAME)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What it was made with; empty where the folder does not say."""
        return self._read(ENVIRONMENT_NAME)

    @property
    def step(self) -> int:
        """Steps that its latest checkpoint has behind it.

        Raises:
            RunError: it has no checkpoint.
        """
        return int(latest_checkpoint(self.directory).name)

    def read_labels(self) -> tuple[Label, ...]:
        """Read the labels of the data that it was fitted on."""
        return read_label_file(self.directory / LABELS_NAME)

    def read_classes(self) -> tuple[Label, ...]:
        """Read what the logits of a closed run stand for; nothing for an open one.

        Raises:
            RunError: the table is missing or broken, or has another number of classes.
        """
        if not self.recipe.model.is_closed:
            return ()
        path, num_classes = self.directory / CLASSES_NAME, self.recipe.model.adapters.num_classes
        try:
            classes = read_label_file(path)
        except (OSError, LabelError) as error:
            raise RunError(f"{self.directory} lacks the names of its classes: {error}") from error
        if len(classes) != num_classes:
            raise RunError(f"{path} names {len(classes)} classes, but the run learned {num_classes}")
        return classes

    def read_reports(self) -> list[dict[str, Any]]:
        """Read the reports of all evaluations, in the order of their names."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.evaluation.glob("*.json"))]

    def load_model(self) -> VideoCLIP:
        """Load its model for evaluation.

        Raises:
            RunError: its weights are not those of its config.
        """
        model = self.read_backbone().build(self.recipe.model)
        read_checkpoint(self.directory, model=model)
        model.adopt_temperature()
        model.classes = self.read_classes()
        return model.eval()

    def _read(self, name: str) -> dict[str, Any]:
        path = self.directory / name
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return values


def is_run(directory: Path) -> bool:
    """Whether a folder holds a run, begun or done."""
    return (directory / CONFIG_NAME).is_file()


def open_run(directory: Path) -> Run:
    """Open the folder of a run.

    Raises:
        RunError: the folder is not a run, or its config is of another version.
    """
    return Run(directory, read_config(directory / CONFIG_NAME, kind=Recipe))


def check_resumable(run_dir: Path, *, recipe: Recipe, data: VideoData) -> Run:
    """Open a run, and check that it was started with this recipe on this data.

    Raises:
        RunError: the folder holds no run, or one with another recipe or other data; every field that differs is named.
    """
    run = open_run(run_dir)
    if run.recipe != recipe:
        fields = list_differences(dump_config(run.recipe), dump_config(recipe))
        named = [f"{name} is {json.dumps(there)} there and {json.dumps(here)} here" for name, there, here in fields]
        raise RunError(
            f"{run_dir} was started with another recipe: {'; '.join(named)}. Resume it with the settings of its "
            f"{CONFIG_NAME}"
        )
    if run.data["digest"] != data.digest:
        raise RunError(f"{run_dir} was started on other data (digest {run.data['digest']}, not {data.digest})")
    return run


def load_model(directory: Path) -> VideoCLIP:
    """Load the model of a run for evaluation.

    Raises:
        RunError: the folder is not a run, or its weights are not those of its config.
    """
    return open_run(directory).load_model()
