"""How a fit looks in a terminal: the table of parameters, then a bar with loss, learning rate and step time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.models.card import render_parameters
from training.models.video_clip import VideoCLIP
from training.runs.curves import StepRecord

_SMOOTHING = 0.95


def build_progress(console: Console, *, transient: bool) -> Progress:
    """Build bars whose tasks carry ``figures``, a text beside their counts."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
    )


@contextmanager
def show_fit(console: Console) -> Iterator[Callable[[VideoCLIP], Callable[[StepRecord], None]]]:
    """Give what ``fit`` calls at its beginning; the bar goes when the block ends."""
    progress = build_progress(console, transient=False)

    def begin(model: VideoCLIP) -> Callable[[StepRecord], None]:
        console.print(render_parameters(model))
        progress.start()
        task = progress.add_task("fitting", total=None, figures="")
        smoothed: list[float] = []

        def observe(record: StepRecord) -> None:
            last = smoothed[-1] if smoothed else record.loss
            smoothed[:] = [_SMOOTHING * last + (1 - _SMOOTHING) * record.loss]
            figures = f"loss {smoothed[0]:.3f}  lr {record.learning_rate:.1e}  {record.step_seconds * 1000:.0f} ms/step"
            progress.update(task, total=record.num_steps, completed=record.step, figures=figures)

        return observe

    try:
        yield begin
    finally:
        progress.stop()
