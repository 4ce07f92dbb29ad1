"""The command `duoact-train demo`: the demo bundle from nothing."""

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import WorkersOption, clear_errors
from training.demo.build import build_demo, plan_demo, plan_miniature


def demo_command(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("model_repository/demo"),
    work: Annotated[
        Path, typer.Option(help="Folder for data, towers and run; what is there is not made again.")
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of data, towers and adapters.")] = 0,
    workers: WorkersOption = 2,
    miniature: Annotated[bool, typer.Option("--miniature", help="Take the same path in a minute or two.")] = False,
) -> None:
    """Build the demo bundle from nothing: render, pre-train, align, fit, evaluate, export, verify."""
    with clear_errors() as console:
        plan = plan_miniature(seed=seed) if miniature else plan_demo(seed=seed)
        build_demo(plan, out=out, work=work, num_workers=workers, console=console)
