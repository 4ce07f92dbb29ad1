"""The folder of a run beside its weights: recipe, environment, data and the record of every logged step.

Weights are the work of ``checkpoint``. Layout: ``config.json``, ``environment.json``, ``data.json``, ``labels.csv``,
``metrics.jsonl`` and ``curves.png``.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.checkpoint import CONFIG_NAME, read_config, render_config
from training.config import Recipe
from training.data.annotations import LABELS_NAME, VideoData
from training.environment import describe_environment
from training.errors import RunError

METRICS_NAME, CURVES_NAME, DATA_NAME, ENVIRONMENT_NAME = "metrics.jsonl", "curves.png", "data.json", "environment.json"


@dataclass(frozen=True)
class StepRecord:
    """One optimisation step; ``step`` counts the steps done, this one included."""

    step: int
    num_steps: int
    epoch: int
    loss: float
    loss_en: float
    loss_zh: float | None
    learning_rate: float
    gradient_norm: float
    step_seconds: float


def start_run(run_dir: Path, *, recipe: Recipe, data: VideoData) -> None:
    """Make the folder of a new run.

    Raises:
        RunError: a run is there already.
    """
    if (run_dir / CONFIG_NAME).exists():
        raise RunError(f"{run_dir} holds a run; continue it with --resume, or choose another folder")
    run_dir.mkdir(parents=True, exist_ok=True)
    write_text(run_dir / ENVIRONMENT_NAME, text=_render(describe_environment()))
    write_text(run_dir / DATA_NAME, text=_render(describe_data(data)))
    write_text(run_dir / LABELS_NAME, text=(data.directory / LABELS_NAME).read_text(encoding="utf-8-sig"))
    write_text(run_dir / METRICS_NAME, text="")
    write_text(run_dir / CONFIG_NAME, text=render_config(recipe))


def check_resumable(run_dir: Path, *, recipe: Recipe, data: VideoData) -> None:
    """Check that a run was started with this recipe on this data.

    Raises:
        RunError: the folder holds no run, or one with another recipe or other data.
    """
    if read_config(run_dir / CONFIG_NAME, kind=Recipe) != recipe:
        raise RunError(f"{run_dir} was started with another recipe; resume it with the settings of its {CONFIG_NAME}")
    stored = json.loads((run_dir / DATA_NAME).read_text(encoding="utf-8"))
    if stored["digest"] != data.digest:
        raise RunError(f"{run_dir} was started on other data (digest {stored['digest']}, not {data.digest})")


def describe_data(data: VideoData) -> dict[str, Any]:
    """Say which data a run saw: digest of its tables, number of labels, videos of each split."""
    splits = Counter(each.split for each in data.annotations)
    return {
        "name": data.name,
        "digest": data.digest,
        "num_labels": len(data.labels),
        "num_videos": dict(sorted(splits.items())),
    }


def append_record(run_dir: Path, record: StepRecord) -> None:
    """Add a line to the run's metrics."""
    with (run_dir / METRICS_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")


def read_records(run_dir: Path) -> list[StepRecord]:
    """Read the run's metrics."""
    lines = (run_dir / METRICS_NAME).read_text(encoding="utf-8").splitlines()
    return [StepRecord(**json.loads(line)) for line in lines]


def drop_records_after(run_dir: Path, *, step: int) -> None:
    """Forget the steps that were taken after the checkpoint from which a run resumes."""
    kept = [record for record in read_records(run_dir) if record.step <= step]
    write_text(run_dir / METRICS_NAME, text="".join(json.dumps(asdict(record)) + "\n" for record in kept))


def draw_curves(run_dir: Path) -> None:
    """Draw loss and learning rate over the steps."""
    records = read_records(run_dir)
    steps = [record.step for record in records]
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(7, 5), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _plot(above, steps, {"total": [r.loss for r in records], "English": [r.loss_en for r in records],
                             "Chinese": [r.loss_zh for r in records]}, name="loss")  # fmt: skip
        _plot(below, steps, {"learning rate": [r.learning_rate for r in records]}, name="learning rate")
        below.set_xlabel("step")
    unfinished = run_dir / f".{CURVES_NAME}"
    FigureCanvasAgg(figure).print_figure(unfinished, format="png")
    unfinished.replace(run_dir / CURVES_NAME)


def write_text(path: Path, *, text: str) -> None:
    """Write a text file, complete or not at all."""
    unfinished = path.with_name(f".{path.name}.partial")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _render(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def _plot(axes: Any, steps: Sequence[int], curves: dict[str, list[Any]], *, name: str) -> None:  # noqa: ANN401
    for label, values in curves.items():
        if None not in values:
            axes.plot(steps, values, label=label)
    axes.set_ylabel(name)
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
