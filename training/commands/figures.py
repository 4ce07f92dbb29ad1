"""The command `duoact-train figures`: reads arguments, has the figures drawn, prints where they are."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from training.commands.options import DataOption, WorkersOption, clear_errors
from training.data.annotations import read_video_data
from training.evaluation.figures.study import FigureSettings
from training.runs.run import open_run


def figures_command(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    data: DataOption,
    split: Annotated[str, typer.Option(help="Split that is shown.")] = "test",
    select_on: Annotated[str, typer.Option(help="Split on which lambda is chosen.")] = "val",
    videos: Annotated[int, typer.Option(help="Videos, each of another label, over which maps are drawn.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Folder of the figures. [default: RUN/figures]")] = None,
    workers: WorkersOption = 2,
) -> None:
    """Draw maps over videos, t-SNE, confusion, curves and lambda of a run, with the data behind each.

    The maps show attention, or of a side network what speaks for a video's label. What does not apply is left out, with
    a line that says why.
    """
    # Here, as it brings scikit-learn along, for which every other command would wait.
    from training.evaluation.figures.draw import FIGURES_NAME, draw_figures

    with clear_errors() as console:
        settings = FigureSettings(split=split, select_on=select_on, num_videos=videos, num_workers=workers)
        drawn = draw_figures(
            open_run(run), data=read_video_data(data), settings=settings, out=out or run / FIGURES_NAME
        )
        for line in drawn.left_out:
            Console(stderr=True).print(f"left out: {escape(line)}", soft_wrap=True, highlight=False)
        for picture in drawn.pictures:
            console.print(escape(str(picture)), soft_wrap=True)
