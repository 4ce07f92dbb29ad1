"""The record of every logged step of a run: ``metrics.jsonl``, a line a step, and ``curves.png``."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.files.texts import write_text

METRICS_NAME, CURVES_NAME = "metrics.jsonl", "curves.png"

# Told apart by people with any colour vision (Okabe and Ito, 2008).
_COLOURS = ("#000000", "#0072B2", "#D55E00")


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


def append_record(run_dir: Path, record: StepRecord) -> None:
    """Add a line to the run's metrics."""
    with (run_dir / METRICS_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")


def read_records(run_dir: Path) -> list[StepRecord]:
    """Read the run's metrics, without a last line that a stopped run left unfinished."""
    *lines, _ = (run_dir / METRICS_NAME).read_text(encoding="utf-8").split("\n")
    return [StepRecord(**json.loads(line)) for line in lines]


def drop_records_after(run_dir: Path, *, step: int) -> None:
    """Forget the steps that were taken after the checkpoint from which a run resumes."""
    kept = [record for record in read_records(run_dir) if record.step <= step]
    write_text(run_dir / METRICS_NAME, text="".join(json.dumps(asdict(record)) + "\n" for record in kept))


def draw_curves(run_dir: Path, *, out: Path | None = None) -> None:
    """Draw loss and learning rate over the steps, in the run's folder or in another."""
    records = read_records(run_dir)
    steps = [record.step for record in records]
    with matplotlib.rc_context({"font.size": 9, "lines.linewidth": 0.9}):
        figure = Figure(figsize=(7, 5), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _plot(
            above,
            steps,
            {
                "total": [r.loss for r in records],
                "English": [r.loss_en for r in records],
                "Chinese": [r.loss_zh for r in records],
            },
            name="loss",
        )
        _plot(below, steps, {"learning rate": [r.learning_rate for r in records]}, name="learning rate")
        below.set_xlabel("step")
    directory = run_dir if out is None else out
    unfinished = directory / f".{CURVES_NAME}"
    FigureCanvasAgg(figure).print_figure(unfinished, format="png")
    unfinished.replace(directory / CURVES_NAME)


def _plot(axes: Any, steps: Sequence[int], curves: dict[str, list[Any]], *, name: str) -> None:  # noqa: ANN401
    axes.set_prop_cycle(color=_COLOURS)
    for label, values in curves.items():
        if None not in values:
            axes.plot(steps, values, label=label)
    axes.set_ylabel(name)
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
