"""The command `duoact-train label-cost`: what it takes to embed labels with a bundle's text towers."""

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import clear_errors
from training.export.public_bundle import select_label_sets
from training.files.texts import render_json, write_text
from training.studies.label_cost import measure_label_cost, render_label_cost


def label_cost_command(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle with two text towers.")],
    *,
    label_set: Annotated[str, typer.Option(help="Built-in label set to embed.")],
    out: Annotated[Path, typer.Option(help="File for the figures, as JSON.")],
    repeats: Annotated[int, typer.Option(min=1, help="Passes over all labels after the first.")] = 3,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the engine; 0 takes all cores.")] = 0,
) -> None:
    """Time the embedding of labels with rows as long as needed, and padded to the towers' full length."""
    with clear_errors() as console:
        labels = select_label_sets([label_set])[label_set]
        report = measure_label_cost(bundle, labels, num_repeats=repeats, num_threads=threads)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text=render_json(report.to_json()))
        console.print(render_label_cost(report))
