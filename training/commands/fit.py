"""The command `duoact-train fit`: a recipe's adapters on a data folder."""

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import DataOption, SetOption, WorkersOption, clear_errors
from training.config.overrides import override, parse_settings
from training.data.annotations import read_video_data
from training.fitting.fit import FitResources, fit
from training.fitting.progress import show_fit
from training.recipes import find_recipe


def fit_command(  # noqa: PLR0913 - each argument is an option
    recipe: Annotated[str, typer.Argument(help="Name of the recipe.")],
    *,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    backbone: Annotated[Path | None, typer.Option(help="Folder of the frozen towers to start from.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded frames. [default: in the run]")] = None,
    settings: SetOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if the run was begun.")
    ] = False,
    workers: WorkersOption = 2,
    shard: Annotated[
        bool, typer.Option("--shard", help="Spread the model over the processes of the launch, instead of copying it.")
    ] = False,
) -> None:
    """Fit a recipe's adapters on a data folder."""
    with clear_errors(is_shared=True) as console, show_fit(console) as begin:
        fit(
            override(find_recipe(recipe), parse_settings(settings or [])),
            data=read_video_data(data),
            resources=FitResources(run_dir=out, cache_dir=cache or out / "frames", num_workers=workers),
            backbone_dir=backbone,
            resume=resume,
            begin=begin,
            shard=shard,
        )
