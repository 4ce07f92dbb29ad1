"""The folder of a run beside its weights and its curves: recipe, environment and data.

Layout: ``config.json``, ``environment.json``, ``data.json``, ``labels.csv``; ``classes.csv`` where a closed set of
classes is learned.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from service.contract.labels import Label
from training.config.model import Recipe
from training.data.annotations import LABELS_NAME, label_rows
from training.data.training_set import TrainingSet
from training.errors import RunError
from training.files.texts import render_json, render_rows, write_text
from training.runs.checkpoint import CLASSES_NAME
from training.runs.configs import CONFIG_NAME, render_config
from training.runs.curves import METRICS_NAME
from training.runs.environment import describe_environment

DATA_NAME, ENVIRONMENT_NAME = "data.json", "environment.json"

# Where the description of the data lists the videos of a few-shot draw.
DRAWN_KEY = "training_videos"


def check_new(run_dir: Path) -> None:
    """Check that a folder holds no run yet.

    Raises:
        RunError: a run is there.
    """
    if (run_dir / CONFIG_NAME).exists():
        raise RunError(f"{run_dir} holds a run; continue it with --resume, or choose another folder")


def start_run(run_dir: Path, *, recipe: Recipe, training_set: TrainingSet) -> None:
    """Make the folder of a new run; the config comes last and makes it one.

    Raises:
        RunError: a run is there already.
    """
    check_new(run_dir)
    described = describe_data(training_set, recipe=recipe)
    run_dir.mkdir(parents=True, exist_ok=True)
    write_text(run_dir / ENVIRONMENT_NAME, text=render_json(describe_environment()))
    write_text(run_dir / DATA_NAME, text=render_json(described))
    write_text(run_dir / LABELS_NAME, text=(training_set.data.directory / LABELS_NAME).read_text(encoding="utf-8-sig"))
    if recipe.model.is_closed:
        write_text(run_dir / CLASSES_NAME, text=render_labels(training_set.labels))
    write_text(run_dir / METRICS_NAME, text="")
    write_text(run_dir / CONFIG_NAME, text=render_config(recipe))


def render_labels(labels: Sequence[Label]) -> str:
    """Render labels as a table ``id,en,zh``."""
    return render_rows(label_rows(labels))


def describe_data(training_set: TrainingSet, *, recipe: Recipe) -> dict[str, Any]:
    """Say which data a run saw: digest of its tables, number of labels, videos of each split, and those it drew."""
    data = training_set.data
    splits = Counter(each.split for each in data.annotations)
    drawn = {} if recipe.num_shots is None else {DRAWN_KEY: [each.video for each in training_set.annotations]}
    return {
        "name": data.name,
        "digest": data.digest,
        "num_labels": len(data.labels),
        "num_videos": dict(sorted(splits.items())),
        **drawn,
    }


def list_differences(
    stored: dict[str, Any], given: dict[str, Any], *, prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Iterate over the fields that two nested tables disagree about, with both values; a field may lack in one."""
    for name in [*stored, *(name for name in given if name not in stored)]:
        there, here = stored.get(name), given.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            yield from list_differences(there, here, prefix=f"{prefix}{name}.")
        elif there != here:
            yield f"{prefix}{name}", there, here
