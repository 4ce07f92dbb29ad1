"""The command `duoact-train retrieve`: video-text retrieval on a caption file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from service.contract.views import DEFAULT_VIEWS, ViewPlan
from training.commands.options import WorkersOption, clear_errors
from training.data.captions import read_captioned_videos
from training.errors import DataError
from training.evaluation.retrieval import evaluate_retrieval, render_retrieval
from training.runs.run import open_run

_CAPTION_FILES = ("captions.json", "captions.csv")


def retrieve_command(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    data: Annotated[Path, typer.Option(help="Folder of the videos.")],
    captions: Annotated[
        Path | None,
        typer.Option(
            help=f"MSR-VTT's JSON or a table of captions. [default: {' or '.join(_CAPTION_FILES)} in the data]"
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of a JSON file; else all of its videos.")] = None,
    vanilla: Annotated[bool, typer.Option("--vanilla", help="Measure the CLIP that the run started from.")] = False,
    views: Annotated[str, typer.Option(help="Clips x crops of every video.")] = DEFAULT_VIEWS,
    workers: WorkersOption = 2,
) -> None:
    """Measure R@1, R@5, R@10 and median rank of captions and videos; the report goes to the run's folder."""
    with clear_errors() as console:
        captioned = read_captioned_videos(captions or _find_captions(data), directory=data, split=split)
        report = evaluate_retrieval(
            open_run(run),
            captioned=captioned,
            model="vanilla" if vanilla else "run",
            plan=ViewPlan.parse(views),
            num_workers=workers,
        )
        console.print(Markdown(render_retrieval(report)))


def _find_captions(data: Path) -> Path:
    for name in _CAPTION_FILES:
        if (data / name).is_file():
            return data / name
    raise DataError(f"{data} has neither {' nor '.join(_CAPTION_FILES)}; name a caption file with --captions")
