"""How an ablation looks in a terminal: a bar over runs, a bar over the steps of one run, and a line for each run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from training.fitting.progress import build_progress
from training.models.video_clip import VideoCLIP
from training.runs.curves import StepRecord

Begin = Callable[[VideoCLIP], Callable[[StepRecord], None]]


@dataclass(frozen=True)
class Display:
    """Show the progress of a number of runs; ``position`` counts them from 0."""

    console: Console
    num_runs: int

    def say(self, position: int, name: str, outcome: str) -> None:
        """Print what became of a run."""
        line = f"{position + 1}/{self.num_runs} {name}: {outcome}"
        self.console.print(escape(line), highlight=False, soft_wrap=True)

    @contextmanager
    def show_steps(self, position: int, name: str) -> Iterator[Begin]:
        """Give what ``fit`` calls at its beginning; the bars go when the block ends."""
        progress = build_progress(self.console, transient=True)

        def begin(_: VideoCLIP) -> Callable[[StepRecord], None]:
            # Not before: while training videos are decoded, that has the terminal.
            progress.start()
            progress.add_task("runs", total=self.num_runs, completed=position, figures="")
            steps = progress.add_task(escape(name), total=None, figures="")

            def observe(record: StepRecord) -> None:
                figures = f"loss {record.loss:.3f}  {record.step_seconds * 1000:.0f} ms/step"
                progress.update(steps, total=record.num_steps, completed=record.step, figures=figures)

            return observe

        try:
            yield begin
        finally:
            progress.stop()
