"""The command `duoact-train cost`: what training takes in memory and time."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from training.commands.options import SetOption, clear_errors
from training.config.fitting import FitConfig
from training.config.model import Recipe
from training.config.overrides import override, parse_settings
from training.files.texts import render_json, write_text
from training.models.card import configure_method
from training.studies.cost import compare_costs, render_costs


def cost_command(
    *,
    out: Annotated[Path, typer.Option(help="File for the figures, as JSON.")],
    method: Annotated[Literal["dual_semantic", "vificlip", "tds"], typer.Option(help="Whose parts are compared.")] = (
        "dual_semantic"
    ),
    backbone: Annotated[str, typer.Option(help="An open_clip architecture.")] = "ViT-B-16-quickgelu",
    frames: Annotated[int, typer.Option(help="Frames of a clip.")] = 8,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips of a step.")] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Steps to time, after one that warms up.")] = 3,
    precision: Annotated[Literal["fp32", "bf16"], typer.Option(help="Precision of the forward pass.")] = "fp32",
    settings: SetOption = None,
) -> None:
    """Compare memory and time of training parts of a model with full fine-tuning; needs no weights and no data."""
    with clear_errors() as console:
        recipe = Recipe(
            name="cost",
            model=configure_method(method, architecture=backbone, num_frames=frames),
            fit=FitConfig(batch_size=batch_size, precision=precision),
        )
        report = compare_costs(override(recipe, parse_settings(settings or [])), num_steps=steps)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text=render_json(report))
        console.print(render_costs(report))
